import { allocate, type TypedArray } from "../../base/index.ts";
import type { Attributes, Graph, Node, Value, ValueType } from "../../graph/index.ts";
import { attributesOf, type BatchNormAttributes, rangeOfDType, type StridedSliceAttributes, type WindowAttributes } from "../../ops/index.ts";

/** Makes the nodes that say together what one node means; values that come into being are new. */
class Respelling {
  readonly values: Value[];
  readonly nodes: Node[] = [];
  private nextId: number;

  constructor(values: readonly Value[]) {
    this.values = [...values];
    this.nextId = values.reduce((most, { id }) => Math.max(most, id + 1), 0);
  }

  value(name: string, { dtype, shape, quantization }: ValueType, data?: TypedArray): Value {
    const made: Value = { id: this.nextId++, name, dtype, shape, ...(quantization && { quantization }), ...(data && { data }) };
    this.values.push(made);
    return made;
  }

  node(op: string, from: Node, inputs: readonly (Value | null)[], output: Value, attributes: Attributes): void {
    this.nodes.push({ op, name: `${from.name}_${op}`, inputs, outputs: [output], attributes });
  }
}

type IsExpressible = (node: Node) => boolean;

/** Nodes in place of one, or false where there are none that mean the same. */
type Rule = (r: Respelling, node: Node, isExpressible: IsExpressible) => boolean;

/** (x − mean) · scale / √(variance + ε) + offset is x·f + g for each channel. */
function batchNorm(r: Respelling, node: Node): boolean {
  const [x, ...statistics] = node.inputs as Value[];
  const { epsilon, activation } = attributesOf<BatchNormAttributes>(node);
  if (statistics.some(({ data }) => data === undefined)) return false;
  const [scale, offset, mean, variance] = statistics.map(({ data }) => data as Float32Array) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const type: ValueType = { dtype: "float32", shape: [scale.length] };
  const factors = scale.map((gamma, c) => gamma / Math.sqrt(variance[c]! + epsilon));
  const shifts = offset.map((beta, c) => beta - mean[c]! * factors[c]!);
  const scaled = r.value(`${node.name}_scaled`, x!);
  r.node("mul", node, [x!, r.value(`${node.name}_factors`, type, factors)], scaled, { activation: "none" });
  const [output, shift] = [node.outputs[0]!, r.value(`${node.name}_shifts`, type, shifts)];
  if (activation !== "tanh") r.node("add", node, [scaled, shift], output, { activation });
  else {
    // Runtimes leave out a hyperbolic tangent that is fused into a sum.
    const sum = r.value(`${node.name}_sum`, output);
    r.node("add", node, [scaled, shift], sum, { activation: "none" });
    r.node("tanh", node, [sum], output, {});
  }
  return true;
}

function padded(r: Respelling, node: Node, value?: number): boolean {
  const [x, ...rest] = node.inputs as [Value, ...(Value | null)[]];
  const { padTop, padBottom, padLeft, padRight } = attributesOf<WindowAttributes>(node);
  if (Math.min(padTop, padBottom, padLeft, padRight) < 0) return false;
  const [n, h, w, c] = x.shape as [number, number, number, number];
  const bordered = r.value(`${node.name}_padded`, { ...x, shape: [n, h + padTop + padBottom, w + padLeft + padRight, c] });
  const pads = { before: [0, padTop, padLeft, 0], after: [0, padBottom, padRight, 0], ...(value === undefined ? {} : { value }) };
  r.node("pad", node, [x], bordered, pads);
  r.nodes.push({ ...node, inputs: [bordered, ...rest], attributes: { ...node.attributes, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0 } });
  return true;
}

/** Sums of integers start from a bias of zeros where there is none; its scales are those of the products. */
function withBias(r: Respelling, node: Node): Node {
  const [x, weights, given] = node.inputs as [Value, Value, Value | null];
  if (given) return node;
  const channels = node.outputs[0]!.shape.at(-1)!;
  const dtype = x.dtype === "float32" ? "float32" : x.dtype === "int16" ? "int64" : "int32";
  const scales = weights.quantization!.scales.map((scale) => Math.fround(scale * (x.quantization?.scales[0] ?? 1)));
  const quantization = dtype === "float32" ? undefined : { scales, zeroPoints: scales.map(() => 0), axis: 0 };
  const bias = r.value(`${node.name}_bias`, { dtype, shape: [channels], quantization }, allocate(dtype, channels));
  return { ...node, inputs: [x, weights, bias] };
}

/** The one scale of 8-bit weights beside floats, for each channel. */
function withChannelScales(r: Respelling, node: Node): Node {
  const [x, weights, ...rest] = node.inputs as [Value, Value, ...Value[]];
  if (x.dtype !== "float32" || weights.quantization!.scales.length > 1) return node;
  const scales = new Array<number>(weights.shape[3]!).fill(weights.quantization!.scales[0]!);
  const quantization = { scales, zeroPoints: scales.map(() => weights.quantization!.zeroPoints[0]!), axis: 3 };
  return { ...node, inputs: [x, r.value(weights.name, { ...weights, quantization }, weights.data), ...rest] };
}

function convolution(complete: (r: Respelling, node: Node) => Node): Rule {
  return (r, node, isExpressible) => {
    const whole = node.inputs[1]!.quantization === undefined ? node : complete(r, node);
    if (!isExpressible(whole)) return padded(r, whole);
    r.nodes.push(whole);
    return true;
  };
}

/** What no element is less than: a border of it never is the maximum. */
function leastOf({ dtype }: Value): number {
  return allocate(dtype, 0) instanceof Float32Array ? -3.4028234663852886e38 : rangeOfDType(dtype).low;
}

function reshaped(r: Respelling, node: Node, between: Value): void {
  const output = node.outputs[0]!;
  r.node("reshape", node, [between], output, { shape: output.shape });
}

function stridedSlice(r: Respelling, node: Node): boolean {
  const { shape } = attributesOf<StridedSliceAttributes>(node);
  const cut = r.value(`${node.name}_cut`, { ...node.outputs[0]!, shape });
  r.node("stridedSlice", node, node.inputs, cut, { ...node.attributes, newShape: shape });
  reshaped(r, node, cut);
  return true;
}

function argument(r: Respelling, node: Node): boolean {
  const [output, axis] = [node.outputs[0]!, Number(node.attributes["axis"])];
  const flat = r.value(`${node.name}_flat`, { ...output, shape: output.shape.filter((_, d) => d !== axis) });
  r.node(node.op, node, node.inputs, flat, { ...node.attributes, keepDims: false });
  reshaped(r, node, flat);
  return true;
}

/** TensorFlow Lite quantizes with ties away from zero, and rounds floats with ties to even: x / scale rounded, moved, held, cast. */
function quantize(r: Respelling, node: Node): boolean {
  const [x, y] = [node.inputs[0]!, node.outputs[0]!];
  if (x.dtype !== "float32" || y.dtype === "int32") return false;
  const float: ValueType = { dtype: "float32", shape: x.shape };
  const { low, high } = rangeOfDType(y.dtype);
  let last = x;
  const step = (op: string, by: number | null, attributes: Attributes): void => {
    const next = r.value(`${node.name}_${op}`, float);
    const operand = by === null ? [] : [r.value(`${node.name}_${op}_by`, { dtype: "float32", shape: [1] }, Float32Array.of(by))];
    r.node(op, node, [last, ...operand], next, attributes);
    last = next;
  };
  step("div", y.quantization!.scales[0]!, { activation: "none" });
  step("round", null, {});
  step("add", y.quantization!.zeroPoints[0]!, { activation: "none" });
  step("maximum", low, {});
  step("minimum", high, {});
  r.node("cast", node, [last], y, { dtype: y.dtype });
  return true;
}

const RULES: Readonly<Record<string, Rule>> = {
  batchNorm,
  conv2d: convolution(withBias),
  depthwiseConv2d: convolution(withChannelScales),
  maxPool2d: (r, node) => padded(r, node, leastOf(node.inputs[0]!)),
  quantize,
  stridedSlice,
  argMax: argument,
  argMin: argument,
};

/** The graph with other nodes in place of those that TensorFlow Lite has no operator for but can say with several. */
export function respell(graph: Graph, isExpressible: IsExpressible): Graph {
  const r = new Respelling(graph.values);
  for (const node of graph.nodes) {
    const rule = isExpressible(node) ? undefined : RULES[node.op];
    if (rule?.(r, node, isExpressible) !== true) r.nodes.push(node);
  }
  return { ...graph, values: r.values, nodes: r.nodes };
}
