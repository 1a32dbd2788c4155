import { describe, expect, it } from "vitest";
import { bytesOf, fromBytes } from "../../base/index.ts";
import { execute } from "../../driver/index.ts";
import type { Graph } from "../../graph/index.ts";
import { readOnnx } from "./read.ts";
import { floats, longs, type TestNode, testOnnx } from "./test-model.ts";

const [FLOAT, INT64] = [1, 7];
const CONSTANTS = [
  { name: "most", dims: [1], type: INT64, raw: longs(3) },
  { name: "overlap", dims: [1], type: FLOAT, raw: floats(0.5) },
  { name: "score", dims: [1], type: FLOAT, raw: floats(0.2) },
  { name: "two", dims: [1], type: INT64, raw: longs(2) },
  { name: "zero", dims: [1], type: INT64, raw: longs(0) },
  { name: "flat", dims: [1], type: INT64, raw: longs(-1) },
  { name: "all", dims: [2], type: INT64, raw: longs(5, 4) },
];

const SUPPRESSION: TestNode = { op: "NonMaxSuppression", inputs: ["boxes", "scores", "most", "overlap", "score"], outputs: ["rows"] };

/** Boxes [1, 5, 4] with scores of one class, chosen, and then the nodes. */
function detector(outputs: readonly string[], ...nodes: readonly TestNode[]): Graph {
  const inputs = [
    { name: "boxes", type: FLOAT, dims: [1, 5, 4] },
    { name: "scores", type: FLOAT, dims: [1, 1, 5] },
  ];
  return readOnnx(testOnnx({ inputs, outputs, tensors: CONSTANTS, nodes: [SUPPRESSION, ...nodes] }), "detector");
}

const BOXES = Float32Array.of(0, 0, 1, 1, 0, 0.1, 1, 1.1, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 9.5, 9.5);

async function run(graph: Graph, scores: readonly number[]): Promise<number[][]> {
  const { outputs } = await execute(graph, "plain", [[bytesOf(BOXES), bytesOf(Float32Array.from(scores))]]);
  return graph.outputs.map(({ dtype }, i) => Array.from<number | bigint, number>(fromBytes(dtype, outputs[0]![i]!), Number));
}

describe("boxes that contents choose", () => {
  it("are given at their greatest number, with a count behind the file's own outputs", async () => {
    const graph = detector(["rows"]);
    expect(graph.outputs.map(({ name, shape }) => [name, shape])).toEqual([
      ["rows", [3, 3]],
      ["rows.count", [1]],
    ]);
    expect(await run(graph, [0.9, 0.8, 0.1, 0.3, 0.1])).toEqual([[0, 0, 0, 0, 0, 3, 0, 0, 0], [2]]);
    expect(await run(graph, [0.1, 0.1, 0.1, 0.1, 0.1])).toEqual([new Array(9).fill(0), [0]]);
  });

  it("are looked up row by row", async () => {
    const graph = detector(
      ["found", "best"],
      { op: "Gather", inputs: ["rows", "two"], outputs: ["column"], attributes: { axis: { int: 1 } } },
      { op: "Reshape", inputs: ["column", "flat"], outputs: ["numbers"] },
      { op: "Reshape", inputs: ["boxes", "all"], outputs: ["table"] },
      { op: "Gather", inputs: ["table", "numbers"], outputs: ["found"] },
      { op: "Reshape", inputs: ["scores", "flat"], outputs: ["line"] },
      { op: "GatherND", inputs: ["line", "column"], outputs: ["best"] },
    );
    expect(graph.outputs.map(({ name }) => name)).toEqual(["found", "best", "found.count", "best.count"]);
    const [found, best, ...counts] = await run(graph, [0.25, 0.1, 0.5, 0.1, 0.75]);
    expect(found).toEqual([9, 9, 9.5, 9.5, 5, 5, 6, 6, 0, 0, 1, 1]);
    expect(best).toEqual([0.75, 0.5, 0.25]);
    expect(counts).toEqual([[3], [3]]);
  });

  it.each<[string, TestNode]>([
    ["their shape", { op: "Shape", inputs: ["rows"], outputs: ["y"] }],
    ["their sum", { op: "ReduceSum", inputs: ["rows"], outputs: ["y"] }],
    ["one row", { op: "Gather", inputs: ["rows", "zero"], outputs: ["y"] }],
    ["their order", { op: "Transpose", inputs: ["rows"], outputs: ["y"] }],
    ["what makes no row of each", { op: "Reshape", inputs: ["rows", "flat"], outputs: ["y"] }],
    ["more of them", { op: "Concat", inputs: ["rows", "rows"], outputs: ["y"], attributes: { axis: { int: 0 } } }],
  ])("are refused where something asks for %s", (_, node) => {
    expect(() => detector(["y"], node)).toThrow(/how many rows its input has depends on contents/);
  });
});

describe("MaxUnpool", () => {
  it("puts elements where a pool found them, in its own shape, and that in the corner of a larger one", async () => {
    const model = (outputs: readonly number[]): Graph =>
      readOnnx(
        testOnnx({
          inputs: [{ name: "x", type: FLOAT, dims: [1, 1, 2, 2] }],
          outputs: ["y"],
          tensors: [
            { name: "places", dims: [1, 1, 2, 2], type: INT64, raw: longs(5, 7, 13, 15) },
            { name: "size", dims: [4], type: INT64, raw: longs(1, 1, ...outputs) },
          ],
          nodes: [
            {
              op: "MaxUnpool",
              inputs: ["x", "places", "size"],
              outputs: ["y"],
              attributes: { kernel_shape: { ints: [2, 2] }, strides: { ints: [2, 2] } },
            },
          ],
        }),
        "unpool",
      );
    const x = bytesOf(Float32Array.of(1, 2, 3, 4));
    const numbersOf = async (graph: Graph): Promise<number[]> =>
      [...fromBytes("float32", (await execute(graph, "plain", [[x]])).outputs[0]![0]!)].map(Number);
    expect(await numbersOf(model([4, 4]))).toEqual([0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 3, 0, 4]);
    expect(await numbersOf(model([5, 5]))).toEqual([0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0, 0, 0]);
    expect(() => model([3, 4])).toThrow(/smaller/);
  });
});
