import { describe, expect, test } from "vitest";
import { i32 } from "./expr.ts";
import { KernelBuilder } from "./kernel.ts";
import { printCFunction } from "./print-c.ts";
import { JS_PRELUDE, printJsFunction } from "./print-js.ts";
import type { Func } from "./program.ts";
import { specialise } from "./simplify.ts";

/** A padded window sum over a row: the shape of every windowed kernel. */
function windowSum(): Func {
  const k = new KernelBuilder(["i8"], ["i32"]);
  const x = k.input(0, "x");
  const y = k.output(0, "y");
  const [length, size, padding] = [k.int("length", 8), k.int("size", 3), k.int("padding", 1)];
  k.for("o", 0, length.add(padding.mul(2)).sub(size).add(1), (o) => {
    const acc = k.variable("acc", i32(0));
    k.for("t", 0, size, (t) => {
      const at = k.let("at", o.sub(padding).add(t));
      k.if(at.ge(0).and(at.lt(length)), () => acc.set(acc.get().add(x.load(at))));
    });
    y.store(o, acc.get());
  });
  return k.finish("window_sum", "Sums a window.").func;
}

function run(func: Func, scalars: number[]): number[] {
  const y = new Int32Array(8);
  const made = new Function(`${JS_PRELUDE}\n${printJsFunction(func)}\nreturn ${func.name};`)() as (...args: unknown[]) => void;
  made(Int8Array.from([1, 2, 3, 4, 5, 6, 7, 8]), y, ...scalars);
  return [...y];
}

describe("specialising a function", () => {
  test("keeps what it computes", () => {
    const func = windowSum();
    const known = specialise(
      func,
      new Map([
        ["length", i32(8)],
        ["size", i32(3)],
        ["padding", i32(1)],
      ]),
    );
    expect(known.params.map((param) => param.name)).toEqual(["x", "y"]);
    expect(run(known, [])).toEqual(run(func, [8, 3, 1]));
    expect(run(known, [])).toEqual([3, 6, 9, 12, 15, 18, 21, 15]);
  });

  test("drops the padding tests of a layer without padding", () => {
    const known = specialise(
      windowSum(),
      new Map([
        ["length", i32(8)],
        ["size", i32(3)],
        ["padding", i32(0)],
      ]),
    );
    expect(printCFunction(known)).not.toContain("if (");
    expect(run(known, []).slice(0, 6)).toEqual([6, 9, 12, 15, 18, 21]);
  });

  test("replaces loops of one turn by their body", () => {
    const known = specialise(
      windowSum(),
      new Map([
        ["length", i32(8)],
        ["size", i32(1)],
        ["padding", i32(0)],
      ]),
    );
    expect(printCFunction(known).match(/for \(/g)).toHaveLength(1);
    expect(run(known, [])).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("leaves what is not known as a parameter", () => {
    const known = specialise(windowSum(), new Map([["size", i32(3)]]));
    expect(known.params.map((param) => param.name)).toEqual(["x", "y", "length", "padding"]);
    expect(run(known, [8, 1])).toEqual([3, 6, 9, 12, 15, 18, 21, 15]);
  });
});

test("locals named like words of a printed language get other names", () => {
  const k = new KernelBuilder([], ["i32"]);
  const y = k.output(0, "y");
  const value = k.let("int", k.int("x", 4).add(1));
  y.store(0, k.let("double", value));
  const text = printCFunction(k.finish("words", "Words.").func);
  expect(text).not.toMatch(/int32_t (int|double) =/);
});
