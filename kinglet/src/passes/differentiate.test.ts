import { describe, expect, test } from "vitest";
import { bytesOf, Xorshift32 } from "../base/index.ts";
import { compileGraph } from "../driver/index.ts";
import { type Graph, GraphBuilder, type Value } from "../graph/index.ts";
import { applyOp, caseContents, findGradient, OPS, type OpCase, type OpDef } from "../ops/index.ts";
import { createJsRunner } from "../targets/js/index.ts";
import { differentiate } from "./differentiate.ts";

/** What the loss Σ r · y of a case is for given inputs, and its gradients with respect to the float inputs. */
interface Checked {
  readonly inputs: Float32Array[];
  readonly loss: (inputs: readonly Float32Array[]) => number;
  readonly gradients: readonly (Float32Array | null)[];
}

function caseGraph(
  op: OpDef,
  example: OpCase,
  random: Xorshift32,
): { graph: Graph; reached: boolean[]; contents: Float32Array[]; rest: Uint8Array[] } {
  const builder = new GraphBuilder(`gradient of ${op.name}`);
  const contents: Float32Array[] = [];
  const rest: Uint8Array[] = [];
  const wanted: Value[] = [];
  const inputs = example.inputs.map((input, i) => {
    if (input === null) return null;
    const value = builder.input(`in${i}`, input);
    const data = caseContents({ ...input, low: input.low ?? -1, high: input.high ?? 1 }, random);
    if (input.dtype === "float32") {
      wanted.push(value);
      contents.push(data as Float32Array);
    } else rest.push(bytesOf(data).slice());
    return value;
  });
  const outputs = applyOp(builder, op.name, inputs, example.attributes, op.name);
  // Only the first output: statistics of a normalization have no gradient.
  const factors = caseContents({ dtype: "float32", shape: outputs[0]!.shape, low: -1, high: 1 }, random) as Float32Array;
  const product = applyOp(builder, "mul", [outputs[0]!, builder.constant("r", outputs[0]!, factors)], { activation: "none" })[0]!;
  builder.output(product);
  const gradients = differentiate(builder, product, wanted);
  for (const gradient of gradients) if (gradient !== null) builder.output(gradient);
  return { graph: builder.build(), reached: gradients.map((gradient) => gradient !== null), contents, rest };
}

function checked(op: OpDef, example: OpCase, random: Xorshift32): Checked {
  const { graph, reached, contents, rest } = caseGraph(op, example, random);
  const { program, plan } = compileGraph(graph, { target: "plain" });
  const runner = createJsRunner(program, plan);
  const run = (inputs: readonly Float32Array[]): Float32Array[] => {
    let [floats, others] = [0, 0];
    graph.inputs.forEach((value, i) => runner.setInput(i, value.dtype === "float32" ? bytesOf(inputs[floats++]!) : rest[others++]!));
    runner.run();
    return graph.outputs.map((_, i) => new Float32Array(runner.output(i).slice().buffer));
  };
  const outputs = run(contents).slice(1);
  return {
    inputs: contents,
    loss: (inputs) => run(inputs)[0]!.reduce((sum, y) => sum + y, 0),
    gradients: reached.map((is) => (is ? outputs.shift()! : null)),
  };
}

/** Central differences at a few elements of an input; steps are not tiny because the network computes in single precision. */
function expectSlopes({ inputs, loss, gradients }: Checked, which: number, random: Xorshift32): void {
  const gradient = gradients[which]!;
  const tolerance = 0.02 * Math.max(0.05, ...gradient.map(Math.abs));
  const step = 2 ** -8;
  const here = loss(inputs);
  let compared = 0;
  for (let n = 0; n < 60 && compared < 12; n++) {
    const at = random.int(0, gradient.length - 1);
    const moved = (by: number): number => loss(inputs.map((data, i) => (i === which ? data.map((x, j) => (j === at ? x + by : x)) : data)));
    const [after, before] = [(moved(step) - here) / step, (here - moved(-step)) / step];
    // Over a kink both sides differ: there is no slope to compare with.
    if (Math.abs(after - before) > tolerance) continue;
    compared++;
    const slope = (after + before) / 2;
    expect(Math.abs(gradient[at]! - slope), `input ${which}, element ${at}: ${gradient[at]} and ${slope}`).toBeLessThan(tolerance);
  }
  expect(compared).toBeGreaterThan(3);
}

/** Their gradients are not slopes: fake-quantize.test.ts holds them against their definition. */
const STRAIGHT_THROUGH = ["quantize", "dequantize", "fakeQuantize", "fakeQuantizeWeights"];
const differentiable = Object.values(OPS as Record<string, OpDef>).filter(
  (op) => findGradient(op.name) !== undefined && !STRAIGHT_THROUGH.includes(op.name),
);
/** Examples with no slope to compare with: powers of negative numbers and results too large for differences in single precision. */
const WITHOUT_SLOPE: Readonly<Record<string, readonly string[]>> = { pow: ["float", "float of any sign"] };
const isFloatCase = (example: OpCase): boolean =>
  example.outputs[0]?.dtype === "float32" && example.inputs.every((input) => input === null || input.dtype !== "int8");

describe.each(differentiable)("the gradient of $name", (op) => {
  const cases = op.cases.filter((example) => isFloatCase(example) && !WITHOUT_SLOPE[op.name]?.includes(example.name));
  test("has a case to be checked with", () => expect(cases.length).toBeGreaterThan(0));
  test.each(cases)("agrees with finite differences: $name", (example) => {
    const random = new Xorshift32(7);
    const all = checked(op, example, random);
    expect(all.gradients.some((gradient) => gradient !== null)).toBe(true);
    all.gradients.forEach((gradient, i) => {
      if (gradient !== null) expectSlopes(all, i, random);
    });
  });
});

test("all operators without a gradient are named, those behind others too", () => {
  const builder = new GraphBuilder("no gradient");
  const x = builder.input("x", { dtype: "float32", shape: [2, 3] });
  const [first] = applyOp(builder, "floor", [x], {}, "first");
  const [second] = applyOp(builder, "round", [applyOp(builder, "tanh", [first!])[0]!], {}, "second");
  expect(() => differentiate(builder, second!, [x])).toThrow('round has no gradient (node "second"); floor has no gradient (node "first")');
});

test("what is not wanted gets no backward part", () => {
  const builder = new GraphBuilder("frozen");
  const float = (shape: number[]): { dtype: "float32"; shape: number[] } => ({ dtype: "float32", shape });
  const x = builder.input("x", float([4, 6]));
  const weights = [
    [5, 6],
    [3, 5],
  ].map((shape, i) => builder.constant(`w${i}`, float(shape), new Float32Array(shape[0]! * shape[1]!).fill(0.1)));
  const dense = { activation: "none", keepDims: false };
  const hidden = applyOp(builder, "fullyConnected", [x, weights[0]!, null], dense)[0]!;
  const y = applyOp(builder, "fullyConnected", [hidden, weights[1]!, null], dense)[0]!;
  const forward = builder.written.length;
  differentiate(builder, y, [weights[1]!]);
  const backward = builder.written.slice(forward).map(({ op }) => op);
  expect(backward.filter((op) => op.endsWith("Gradient"))).toEqual(["conv2dFilterGradient"]);
});
