import { describe, expect, test } from "vitest";
import { bytesOf, elementCount, Xorshift32 } from "../base/index.ts";
import { compileGraph } from "../driver/index.ts";
import { type Graph, GraphBuilder, type Value } from "../graph/index.ts";
import { applyOp, type OpName } from "../ops/index.ts";
import { createJsRunner } from "../targets/js/index.ts";
import { differentiate } from "./differentiate.ts";
import { fuseUpdates } from "./fuse-updates.ts";

const WINDOW = { strideH: 2, strideW: 1, padTop: 1, padBottom: 1, padLeft: 1, padRight: 1, activation: "none" };
const DENSE = { activation: "none", keepDims: false };

interface Layer {
  readonly op: OpName;
  readonly x: number[];
  readonly w: number[];
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** Channels that learn, and an update of integers instead of floats. */
  readonly channels: number;
  readonly integers: boolean;
}

const LAYERS: readonly Layer[] = [
  { op: "conv2d", x: [1, 6, 5, 4], w: [3, 3, 3, 4], attributes: WINDOW, channels: 4, integers: false },
  { op: "conv2d", x: [1, 6, 5, 4], w: [3, 3, 3, 4], attributes: WINDOW, channels: 2, integers: true },
  { op: "depthwiseConv2d", x: [1, 6, 5, 4], w: [1, 3, 3, 4], attributes: { ...WINDOW, depthMultiplier: 1 }, channels: 4, integers: true },
  { op: "depthwiseConv2d", x: [1, 6, 5, 4], w: [1, 3, 3, 4], attributes: { ...WINDOW, depthMultiplier: 1 }, channels: 4, integers: false },
  { op: "fullyConnected", x: [2, 6], w: [3, 6], attributes: DENSE, channels: 5, integers: false },
];

/** One layer, the sum of its results as loss, and an update of the weights that learn, or of int8 ones in their place. */
function stepOf({ op, x: shape, w, attributes, channels, integers }: Layer): Graph {
  const random = new Xorshift32(5);
  const builder = new GraphBuilder("step");
  const x = builder.input("x", { dtype: "float32", shape });
  const rate = builder.input("rate", { dtype: "float32", shape: [1] });
  const part = (count: number): { dtype: "float32"; shape: number[]; data: Float32Array } => {
    const partShape = [...w.slice(0, -1), count];
    return { dtype: "float32", shape: partShape, data: Float32Array.from({ length: elementCount(partShape) }, () => random.float()) };
  };
  const [head, rest] = [part(channels), part(w.at(-1)! - channels)];
  const weights = builder.variable("w", { dtype: "float32", shape: head.shape }, head.data);
  const quantization = { scales: [0.01], zeroPoints: [0], axis: 0 };
  const stored = builder.variable("stored", { dtype: "int8", shape: head.shape, quantization }, new Int8Array(head.data.length));
  const frozen = (): Value => builder.constant("frozen", { dtype: "float32", shape: rest.shape }, rest.data);
  const whole = rest.data.length === 0 ? weights : applyOp(builder, "concatenation", [weights, frozen()], { axis: w.length - 1 })[0]!;
  const y = applyOp(builder, op, [x, whole, null], attributes)[0]!;
  const [gradient] = differentiate(builder, y, [weights], new Map([[whole, channels]])) as [Value];
  if (integers) {
    const bits = builder.variable("random", { dtype: "int32", shape: [1] }, Int32Array.of(9));
    builder.node("quantizedDescentUpdate", [stored, bits, gradient, rate], [], { scaled: true }, "update");
  } else builder.node("descentUpdate", [weights, gradient, rate], [], { weightDecay: 0.01 }, "update");
  builder.output(integers ? stored : weights);
  return builder.build();
}

function learned(graph: Graph): string {
  const { program, plan } = compileGraph(graph, { target: "plain" });
  const runner = createJsRunner(program, plan);
  const random = new Xorshift32(6);
  for (let k = 0; k < 3; k++) {
    runner.setInput(0, bytesOf(Float32Array.from({ length: elementCount(graph.inputs[0]!.shape) }, () => random.float())));
    runner.setInput(1, bytesOf(Float32Array.of(0.03)));
    runner.run();
  }
  return Buffer.from(runner.output(0)).toString("hex");
}

describe("a gradient and its update joined", () => {
  test.each(LAYERS)("$op of $w, $channels channels", (layer) => {
    const apart = stepOf(layer);
    const together = fuseUpdates(apart);
    const ops = together.nodes.map(({ op }) => op);
    expect(ops).toContain(layer.op === "depthwiseConv2d" ? "depthwiseConv2dFilterUpdate" : "conv2dFilterUpdate");
    expect(ops.filter((op) => op.endsWith("FilterGradient") || op === "slice")).toEqual([]);
    expect(learned(together)).toBe(learned(apart));
  });

  test("a gradient that somebody else reads stays", () => {
    const step = stepOf(LAYERS[0]!);
    const gradient = step.nodes.find(({ op }) => op === "conv2dFilterGradient")!.outputs[0]!;
    expect(fuseUpdates({ ...step, outputs: [gradient] }).nodes.map(({ op }) => op)).toContain("descentUpdate");
  });
});
