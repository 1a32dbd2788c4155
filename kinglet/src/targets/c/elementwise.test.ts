import { describe, expect, test } from "vitest";
import { bytesOf, type TypedArray } from "../../base/index.ts";
import { type Graph, GraphBuilder, type ValueType } from "../../graph/index.ts";
import { createJsRunner, separatePlacement } from "../js/index.ts";
import { lower } from "../lower.ts";
import type { Schedules } from "../../ops/index.ts";
import { tableSum } from "./add.ts";
import { FAST_DSP_SCHEDULES } from "./schedules.ts";

const int8 = (shape: number[], scale: number, zeroPoint: number): ValueType => ({
  dtype: "int8",
  shape,
  quantization: { scales: [scale], zeroPoints: [zeroPoint], axis: 0 },
});

function oneNode(op: string, inputs: ValueType[], output: ValueType, attributes: object): Graph {
  const b = new GraphBuilder("one");
  const values = inputs.map((type, i) => b.input(`x${i}`, type));
  const y = b.value("y", output);
  b.node(op, values, [y], attributes as never);
  b.output(y);
  return b.build();
}

function run(graph: Graph, inputs: readonly TypedArray[], schedules: Schedules): { result: Int8Array; kernel: string } {
  const program = lower(graph, { schedules });
  const runner = createJsRunner(program, separatePlacement(program));
  inputs.forEach((input, i) => runner.setInput(i, bytesOf(input)));
  runner.run();
  return { result: new Int8Array(runner.output(0).slice().buffer), kernel: program.steps[0]!.func };
}

function expectSame(graph: Graph, inputs: readonly TypedArray[], kernel: RegExp): void {
  const fast = run(graph, inputs, FAST_DSP_SCHEDULES);
  expect(fast.kernel).toMatch(kernel);
  const plain = run(graph, inputs, {}).result;
  const wrong = fast.result.findIndex((value, i) => value !== plain[i]);
  expect(wrong === -1 ? undefined : { at: wrong, got: fast.result[wrong], wanted: plain[wrong] }).toBeUndefined();
}

/** Every pair of stored numbers, and three more so that blocks of four leave a rest. */
const COUNT = 65_536 + 3;
const left = Int8Array.from({ length: COUNT }, (_, i) => i >> 8);
const right = Int8Array.from({ length: COUNT }, (_, i) => i);

describe("sums by tables", () => {
  const scales: [number, number, number][] = [
    [0.05, 0.05, 0.05],
    [0.1, 0.003, 0.09],
    [0.0004, 0.07, 0.2],
    [0.023529, 0.019, 0.011],
    [1, 1, 2],
  ];
  test.each(["add", "sub"])("%s gives the specified result for all pairs of numbers", (op) => {
    for (const [sa, sb, sy] of scales)
      for (const [za, zb, zy] of [
        [0, 0, 0],
        [-128, 127, -128],
        [5, -7, 100],
      ] as const)
        for (const activation of ["none", "relu", "relu6"]) {
          const graph = oneNode(op, [int8([COUNT], sa, za), int8([COUNT], sb, zb)], int8([COUNT], sy, zy), { activation });
          expectSame(graph, [left, right], /_table_s8/);
        }
  });

  test("are refused where the result would shift left or leave 32 bits", () => {
    const node = (sy: number): Graph["nodes"][number] =>
      oneNode("add", [int8([256], 1, 0), int8([256], 1, 0)], int8([256], sy, 0), { activation: "none" }).nodes[0]!;
    expect(tableSum(node(1))).toBeDefined();
    expect(tableSum(node(1e-9))).toBeUndefined();
    expect(tableSum(node(1e6))).toBeUndefined();
  });

  test("are not made for a few elements, nor for shapes that broadcast", () => {
    const few = oneNode("add", [int8([100], 1, 0), int8([100], 1, 0)], int8([100], 1, 0), { activation: "none" });
    const broadcast = oneNode("add", [int8([200, 2], 1, 0), int8([2], 1, 0)], int8([200, 2], 1, 0), { activation: "none" });
    for (const graph of [few, broadcast]) expect(lower(graph, { schedules: FAST_DSP_SCHEDULES }).steps[0]!.func).toBe("add_s8");
  });
});

describe("quantization of real numbers", () => {
  test("rounds ties away from zero, clamps, and takes what is no number as the plain loops do", () => {
    for (const [scale, zeroPoint] of [
      [1, 0],
      [0.5, -128],
      [0.00784, 127],
      [0.3, 3],
    ] as const) {
      const near = Array.from({ length: 2400 }, (_, i) => Math.fround((i / 4 - 300) * scale));
      const beside = near.flatMap((x) => [x, Math.fround(x * (1 + 2 ** -23)), Math.fround(x * (1 - 2 ** -23))]);
      const x = Float32Array.from([...beside, NaN, Infinity, -Infinity, 3e38, -3e38, 1e-40, -1e-40, -0, 0.49999997, -0.49999997]);
      expectSame(oneNode("quantize", [{ dtype: "float32", shape: [x.length] }], int8([x.length], scale, zeroPoint), {}), [x], /rounded/);
    }
  });
});

describe("average of a whole map", () => {
  test("gives the specified result, at the ends of its lanes too", () => {
    const attributes = { filterH: 15, filterW: 17, strideH: 1, strideW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0, activation: "none" };
    const graph = oneNode("averagePool2d", [int8([2, 15, 17, 8], 0.1, 3)], int8([2, 1, 1, 8], 0.1, 3), attributes);
    const inputs = [
      Int8Array.from({ length: 2 * 255 * 8 }, (_, i) => (i % 8 < 4 ? -128 : 127)),
      Int8Array.from({ length: 2 * 255 * 8 }, (_, i) => (i * 2654435761) >> 7),
    ];
    for (const input of inputs) expectSame(graph, [input], /global_average/);
  });

  test("is left to the plain loops where more pixels could leave a lane", () => {
    const attributes = { filterH: 16, filterW: 16, strideH: 1, strideW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0, activation: "none" };
    const graph = oneNode("averagePool2d", [int8([1, 16, 16, 4], 0.1, 3)], int8([1, 1, 1, 4], 0.1, 3), attributes);
    expect(lower(graph, { schedules: FAST_DSP_SCHEDULES }).steps[0]!.func).toBe("average_pool_s8");
  });
});
