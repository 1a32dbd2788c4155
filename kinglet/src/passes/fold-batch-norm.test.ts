import { describe, expect, test } from "vitest";
import { elementCount, Xorshift32 } from "../base/index.ts";
import { type Attributes, type Graph, GraphBuilder, type Value, type ValueType } from "../graph/index.ts";
import { evaluate } from "../targets/js/index.ts";
import { foldBatchNorm } from "./fold-batch-norm.ts";
import { runPasses } from "./index.ts";

const random = new Xorshift32(5);
const draw = (count: number, low = -1, high = 1): Float32Array =>
  Float32Array.from({ length: count }, () => low + ((high - low) * (random.float() + 1)) / 2);
const floats = (shape: readonly number[]): ValueType => ({ dtype: "float32", shape });
const WINDOW = { strideH: 1, strideW: 1, padTop: 1, padBottom: 1, padLeft: 1, padRight: 1, activation: "none" };

interface Layer {
  readonly op: string;
  readonly input: readonly number[];
  readonly weights: readonly number[];
  readonly output: readonly number[];
  readonly attributes: Attributes;
}

const LAYERS: readonly Layer[] = [
  { op: "conv2d", input: [2, 4, 5, 4], weights: [6, 3, 3, 4], output: [2, 4, 5, 6], attributes: WINDOW },
  { op: "conv2d", input: [1, 4, 5, 4], weights: [6, 3, 3, 2], output: [1, 4, 5, 6], attributes: WINDOW },
  {
    op: "depthwiseConv2d",
    input: [1, 4, 5, 3],
    weights: [1, 3, 3, 6],
    output: [1, 4, 5, 6],
    attributes: { ...WINDOW, depthMultiplier: 2 },
  },
  { op: "fullyConnected", input: [3, 7], weights: [6, 7], output: [3, 6], attributes: { activation: "none", keepDims: false } },
];

interface Choices {
  readonly bias?: boolean;
  /** The layer's own activation, and that of the normalization. */
  readonly layer?: string;
  readonly norm?: string;
  /** Also an output of the network. */
  readonly sumsAreOutput?: boolean;
  readonly inputStatistics?: boolean;
}

function network({ op, input, weights, output, attributes }: Layer, choices: Choices = {}): Graph {
  const b = new GraphBuilder("layer and normalization");
  const x = b.input("x", floats(input));
  const channels = output[output.length - 1]!;
  const constant = (name: string, shape: readonly number[], low = -1, high = 1): Value =>
    b.constant(name, floats(shape), draw(elementCount(shape), low, high));
  const sums = b.value("sums", floats(output));
  const bias = choices.bias === true ? constant("b", [channels]) : null;
  b.node(op, [x, constant("w", weights), bias], [sums], { ...attributes, activation: choices.layer ?? "none" });
  const y = b.value("y", floats(output));
  const mean = choices.inputStatistics === true ? b.input("mean", floats([channels])) : constant("mean", [channels]);
  const statistics = [constant("scale", [channels]), constant("offset", [channels]), mean, constant("variance", [channels], 0.01, 3)];
  b.node("batchNorm", [sums, ...statistics], [y], { epsilon: 1e-3, activation: choices.norm ?? "none" });
  b.output(y);
  if (choices.sumsAreOutput === true) b.output(sums);
  return b.build();
}

function expectSameResult(before: Graph, after: Graph): void {
  const inputs = before.inputs.map(({ shape }) => draw(elementCount(shape)));
  const [a, b] = [evaluate(before, inputs)[0] as Float32Array, evaluate(after, inputs)[0] as Float32Array];
  const largest = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expect(largest).toBeGreaterThan(0.1);
  a.forEach((value, i) => expect(Math.abs(value - b[i]!) / largest).toBeLessThan(1e-5));
}

const operators = (graph: Graph): string[] => graph.nodes.map(({ op }) => op);

describe("a batch normalization behind a layer", () => {
  describe.each(LAYERS)("$op of $weights", (layer) => {
    test.each([
      { bias: false, norm: "none" },
      { bias: true, norm: "relu6" },
    ])("folds: %o", (choices) => {
      const before = network(layer, choices);
      const after = runPasses(before);
      expect(operators(after)).toEqual([layer.op]);
      expect(after.nodes[0]!.attributes["activation"]).toBe(choices.norm);
      expectSameResult(before, after);
    });
  });

  const layer = LAYERS[0]!;
  test.each([
    ["the layer has an activation of its own", { layer: "relu" }],
    ["the sums are an output too", { sumsAreOutput: true }],
    ["the statistics are no constants", { inputStatistics: true }],
    ["a layer of sums has no such activation", { norm: "tanh" }],
  ])("stays where %s", (_, choices) => {
    const graph = network(layer, choices);
    expect(foldBatchNorm(graph)).toBe(graph);
  });

  test("weights that two layers share become two", () => {
    const b = new GraphBuilder("shared");
    const x = b.input("x", floats([2, 3]));
    const w = b.constant("w", floats([3, 3]), draw(9));
    let y = x;
    for (let i = 0; i < 2; i++) {
      const [sums, next] = [b.value(`sums${i}`, floats([2, 3])), b.value(`y${i}`, floats([2, 3]))];
      b.node("fullyConnected", [y, w, null], [sums], { activation: "none", keepDims: false });
      const statistics = [0, 1, 2, 3].map((j) => b.constant(`s${i}${j}`, floats([3]), draw(3, 0.5, 2)));
      b.node("batchNorm", [sums, ...statistics], [next], { epsilon: 0, activation: "none" });
      y = next;
    }
    b.output(y);
    const before = b.build();
    const after = runPasses(before);
    expect(operators(after)).toEqual(["fullyConnected", "fullyConnected"]);
    expectSameResult(before, after);
  });
});
