import { describe, it } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import type { Expr } from "./expr.ts";
import type { Buffer, KernelBuilder } from "./kernel.ts";
import { expectSame, singleKernel, TestModule } from "./wasm-testing.ts";

const random = new Xorshift32(11);
const x = Int32Array.from({ length: 200 }, () => random.int(-1000, 1000));

/** A kernel of one loop, and what it stores for the turn i. */
type Body = (k: KernelBuilder, from: Buffer, to: Buffer, i: Expr) => void;

function run(length: number, write: (k: KernelBuilder, from: Buffer, to: Buffer) => void): Int32Array {
  const program = singleKernel([{ type: "i32", length: 200 }], { type: "i32", length }, (k) => {
    write(k, k.input(0, "from"), k.output(0, "to"));
    return k.finish("loop", "");
  });
  return new TestModule(program).run(x) as Int32Array;
}

const at = (i: number): number => x[i]!;

describe("addresses that move along with a loop", () => {
  it.each<[string, Body, (i: number) => number]>([
    ["one step", (_, from, to, i) => to.store(i, from.load(i)), (i) => at(i)],
    ["neighbours to both sides", (_, from, to, i) => to.store(i, from.load(i.add(7)).sub(from.load(i.add(5)))), (i) => at(i + 7) - at(i + 5)],
    ["strides", (_, from, to, i) => to.store(i, from.load(i.mul(3).add(1))), (i) => at(3 * i + 1)],
    ["backward", (_, from, to, i) => to.store(i, from.load(i.mul(-1).add(60))), (i) => at(60 - i)],
    [
      "terms that the loop does not change, one written as a local of the body",
      (k, from, to, i) => {
        const base = k.let("base", k.int("line", 4).mul(k.int("row", 9)).add(i.mul(2)));
        to.store(i, from.load(base).add(from.load(base.sub(3))));
      },
      (i) => at(36 + 2 * i) + at(33 + 2 * i),
    ],
    ["indices that data decides", (_, from, to, i) => to.store(i, from.load(from.load(i).and(63))), (i) => at(at(i) & 63)],
    [
      "both sides of a branch, where an address may be out of range",
      (k, from, to, i) =>
        k.if(
          i.ge(10),
          () => to.store(i, from.load(i.sub(10))),
          () => to.store(i, -5),
        ),
      (i) => (i >= 10 ? at(i - 10) : -5),
    ],
  ])("%s", (_, body, wanted) => {
    const got = run(40, (k, from, to) => k.for("i", 0, 40, (i) => body(k, from, to, i)));
    expectSame(
      got,
      Array.from({ length: 40 }, (_, i) => wanted(i)),
    );
  });

  it("start anew in every turn of an outer loop, with a locals's value at that time", () => {
    const got = run(60, (k, from, to) => {
      const shift = k.variable("shift", k.int("first", 5));
      k.for("y", 0, 6, (y) => {
        k.for("i", 0, 10, (i) => to.store(y.mul(10).add(i), from.load(shift.get().add(i))));
        shift.set(shift.get().add(y));
      });
    });
    const shifts = [5, 5, 6, 8, 11, 15];
    expectSame(
      got,
      Array.from({ length: 60 }, (_, n) => at(shifts[Math.floor(n / 10)]! + (n % 10))),
    );
  });

  it("do not move where the loop changes what they hang on", () => {
    const got = run(20, (k, from, to) => {
      const place = k.variable("place", k.int("first", 1));
      k.for("i", 0, 20, (i) => {
        to.store(i, from.load(place.get()));
        place.set(place.get().add(i));
      });
    });
    expectSame(
      got,
      Array.from({ length: 20 }, (_, i) => at(1 + (i * (i - 1)) / 2)),
    );
  });
});
