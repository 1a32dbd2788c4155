import { describe, expect, it } from "vitest";
import wabt from "wabt";
import { KernelBuilder } from "./kernel.ts";
import type { Program } from "./program.ts";
import { printWasm } from "./print-wasm.ts";
import { expectSame, plainPlacement, singleKernel, TestModule } from "./wasm-testing.ts";

/** Two steps that share a kernel, a table and state of both kinds. */
function twoSteps(): Program {
  const k = new KernelBuilder(["i32", "i32"], ["i32"]);
  const [from, state, table, to] = [k.input(0, "from"), k.input(1, "state", true), k.constant("table", "i16", new Int16Array()), k.output(0, "to")];
  const by = k.int("by", 0);
  k.for("i", 0, k.int("count", 0), (i) => {
    state.store(i, state.load(i).add(1));
    to.store(i, from.load(i).mul(by).add(table.load(i)).add(state.load(i)));
  });
  const { func } = k.finish("scale", "");
  const step = (name: string, from: number, state: number, to: number, by: number): Program["steps"][number] => ({
    name,
    op: "scale",
    func: "scale",
    args: func.params.map((param) => {
      const scalars: Record<string, number> = { by, count: 3 };
      if (param.kind === "scalar") return { kind: "scalar", type: "i32", value: scalars[param.name]! };
      if (param.name === "table") return { kind: "constant", index: 0 };
      return { kind: "buffer", index: { from, state, to }[param.name]! };
    }),
  });
  const buffer = (name: string, initial?: Program["buffers"][number]["initial"]): Program["buffers"][number] => ({
    name,
    type: "i32",
    length: 3,
    initial,
  });
  const port = (name: string, index: number): Program["inputs"][number] => ({ name, dtype: "int32", shape: [3], buffer: index });
  return {
    name: "two",
    functions: [func],
    constants: [
      { name: "table", type: "i16", data: Int16Array.of(1, -2, 3) },
      { name: "start", type: "i32", data: Int32Array.of(100, 200, 300) },
    ],
    buffers: [
      buffer("x"),
      buffer("middle"),
      buffer("y"),
      buffer("s", { kind: "fill", value: -7 }),
      buffer("t", { kind: "constant", index: 1 }),
      { name: "f", type: "f32", length: 5, initial: { kind: "fill", value: 0.1 } },
      { name: "l", type: "i64", length: 2, initial: { kind: "fill", value: -1 } },
    ],
    steps: [step("first", 0, 3, 1, 2), step("second", 1, 4, 2, -3)],
    inputs: [port("x", 0)],
    outputs: [{ ...port("y", 2), dtype: "int32", quantization: { scale: 0.5, zeroPoint: 3 } }],
  };
}

describe("modules", () => {
  const reference = (x: number[], turn: number): number[] => {
    const table = [1, -2, 3];
    return x.map((v, i) => (v * 2 + table[i]! - 7 + turn) * -3 + table[i]! + 100 * (i + 1) + turn);
  };

  it.each([false, true])("run all steps, keep state, and reset it (probe: %s)", (probe) => {
    const module = new TestModule(twoSteps(), probe);
    const x = Int32Array.of(5, -6, 7);
    expectSame(module.run(x), reference([...x], 1));
    expectSame(module.run(x), reference([...x], 2));
    module.call("init");
    expect([...(module.buffer(5) as Float32Array)]).toEqual(new Array(5).fill(Math.fround(0.1)));
    expect([...(module.buffer(6) as BigInt64Array)]).toEqual([-1n, -1n]);
    expectSame(module.run(x), reference([...x], 1));
  });

  it("steps run one by one", () => {
    const [whole, single] = [new TestModule(twoSteps(), true), new TestModule(twoSteps(), true)];
    const expected = whole.run(Int32Array.of(1, 2, 3));
    (single.buffer(0) as Int32Array).set([1, 2, 3]);
    single.call("step0");
    expect([...(single.buffer(2) as Int32Array)]).toEqual([0, 0, 0]);
    single.call("step1");
    expectSame(single.buffer(2), Array.from(expected as Int32Array));
  });

  it("describe themselves, export little, and hold one memory of fixed size", () => {
    const program = twoSteps();
    const module = new WebAssembly.Module(printWasm(program, plainPlacement(program)) as BufferSource);
    expect(WebAssembly.Module.imports(module)).toEqual([]);
    expect(WebAssembly.Module.exports(module).map((e) => e.name)).toEqual(["memory", "init", "run"]);
    const [section] = WebAssembly.Module.customSections(module, "kinglet");
    expect(JSON.parse(new TextDecoder().decode(section))).toEqual({
      name: "two",
      inputs: [{ name: "x", dtype: "int32", shape: [3], offset: 32 }],
      outputs: [{ name: "y", dtype: "int32", shape: [3], scale: 0.5, zeroPoint: 3, offset: 64 }],
      arenaBytes: 16 * 5 + 32 + 16,
    });
    const memory = new WebAssembly.Instance(module).exports["memory"] as WebAssembly.Memory;
    expect(memory.buffer.byteLength).toBe(65536);
    expect(() => memory.grow(1)).toThrow(RangeError);
  });

  it("can be read by another implementation of the format", async () => {
    const { readWasm } = await wabt();
    const program = twoSteps();
    const module = readWasm(printWasm(program, plainPlacement(program), { probe: true }), { readDebugNames: true });
    module.validate();
    const text = module.toText({ foldExprs: false, inlineExport: false });
    module.destroy();
    expect(text).toContain("func $scale");
    expect(text).toContain("(memory (;0;) 1 1)");
  });

  it("have room for large tables and arenas", () => {
    const program = singleKernel([{ type: "i32", length: 100000 }], { type: "i32", length: 100000 }, (k) => {
      const [from, table, to] = [
        k.input(0, "from"),
        k.constant(
          "table",
          "i8",
          Int8Array.from({ length: 70000 }, (_, i) => i % 100),
        ),
        k.output(0, "to"),
      ];
      to.store(99999, from.load(99999).add(table.load(69999)));
      return k.finish("large", "");
    });
    expect(new TestModule(program).run(new Int32Array(100000).fill(5))[99999]).toBe(5 + 99);
  });
});
