import { describe, expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { coreById } from "../boards/index.ts";
import { coreTools, needTools } from "../boards/tool-gate.ts";
import { compileGraph, execute, seededSample } from "../driver/index.ts";
import { type Graph, GraphBuilder } from "../graph/index.ts";
import { isWorthPacking, packZeros, unpackedLength } from "./zeros.ts";

describe("a table of mostly zeros", () => {
  test("is a mask for every eight bytes and what is not 0", () => {
    expect([...packZeros(Int8Array.of(0, 0, 5, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 7))]).toEqual([0b10000100, 5, 255, 0, 1, 7]);
    expect(unpackedLength(new Int8Array(17))).toBe(24);
    expect(unpackedLength(new Int32Array(3))).toBe(4);
  });

  test("is packed where that makes it much smaller", () => {
    const table = Int8Array.from({ length: 1000 }, (_, i) => (i % 5 === 0 ? 1 : 0));
    expect(isWorthPacking("i8", table)).toBe(true);
    expect(isWorthPacking("f32", table)).toBe(false);
    expect(isWorthPacking("i8", table.fill(3))).toBe(false);
    expect(isWorthPacking("i8", new Int8Array(100))).toBe(false);
  });
});

const WINDOW = { strideH: 1, strideW: 1, padTop: 1, padBottom: 1, padLeft: 1, padRight: 1, activation: "relu" };

const POOL = { filterH: 2, filterW: 2, strideH: 2, strideW: 2, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0 };

/** Two convolutions of int8 over `size` by `size` pixels, of whose weights a share is 0, behind a picture that needs more memory. */
function network(size: number, zeros: number): Graph {
  const random = new Xorshift32(3);
  const b = new GraphBuilder("sparse");
  const quantization = { scales: [0.05], zeroPoints: [0], axis: 0 };
  const picture = b.input("x", { dtype: "int8", shape: [1, 2 * size, 2 * size, 12], quantization });
  let x = b.value("half", { dtype: "int8", shape: [1, size, size, 12], quantization });
  b.node("maxPool2d", [picture], [x], { ...POOL, activation: "none" }, "half");
  for (const name of ["a", "b"]) {
    const data = Int8Array.from({ length: 12 * 108 }, () => (random.int(0, 99) < 100 * zeros ? 0 : random.int(-127, 127)));
    const scales = Array.from({ length: 12 }, () => 0.002 + 0.00002 * random.int(0, 99));
    const weights = b.constant(
      `${name}_w`,
      { dtype: "int8", shape: [12, 3, 3, 12], quantization: { scales, zeroPoints: scales.map(() => 0), axis: 0 } },
      data,
    );
    const bias = b.constant(`${name}_b`, { dtype: "int32", shape: [12] }, new Int32Array(12));
    const y = b.value(name, { dtype: "int8", shape: [1, size, size, 12], quantization });
    b.node("conv2d", [x, weights, bias], [y], WINDOW, name);
    x = y;
  }
  b.output(x);
  return b.build();
}

describe("layers of mostly zeros", () => {
  test("are stored without them in C, where their maps are large and the arena has room", () => {
    const [dense, sparse] = [0, 0.8].map((zeros) => compileGraph(network(16, zeros), { target: "c-dsp" })) as [
      ReturnType<typeof compileGraph>,
      ReturnType<typeof compileGraph>,
    ];
    expect(dense.sparse).toEqual([]);
    expect(sparse.sparse.map(({ stored }) => stored)).toContain("packed");
    expect(sparse.weightBytes).toBeLessThan(0.75 * dense.weightBytes);
    expect(sparse.plan.arenaBytes).toBeLessThanOrEqual(dense.plan.arenaBytes);
    for (const { stored, time } of sparse.sparse) if (stored === "packed") expect(time).toBeLessThanOrEqual(0.1);
  });

  test("stay as they are where unpacking takes long, or the target is not C", () => {
    expect(compileGraph(network(3, 0.8), { target: "c-dsp" }).sparse.map(({ stored }) => stored)).toEqual(["slow", "slow"]);
    expect(compileGraph(network(16, 0.8), { target: "wasm" }).sparse).toEqual([]);
  });

  for (const via of ["c", "cortex-m0", "cortex-m4", "rv32"] as const)
    test(`give the plain loops' bits: ${via}`, async (context) => {
      needTools(context, ...(via === "c" ? (["cc"] as const) : coreTools(coreById(via))));
      const graph = network(16, 0.8);
      const samples = [1, 2].map((seed) => seededSample(graph, seed));
      const run = await execute(graph, via, samples);
      expect(run.compiled.program.steps.map(({ op }) => op)).toContain("unpackZeros");
      expect(run.outputs).toEqual((await execute(graph, "plain", samples)).outputs.map((outputs) => outputs.map((bytes) => new Uint8Array(bytes))));
    });
});
