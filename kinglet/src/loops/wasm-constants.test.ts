import { describe, expect, it } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { printWasm } from "./print-wasm.ts";
import { expectSame, plainPlacement, singleKernel, TestModule } from "./wasm-testing.ts";

const random = new Xorshift32(12);

describe("tables of 16-bit numbers", () => {
  it.each([
    ["that fit signed bytes", -128, 127, true],
    ["that fit bytes after a shift", -17, 238, true],
    ["that do not fit", -200, 200, false],
  ])("%s", (_, low, high, small) => {
    const table = Int16Array.from({ length: 4000 }, (_, i) => (i === 0 ? low : i === 1 ? high : random.int(low, high)));
    const program = singleKernel([], { type: "i32", length: 4000 }, (k) => {
      const [from, to] = [k.constant("table", "i16", table), k.output(0, "to")];
      k.for("i", 0, 4000, (i) => to.store(i, from.load(i)));
      return k.finish("spread", "");
    });
    const module = new TestModule(program);
    for (let turn = 0; turn < 2; turn++) {
      expectSame(module.run(), [...table]);
      module.call("init");
    }
    const bytes = printWasm(program, plainPlacement(program)).length;
    expect(bytes < 8000).toBe(small);
  });
});
