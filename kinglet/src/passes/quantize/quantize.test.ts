import { describe, expect, test } from "vitest";
import { bytesOf, decodeFloat16, fromBytes } from "../../base/index.ts";
import type { Graph, Node } from "../../graph/index.ts";
import { evaluate } from "../../targets/js/index.ts";
import { absorbBias } from "./absorb.ts";
import { Edits, equalize, layerPairs } from "./equalize.ts";
import { Histogram, RangeObserver } from "./histogram.ts";
import { layerView, outputRanges } from "./layer.ts";
import { prepareForQuantization, quantizeGraph } from "./quantize.ts";
import { quantizationFor, type Range } from "./scale.ts";
import { imbalanced, TestNetwork, WINDOW } from "./test-networks.ts";
import { quantizeDynamic, roundToFloat16 } from "./weight-only.ts";

const spread = (graph: Graph, range: Range = { low: -4, high: 4 }): ReadonlyMap<number, Range> =>
  new Map(graph.values.map((value) => [value.id, range]));

function nodeOf(graph: Graph, op: string): Node {
  return graph.nodes.find((node) => node.op === op)!;
}

/** Conv, max pool, softmax over a concatenation with a sigmoid of the same, an operator without a rule, and a padding. */
function mixed(): Graph {
  const net = new TestNetwork("mixed");
  const x = net.input([1, 4, 4, 3]);
  const y = net.conv(x, 6, "relu");
  const pooled = net.node("maxPool2d", [y], [1, 2, 2, 6], { ...WINDOW, filterH: 2, filterW: 2, strideH: 2, strideW: 2 });
  const padded = net.node("pad", [pooled], [1, 3, 3, 6], { before: [0, 1, 1, 0], after: [0, 0, 0, 0], value: 1.5 });
  const gate = net.node("logistic", [padded], [1, 3, 3, 6]);
  const joined = net.node("concatenation", [padded, gate], [1, 3, 3, 12], { axis: 3 });
  const sine = net.node("sin", [joined], [1, 3, 3, 12]);
  const sum = net.node("add", [sine, net.constant("c", [12])], [1, 3, 3, 12], { activation: "none" });
  return net.finish(net.node("softmax", [sum], [1, 3, 3, 12], { beta: 1 }));
}

describe("quantizeGraph", () => {
  const source = prepareForQuantization(mixed());
  const model = quantizeGraph(source, { ranges: spread(source) });

  test("keeps what has no rule in floating point, and says why", () => {
    expect(model.kept.map(({ source: node, why }) => [node.op, why])).toEqual([["sin", "there is no integer rule for sin"]]);
    const sine = nodeOf(model.graph, "sin");
    expect(sine.inputs[0]!.dtype).toBe("float32");
    expect(model.graph.nodes.filter((node) => node.op === "dequantize")).toHaveLength(2);
  });

  test("takes fixed scales where the specification has them", () => {
    expect(nodeOf(model.graph, "softmax").outputs[0]!.quantization).toEqual({ scales: [1 / 256], zeroPoints: [-128], axis: 0 });
    expect(nodeOf(model.graph, "logistic").outputs[0]!.quantization).toEqual({ scales: [1 / 256], zeroPoints: [-128], axis: 0 });
  });

  test("shares one scale across pools and paddings, and converts what has a given one", () => {
    const [pool, pad, join] = [nodeOf(model.graph, "maxPool2d"), nodeOf(model.graph, "pad"), nodeOf(model.graph, "concatenation")];
    expect(pool.outputs[0]!.quantization).toEqual(pool.inputs[0]!.quantization);
    expect(pad.outputs[0]!.quantization).toEqual(pad.inputs[0]!.quantization);
    expect(join.inputs.map((value) => value!.quantization)).toEqual([join.outputs[0]!.quantization, join.outputs[0]!.quantization]);
    expect(pad.attributes["value"]).toBe(Math.round(1.5 / pad.outputs[0]!.quantization!.scales[0]!) + pad.outputs[0]!.quantization!.zeroPoints[0]!);
  });

  test("weights are symmetric by output channel, biases have the product of the scales", () => {
    const [x, w, bias] = nodeOf(model.graph, "conv2d").inputs;
    expect(w!.quantization).toMatchObject({ zeroPoints: [0, 0, 0, 0, 0, 0], axis: 0 });
    expect(Math.min(...(w!.data as Int8Array))).toBeGreaterThanOrEqual(-127);
    expect(bias).toMatchObject({ dtype: "int32", quantization: { zeroPoints: [0, 0, 0, 0, 0, 0] } });
    w!.quantization!.scales.forEach((scale, o) => {
      expect(bias!.quantization!.scales[o]).toBe(Math.fround(x!.quantization!.scales[0]! * scale));
      expect(Math.max(...Array.from((w!.data as Int8Array).subarray(o * 3, o * 3 + 3), Math.abs))).toBe(127);
    });
    const four = nodeOf(quantizeGraph(source, { ranges: spread(source), bits: 4, perAxis: false }).graph, "conv2d").inputs[1]!;
    expect(four.quantization!.scales).toHaveLength(1);
    expect(Math.max(...Array.from(four.data as Int8Array, Math.abs))).toBe(7);
  });

  test("the border has the type that is asked for", () => {
    for (const io of ["float", "int8", "int16"] as const) {
      for (const activations of ["int8", "int16"] as const) {
        const { graph } = quantizeGraph(source, { ranges: spread(source), io, activations });
        const dtype = io === "float" ? "float32" : io;
        expect([graph.inputs[0]!.dtype, graph.outputs[0]!.dtype]).toEqual([dtype, dtype]);
        expect(prepareForQuantization(graph).nodes.length).toBeGreaterThan(5);
      }
    }
  });

  test("16 bits are symmetric, with 64-bit biases, and may be an island", () => {
    const conv = source.nodes.findIndex((node) => node.op === "conv2d");
    const island = quantizeGraph(source, { ranges: spread(source), io: "int8", wide: new Set([conv]) }).graph;
    const node = nodeOf(island, "conv2d");
    expect([node.inputs[0]!.dtype, node.inputs[2]!.dtype, node.outputs[0]!.dtype]).toEqual(["int16", "int64", "int16"]);
    expect(node.outputs[0]!.quantization!.zeroPoints).toEqual([0]);
    expect(nodeOf(island, "maxPool2d").inputs[0]!.dtype).toBe("int8");
  });

  test("a batch norm that does not fold stays in floating point and is named", () => {
    const net = new TestNetwork("norm");
    const statistics = ["scale", "offset", "mean", "variance"].map((name) => net.constant(name, [4], new Float32Array(4).fill(1)));
    const norm = net.node("batchNorm", [net.input([1, 2, 2, 4]), ...statistics], [1, 2, 2, 4], { epsilon: 1e-3, activation: "none" });
    const graph = prepareForQuantization(net.finish(net.conv(norm, 3, "none")));
    const { kept } = quantizeGraph(graph, { ranges: spread(graph) });
    expect(kept.map(({ source: node, why }) => `${node.op}: ${why}`)).toEqual(["batchNorm: there is no integer rule for batchNorm"]);
  });

  test("a missing range and a network without anything to quantize are refused by name", () => {
    expect(() => quantizeGraph(source, { ranges: new Map() })).toThrow(/no calibrated range for/);
    const sines = new TestNetwork("sines");
    const graph = prepareForQuantization(sines.finish(sines.node("sin", [sines.input([4])], [4])));
    expect(() => quantizeGraph(graph, { ranges: spread(graph) })).toThrow(/no integer rule for sin/);
  });

  test("a channel of zeros keeps its bias", () => {
    const net = new TestNetwork("zeros");
    const y = net.node(
      "fullyConnected",
      [net.input([1, 4]), net.constant("w", [2, 4], new Float32Array(8).fill(1, 4)), net.constant("b", [2], Float32Array.of(3, -1))],
      [1, 2],
      {
        activation: "none",
        keepDims: false,
      },
    );
    const graph = net.finish(y);
    const out = evaluate(quantizeGraph(graph, { ranges: spread(graph) }).graph, [Float32Array.of(0, 0, 0, 0)])[0] as Float32Array;
    expect(out[0]).toBeCloseTo(3, 1);
    expect(out[1]).toBeCloseTo(-1, 1);
  });
});

describe("ranges", () => {
  test("int8 holds 0 exactly and covers the range", () => {
    for (const range of [
      { low: -1, high: 3 },
      { low: 0.5, high: 6 },
      { low: -7, high: -2 },
      { low: -1e-3, high: 1e3 },
    ]) {
      const { scale, zeroPoint } = quantizationFor(range, "int8");
      expect(Number.isInteger(zeroPoint)).toBe(true);
      expect((-128 - zeroPoint) * scale).toBeLessThanOrEqual(Math.min(0, range.low) + scale / 2 + 1e-6);
      expect((127 - zeroPoint) * scale).toBeGreaterThanOrEqual(Math.max(0, range.high) - scale / 2 - 1e-6);
    }
    expect(quantizationFor({ low: 0, high: 0 }, "int8")).toEqual({ scale: 1, zeroPoint: -128 });
    expect(quantizationFor({ low: -2, high: 1 }, "int16")).toEqual({ scale: Math.fround(2 / 32767), zeroPoint: 0 });
  });

  /** A bell between −4 and 4, and one outlier. */
  const bell = Float32Array.from({ length: 20_001 }, (_, i) =>
    i === 20_000 ? 40 : Math.sqrt(-2 * Math.log((i + 0.5) / 20_000)) * Math.cos(i * 2.4),
  );

  test("min-max takes all, the others leave the outlier out", () => {
    const observer = new RangeObserver("bell");
    observer.observe(bell);
    const all = observer.range("minmax")!;
    expect(all.high).toBe(40);
    const histogram = new Histogram(all);
    histogram.observe(bell);
    for (const method of ["percentile", "mse", "entropy"] as const) {
      const { low, high } = histogram.choose(method, 99.9);
      expect(high, method).toBeGreaterThan(1.5);
      // One outlier among 20,000 weighs little in their squared error, but 25 times more than a step.
      expect(high, method).toBeLessThan(method === "mse" ? 39 : 20);
      expect(low, method).toBeLessThan(-1.5);
    }
  });

  test("a moving average follows the last samples, and NaN is refused by name", () => {
    const observer = new RangeObserver("the tensor");
    for (let i = 0; i < 60; i++) observer.observe(Float32Array.of(-1, i < 30 ? 1 : 3));
    expect(observer.range("moving-average")!.high).toBeCloseTo(3 - 2 * 0.9 ** 30, 5);
    expect(() => observer.observe(Float32Array.of(1, Number.NaN))).toThrow(/"the tensor" becomes NaN/);
  });
});

function ranges(node: Node): number[] {
  return outputRanges(layerView(node), node.inputs[1]!.data as Float32Array);
}

describe("equalisation", () => {
  test("leaves the floating-point network as it was, to 1e-5, and evens the ranges", () => {
    const source = imbalanced(1000);
    const { graph, pairs, replacedRelu6 } = equalize(source);
    expect([pairs, replacedRelu6]).toEqual([2, []]);
    const x = new TestNetwork("inputs", 4).floats(144);
    const [before, after] = [evaluate(source, [x])[0] as Float32Array, evaluate(graph, [x])[0] as Float32Array];
    const largest = Math.max(...before.map(Math.abs));
    before.forEach((value, i) => expect(Math.abs(value - after[i]!) / largest).toBeLessThan(1e-5));
    const [first, second] = layerPairs(graph).map((pair) => ranges(pair.first));
    expect(Math.max(...first!) / Math.min(...first!)).toBeLessThan(20);
    expect(Math.max(...second!) / Math.min(...second!)).toBeLessThan(20);
  });

  test("gives both layers of a pair the range √(r₁·r₂)", () => {
    const net = new TestNetwork("pair");
    const source = net.finish(net.conv(net.conv(net.input([1, 2, 2, 3]), 4, "relu6"), 2, "none"));
    const before = layerPairs(source)[0]!;
    const reads = (node: Node): number[] =>
      [0, 1, 2, 3].map((c) => Math.max(...[0, 1].map((o) => Math.abs(Number(node.inputs[1]!.data![o * 4 + c])))));
    const wanted = ranges(before.first).map((r, c) => Math.sqrt(r * reads(before.second)[c]!));
    const { graph, replacedRelu6 } = equalize(source);
    const after = layerPairs(graph)[0]!;
    wanted.forEach((want, c) => {
      expect(ranges(after.first)[c]).toBeCloseTo(want, 4);
      expect(reads(after.second)[c]).toBeCloseTo(want, 4);
    });
    expect(replacedRelu6).toEqual([before.first.name]);
    expect(after.first.attributes["activation"]).toBe("relu");
  });

  test("leaves alone what several layers read, or others write to", () => {
    const net = new TestNetwork("branch");
    const a = net.conv(net.input([1, 2, 2, 3]), 3, "relu");
    const sum = net.node("add", [net.conv(a, 3, "none"), a], [1, 2, 2, 3], { activation: "none" });
    expect(layerPairs(net.finish(sum))).toEqual([]);
  });
});

test("an absorbed bias changes nothing where the channel stays above it", () => {
  const net = new TestNetwork("bias");
  const x = net.input([1, 3, 3, 2]);
  const hidden = net.conv(x, 3, "relu");
  const source = net.finish(net.conv(hidden, 2, "none"));
  const lifted = new Edits();
  lifted.of(source.nodes[0]!.inputs[2]!).set([9, 9, 0]);
  const before = lifted.apply(source);
  const channel = (least: number) => ({ mean: 9, deviation: 1, least });
  const { graph, channels } = absorbBias(before, new Map([[source.nodes[0]!.outputs[0]!.id, [channel(7), channel(5), channel(0)]]]));
  expect(channels).toBe(2);
  expect(Array.from(graph.nodes[0]!.inputs[2]!.data as Float32Array)).toEqual([3, 4, 0]);
  const inputs = [net.floats(18)];
  const [want, got] = [evaluate(before, inputs)[0] as Float32Array, evaluate(graph, inputs)[0] as Float32Array];
  want.forEach((value, i) => expect(got[i]).toBeCloseTo(value, 4));
});

describe("weights alone", () => {
  const net = new TestNetwork("weights");
  const x = net.input([1, 4, 4, 5]);
  const source = net.finish(net.conv(net.conv(x, 12, "relu"), 6, "none"));
  const input = net.floats(80);
  const want = evaluate(source, [input])[0] as Float32Array;
  const close = (graph: Graph, digits: number): void =>
    (evaluate(graph, [input])[0] as Float32Array).forEach((value, i) => expect(value).toBeCloseTo(want[i]!, digits));

  test("dynamic range has int8 weights between floats", () => {
    const graph = quantizeDynamic(source);
    expect(graph.nodes.map((node) => node.inputs.map((value) => value!.dtype))).toEqual([
      ["float32", "int8", "float32"],
      ["float32", "int8", "float32"],
    ]);
    close(graph, 1);
  });

  test("half precision rounds to the nearest", () => {
    const graph = roundToFloat16(source);
    const bits = new Uint16Array(1);
    for (const x of graph.nodes[0]!.inputs[1]!.data as Float32Array) {
      bits[0] = 0;
      expect(decodeFloat16(Uint16Array.of(...half(x)))[0]).toBe(x);
    }
    close(graph, 2);
  });
});

/** The half-precision pattern of a number that is one, by trying the neighbours of its truncation. */
function half(x: number): number[] {
  const bits = (fromBytes("uint32", bytesOf(Float32Array.of(x))) as Uint32Array)[0]!;
  return [((bits >>> 16) & 0x8000) | (x === 0 ? 0 : ((((bits >>> 23) & 255) - 112) << 10) | ((bits >>> 13) & 1023))];
}
