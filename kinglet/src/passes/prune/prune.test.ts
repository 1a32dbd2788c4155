import { describe, expect, test } from "vitest";
import { bytesOf, Xorshift32 } from "../../base/index.ts";
import { calibrate, compileGraph } from "../../driver/index.ts";
import { type Graph, GraphBuilder, type Value } from "../../graph/index.ts";
import { createJsRunner } from "../../targets/js/index.ts";
import { TrainingSession } from "../../train/index.ts";
import { dsCnn, mcunet, mobilenetV3, resnet8, shufflenetV2 } from "../../zoo/index.ts";
import { applyOp } from "../../ops/index.ts";
import { prepareForQuantization, pruneChannels, quantizeGraph, withBatch } from "../index.ts";
import { trainableParametersOf } from "../../ops/index.ts";

function outputOf(graph: Graph, seed = 5): Float32Array {
  const { program, plan } = compileGraph(graph, { target: "plain" });
  const runner = createJsRunner(program, plan);
  const random = new Xorshift32(seed);
  graph.inputs.forEach((input, i) =>
    runner.setInput(i, bytesOf(Float32Array.from({ length: input.shape.reduce((p, d) => p * d, 1) }, () => random.float()))),
  );
  runner.run();
  return new Float32Array(runner.output(0).slice().buffer);
}

class Net {
  readonly builder = new GraphBuilder("net");
  private readonly random = new Xorshift32(3);

  input(shape: number[]): Value {
    return this.builder.input("x", { dtype: "float32", shape });
  }

  constant(name: string, shape: number[], dead: readonly number[] = [], axis = 0): Value {
    const inner = shape.slice(axis + 1).reduce((p, d) => p * d, 1);
    const data = Float32Array.from({ length: shape.reduce((p, d) => p * d, 1) }, (_, i) => {
      const value = 0.2 + this.random.float();
      return dead.includes(Math.floor(i / inner) % shape[axis]!) ? 0 : value;
    });
    return this.builder.constant(name, { dtype: "float32", shape }, data);
  }

  /** A 1x1 convolution some of whose outputs are always 0. */
  conv(name: string, x: Value, channels: number, dead: readonly number[]): Value {
    const weights = this.constant(`${name}_w`, [channels, 1, 1, x.shape[3]!], dead);
    return this.apply("conv2d", name, [x, weights, this.constant(`${name}_b`, [channels], dead)], WINDOW);
  }

  apply(op: string, name: string, inputs: (Value | null)[], attributes = {}): Value {
    return applyOp(this.builder, op, inputs, attributes, name)[0]!;
  }

  /** Flattened, to three scores. */
  end(x: Value): Graph {
    const flat = this.apply("reshape", "flat", [x], { shape: [x.shape[0]!, x.shape[1]! * x.shape[2]! * x.shape[3]!] });
    const scores = this.apply("fullyConnected", "scores", [flat, this.constant("scores_w", [3, flat.shape[1]!]), null], DENSE);
    this.builder.output(scores);
    return this.builder.build();
  }
}

const DENSE = { activation: "none", keepDims: false };
const WINDOW = { strideH: 1, strideW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0, activation: "none" };
const DEAD = { layers: { a: 0.34 } };

describe("channels that are always 0 can go without a trace", () => {
  const expectNoTrace = (graph: Graph, options: Parameters<typeof pruneChannels>[1], removed: number[][]): void => {
    const pruned = pruneChannels(graph, options);
    expect(pruned.removed.map(({ channels }) => channels)).toEqual(removed);
    const [before, after] = [outputOf(graph), outputOf(pruned.graph)];
    after.forEach((y, i) => expect(Math.abs(y - before[i]!)).toBeLessThan(1e-4));
    expect(pruned.parameters.after).toBe(trainableParametersOf(pruned.graph));
    expect(pruned.macs.after).toBe(compileGraph(pruned.graph, { target: "plain" }).macs);
    expect(pruned.macs.after).toBeLessThan(pruned.macs.before);
  };

  test("through a flattened map", () => {
    const net = new Net();
    expectNoTrace(net.end(net.conv("a", net.input([2, 3, 2, 4]), 6, [1, 4])), DEAD, [[1, 4]]);
  });

  test("into a fully connected layer that flattens by itself", () => {
    const net = new Net();
    const x = net.conv("a", net.input([2, 3, 2, 4]), 6, [1, 4]);
    net.builder.output(net.apply("fullyConnected", "scores", [x, net.constant("scores_w", [3, 36]), null], DENSE));
    expectNoTrace(net.builder.build(), DEAD, [[1, 4]]);
  });

  test("behind features, which stay as they are whatever they compute", () => {
    const net = new Net();
    const features = net.apply("transpose", "features", [net.input([2, 2, 3, 4])], { permutation: [0, 2, 1, 3] });
    expectNoTrace(net.end(net.conv("a", features, 6, [1, 4])), DEAD, [[1, 4]]);
  });

  test("through a concatenation, at its offset", () => {
    const net = new Net();
    const x = net.input([2, 3, 2, 4]);
    const joined = net.apply("concatenation", "join", [net.conv("b", x, 5, []), net.conv("a", x, 6, [0, 5])], { axis: 3, activation: "none" });
    expectNoTrace(net.end(net.conv("c", joined, 4, [])), DEAD, [[0, 5]]);
  });

  test("in both operands of a sum", () => {
    const net = new Net();
    const x = net.input([2, 3, 2, 4]);
    const sum = net.apply("add", "sum", [net.conv("a", x, 6, [2, 3]), net.conv("b", x, 6, [2, 3])], { activation: "relu" });
    expectNoTrace(net.end(sum), DEAD, [[2, 3]]);
  });

  test("through a depthwise layer that multiplies channels", () => {
    const net = new Net();
    const wide = net.constant("wide_w", [1, 3, 3, 12]);
    const x = net.conv("a", net.input([2, 4, 4, 3]), 6, [1, 4]);
    expectNoTrace(net.end(net.apply("depthwiseConv2d", "wide", [x, wide, null], { ...WINDOW, depthMultiplier: 2 })), DEAD, [[1, 4]]);
  });

  test("through a split, of which no part is emptied", () => {
    const net = new Net();
    const x = net.conv("a", net.input([2, 3, 2, 4]), 6, [0, 4, 5]);
    const [first, second] = applyOp(net.builder, "split", [x], { axis: 3, sizes: [2, 4] }, "parts");
    const parts = [net.conv("b", first!, 3, []), net.conv("c", second!, 3, [])];
    expectNoTrace(net.end(net.apply("add", "sum", parts, { activation: "none" })), { layers: { a: 0.5 } }, [[0], [4, 5]]);
  });
});

describe("half the work of", () => {
  const NETWORKS: readonly (readonly [string, Graph])[] = [
    ["resnet8", resnet8({ resolution: 8 })],
    ["ds-cnn", dsCnn({ variant: "digits", size: [8, 8] })],
    ["mcunet in0", mcunet({ variant: "in0", resolution: 32 })],
    ["mobilenet v3 with gates", mobilenetV3({ resolution: 32, width: 0.5 })],
  ];
  test.each(NETWORKS)("%s", (_, graph) => {
    const { graph: pruned, macs, removed, parameters } = pruneChannels(graph, { macs: 0.5, multiple: 4 });
    expect(macs.after).toBeLessThanOrEqual(macs.before / 2);
    expect(macs.after).toBeGreaterThan(macs.before * 0.45);
    expect(trainableParametersOf(pruned)).toBe(parameters.after);
    expect(compileGraph(pruned, { target: "wasm" }).macs).toBe(macs.after);
    expect(pruned.outputs[0]!.shape).toEqual(graph.outputs[0]!.shape);
    for (const { of, channels } of removed) expect((of - channels.length) % 4).toBe(0);
  });
});

test("a residual network's shared channels go in all layers of the sum, by γ", () => {
  const graph = resnet8({ resolution: 8 });
  const scale = graph.values.find(({ name }) => name === "conv_scale")!;
  const other = graph.values.find(({ name }) => name === "stack_1_b_scale")!;
  for (const value of [scale, other]) (value.data as Float32Array).set([0.1, 0.2], 4);
  const { removed } = pruneChannels(graph, { layers: { conv: 0.125 }, by: "gamma" });
  expect(removed).toEqual([{ layers: ["conv", "stack_1_b"], channels: [4, 5], of: 16 }]);
});

test("what is left trains on and quantizes", () => {
  const net = new Net();
  const { graph } = pruneChannels(net.end(net.conv("b", net.conv("a", net.input([1, 2, 2, 4]), 8, []), 8, [])), { parameters: 0.4 });
  const session = new TrainingSession(withBatch(graph, 4), { optimizer: { kind: "sgd" } }, "plain");
  const data = new Float32Array(4 * 16).map((_, i) => (i % 7) / 7);
  const targets = Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0);
  const losses = Array.from({ length: 5 }, () => session.run([data], targets, 0.0001).loss);
  expect(losses.at(-1)).toBeLessThan(losses[0]!);
  const source = prepareForQuantization(graph);
  const quantized = quantizeGraph(source, { ranges: calibrate(source, [[bytesOf(data.slice(0, 16))]]), io: "int8" });
  expect(compileGraph(quantized.graph, { target: "plain" }).macs).toBe(compileGraph(graph, { target: "plain" }).macs);
});

describe("pruning refuses", () => {
  test("operators that mix channels, by name", () => {
    const graph = shufflenetV2({ resolution: 32, width: 0.5 });
    expect(() => pruneChannels(graph, { macs: 0.5 })).toThrow(/channels cannot be followed through \w+ \(node "/);
  });
  test("goals that are out of reach or make no sense", () => {
    const graph = resnet8({ resolution: 8 });
    expect(() => pruneChannels(graph, { macs: 0.001 })).toThrow(/at least 0.125 of each layer/);
    expect(() => pruneChannels(graph, {})).toThrow(/one goal/);
    expect(() => pruneChannels(graph, { layers: { nothing: 0.5 } })).toThrow(/no layer "nothing"/);
    expect(() => pruneChannels(graph, { layers: { logits: 0.5 } })).toThrow(/"logits" has no channels that can be removed/);
  });
});

test("another batch gives every sample the same result", () => {
  const graph = mobilenetV3({ resolution: 32, width: 0.5 });
  const wide = withBatch(graph, 2);
  expect(wide.outputs[0]!.shape[0]).toBe(2);
  expect(outputOf(wide).slice(0, graph.outputs[0]!.shape[1]!)).toEqual(outputOf(graph));
});
