import { describe, expect, test } from "vitest";
import { type Graph, GraphBuilder, type ValueType } from "../graph/index.ts";
import { FAST_DSP_SCHEDULES, printCLibrary } from "./c/index.ts";
import { evaluate, separatePlacement, createJsRunner } from "./js/index.ts";
import { lower } from "./lower.ts";
import type { Optimize } from "./share.ts";

const tensor = (shape: number[]): ValueType => ({ dtype: "int8", shape, quantization: { scales: [0.05], zeroPoints: [2], axis: 0 } });
const bytes = (n: number): Int8Array => Int8Array.from({ length: n }, (_, i) => ((i * 37) % 255) - 127);

/** Three dense layers, two of them of one size. */
function network(): Graph {
  const b = new GraphBuilder("three layers");
  let x = b.input("x", tensor([1, 8]));
  for (const [i, [inC, outC]] of (
    [
      [8, 8],
      [8, 8],
      [8, 5],
    ] as const
  ).entries()) {
    const w = b.constant(
      `w${i}`,
      { dtype: "int8", shape: [outC, inC], quantization: { scales: [0.02], zeroPoints: [0], axis: 0 } },
      bytes(inC * outC).map((v) => (v + 7 * i) % 128),
    );
    const y = b.value(`y${i}`, tensor([1, outC]));
    b.node("fullyConnected", [x, w, null], [y], { activation: "none", keepDims: false });
    x = y;
  }
  b.output(x);
  return b.build();
}

describe("lowering", () => {
  test.each<[Optimize, number]>([
    ["size", 1],
    ["balanced", 1],
    ["speed", 2],
  ])("%s makes %i kernels of three layers, with one result", (optimize, kernels) => {
    const graph = network();
    const program = lower(graph, { optimize });
    expect(program.functions.filter((func) => func.result === null)).toHaveLength(kernels);
    const runner = createJsRunner(program, separatePlacement(program));
    runner.setInput(0, new Uint8Array(bytes(8).buffer));
    runner.run();
    expect(new Int8Array(runner.output(0).buffer)).toEqual(evaluate(graph, [bytes(8)])[0]);
  });

  test.each([
    ["long rows share a kernel", [96, 192, 384, 96], 1],
    ["rows of middle length share one where only the outer sizes differ", [48, 48, 96], 1],
    ["rows of other middle lengths do not", [48, 64, 48], 2],
    ["three kinds of short rows have a kernel each", [8, 16, 32, 8], 3],
  ])("speed: %s", (_name, widths, kernels) => {
    const b = new GraphBuilder("rows");
    const map = (c: number): ValueType => ({ ...tensor([1, 4, 4, c]), quantization: { scales: [0.05], zeroPoints: [-128], axis: 0 } });
    let x = b.input("x", map(widths[0]!));
    widths.slice(1).forEach((outC, i) => {
      const inC = widths[i]!;
      const quantization = { scales: [0.002], zeroPoints: [0], axis: 0 };
      const w = b.constant(`w${i}`, { dtype: "int8", shape: [outC, 1, 1, inC], quantization }, bytes(inC * outC));
      const y = b.value(`y${i}`, map(outC));
      const plain = { strideH: 1, strideW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0, activation: "relu" };
      b.node("conv2d", [x, w, null], [y], plain);
      x = y;
    });
    b.output(x);
    const program = lower(b.build(), { optimize: "speed", schedules: FAST_DSP_SCHEDULES });
    expect(program.functions.filter((func) => func.name.startsWith("pointwise_tile_s8"))).toHaveLength(kernels);
  });

  test("equal tables are kept once", () => {
    const b = new GraphBuilder("shared");
    const x = b.input("x", tensor([1, 4]));
    const w = (name: string): ReturnType<typeof b.constant> =>
      b.constant(name, { dtype: "int8", shape: [4, 4], quantization: { scales: [0.02], zeroPoints: [0], axis: 0 } }, bytes(16));
    const [y, z] = [b.value("y", tensor([1, 4])), b.value("z", tensor([1, 4]))];
    b.node("fullyConnected", [x, w("one"), null], [y], { activation: "none", keepDims: false });
    b.node("fullyConnected", [y, w("two"), null], [z], { activation: "none", keepDims: false });
    b.output(z);
    expect(lower(b.build()).constants.filter((constant) => constant.data.length === 16)).toHaveLength(1);
  });

  test("an output that is an input gets bytes of its own", () => {
    const b = new GraphBuilder("identity");
    const x = b.input("x", tensor([2, 3]));
    const y = b.value("y", tensor([6]));
    b.node("reshape", [x], [y], { shape: [6] });
    b.output(y);
    const program = lower(b.build());
    expect(program.steps.map((step) => step.op)).toEqual(["copy"]);
    expect(program.outputs[0]!.buffer).not.toBe(program.inputs[0]!.buffer);
    expect(evaluate(b.build(), [bytes(6)])).toEqual([bytes(6)]);
  });

  test("the C library names its sizes and holds no allocation", () => {
    const program = lower(network());
    const library = printCLibrary(program, separatePlacement(program), "three_layers");
    expect([...library.keys()]).toEqual(["three_layers.h", "three_layers.c", "three_layers_weights.h", "three_layers_weights.c"]);
    expect(library.get("three_layers.h")).toContain("#define THREE_LAYERS_INPUT0_BYTES 8");
    expect(library.get("three_layers.c")).not.toMatch(/malloc|static [^(]*\[\d*\] = /);
  });
});
