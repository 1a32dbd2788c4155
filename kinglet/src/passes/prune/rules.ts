import { KingletError } from "../../base/index.ts";
import type { Attributes, Graph, Node, Value } from "../../graph/index.ts";
import { inputOf, outputOf } from "../../ops/index.ts";
import { Ties } from "./ties.ts";

/** How channels go through an operator, and how its attributes follow when some are removed. */
interface ChannelRule {
  readonly tie: (ties: Ties, node: Node) => void;
  /** Attributes for the kept number of positions along the last axis of each output. */
  readonly attributes?: (node: Node, kept: readonly number[]) => Attributes;
}

const last = (value: Value): number => value.shape.length - 1;

function refuse(node: Node, why: string): never {
  throw new KingletError("unsupported", `channels cannot be followed through ${node.op} (node "${node.name}"): ${why}`);
}

/** Output and input have the same channels. */
function same(ties: Ties, node: Node): void {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  if (x.shape.at(-1) !== y.shape.at(-1)) refuse(node, `the last dimension becomes ${y.shape.at(-1)} from ${x.shape.at(-1)}`);
  ties.tieAxes(y, last(y), x, last(x));
}

/** A vector of the layer's outputs, if it has one. */
function vector(ties: Ties, y: Value, value: Value | null | undefined): void {
  if (value) ties.tieAxes(y, last(y), value, last(value));
}

/** The number of elements of the last dimensions, how many of them ever it takes, is this one. */
function hasSuffix(shape: readonly number[], size: number): boolean {
  let product = 1;
  return [...shape].reverse().some((dim) => (product *= dim) === size);
}

/** Weights [outputs, …, inputs]: each output is a filter, and each input a slice of all of them. */
function sums(ties: Ties, node: Node): void {
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  if (w.data === undefined) refuse(node, "its weights are no constant");
  const [channels, columns] = [x.shape.at(-1)!, w.shape.at(-1)!];
  // A fully connected layer may flatten a map by itself.
  const flattens = node.op === "fullyConnected" && hasSuffix(x.shape, columns);
  if (channels !== columns && !flattens) refuse(node, `each of its ${channels} input channels is not seen by every output`);
  ties.tieAxes(y, last(y), w, 0);
  for (let k = 0; k < columns; k++) ties.tie(w, last(w), k, x, last(x), k % channels);
  vector(ties, y, node.inputs[2]);
}

function depthwise(ties: Ties, node: Node): void {
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const multiplier = Number(node.attributes["depthMultiplier"] ?? 1);
  for (let c = 0; c < y.shape[3]!; c++) ties.tie(y, 3, c, x, 3, Math.floor(c / multiplier));
  ties.tieAxes(y, 3, w, 3);
  vector(ties, y, node.inputs[2]);
}

/** Scale, offset, mean and variance, or the slopes of a PReLU. */
function perChannel(ties: Ties, node: Node): void {
  same(ties, node);
  for (const value of node.inputs.slice(1)) vector(ties, outputOf(node), value);
}

/** Operands that have channels share them; one number for all channels stays as it is. */
function elementwise(ties: Ties, node: Node): void {
  const y = outputOf(node);
  for (const value of node.inputs) {
    if (value === null || value.shape.length === 0) continue;
    if (value.shape.at(-1) === y.shape.at(-1)) ties.tieAxes(y, last(y), value, last(value));
    else ties.fix(value, last(value));
  }
}

function isLast(node: Node): boolean {
  return Number(node.attributes["axis"]) === last(inputOf(node, 0));
}

/** Joined along the channels each part has its place; along another axis all parts have the same channels. */
function concatenation(ties: Ties, node: Node): void {
  const y = outputOf(node);
  let offset = 0;
  for (const value of node.inputs as Value[]) {
    for (let c = 0; c < value.shape.at(-1)!; c++) ties.tie(y, last(y), offset + c, value, last(value), c);
    if (isLast(node)) offset += value.shape.at(-1)!;
  }
}

function split(ties: Ties, node: Node): void {
  const x = inputOf(node, 0);
  let offset = 0;
  for (const value of node.outputs) {
    for (let c = 0; c < value.shape.at(-1)!; c++) ties.tie(x, last(x), offset + c, value, last(value), c);
    if (isLast(node)) offset += value.shape.at(-1)!;
  }
}

/** A flattened map repeats its channels, pixel by pixel; the reverse gathers them again. */
function reshape(ties: Ties, node: Node): void {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const [from, to] = [x.shape.at(-1)!, y.shape.at(-1)!];
  const [fewer, more] = from <= to ? [x, y] : [y, x];
  const [few, many] = [Math.min(from, to), Math.max(from, to)];
  if (many % few !== 0 || !hasSuffix(fewer.shape, many))
    refuse(node, `[${x.shape.join(",")}] to [${y.shape.join(",")}] mixes channels with positions`);
  for (let k = 0; k < many; k++) ties.tie(more, last(more), k, fewer, last(fewer), k % few);
}

/** Reductions over positions keep the channels. */
function reduction(ties: Ties, node: Node): void {
  const axes = node.attributes["axes"] as readonly number[];
  if (axes.includes(last(inputOf(node, 0)))) refuse(node, "it reduces the channels themselves");
  same(ties, node);
}

/** What mixes all channels: none of them can be removed, in front of it or behind. */
function fixed(ties: Ties, node: Node): void {
  for (const value of [inputOf(node, 0), outputOf(node)]) ties.fix(value, last(value));
}

const whole =
  (axis: number) =>
  (shape: readonly number[], kept: number): number[] =>
    shape.map((dim, d) => (d === axis ? kept : dim));

/** Layers whose weights are learned. */
const LAYERS = new Set(["conv2d", "fullyConnected", "depthwiseConv2d"]);

const SAME: ChannelRule = { tie: same };
const ELEMENTWISE: ChannelRule = { tie: elementwise };
const RULES: Readonly<Record<string, ChannelRule>> = {
  conv2d: { tie: sums },
  fullyConnected: { tie: sums },
  depthwiseConv2d: { tie: depthwise },
  batchNorm: { tie: perChannel },
  prelu: { tie: perChannel },
  ...Object.fromEntries(["add", "sub", "mul", "div", "addN", "maximum", "minimum", "squaredDifference"].map((op) => [op, ELEMENTWISE])),
  ...Object.fromEntries(
    ["relu", "relu6", "reluN1To1", "leakyRelu", "hardSwish", "elu", "gelu", "logistic", "tanh", "exp", "abs", "neg", "square", "sqrt", "rsqrt"].map(
      (op) => [op, SAME],
    ),
  ),
  ...Object.fromEntries(["averagePool2d", "maxPool2d", "pad", "mirrorPad", "resizeBilinear", "resizeNearest"].map((op) => [op, SAME])),
  mean: { tie: reduction },
  sum: { tie: reduction },
  reduceMax: { tie: reduction },
  softmax: { tie: fixed },
  logSoftmax: { tie: fixed },
  concatenation: { tie: concatenation },
  split: {
    tie: split,
    attributes: (node, kept) => (isLast(node) ? { ...node.attributes, sizes: [...kept] } : node.attributes),
  },
  reshape: {
    tie: reshape,
    attributes: (node, kept) => ({ ...node.attributes, shape: whole(last(outputOf(node)))(outputOf(node).shape, kept[0]!) }),
  },
};

/** The attributes of a node whose outputs keep so many positions of their last axis. */
export function keptAttributes(node: Node, kept: readonly number[]): Attributes {
  return RULES[node.op]?.attributes?.(node, kept) ?? node.attributes;
}

/** Features come before the first layer: nothing in them is learned, so nothing is removed, whatever they compute. */
function isFeature(node: Node, learned: ReadonlySet<Value>): boolean {
  return !LAYERS.has(node.op) && !node.inputs.some((value) => value !== null && learned.has(value));
}

/**
 * What belongs together in a float network. What comes in and goes out of it stays as it is, and so do features.
 * @throws KingletError `unsupported` that names the first node whose channels cannot be followed.
 */
export function tiesOf(graph: Graph): Ties {
  const ties = new Ties();
  const learned = new Set<Value>();
  const fix = (value: Value): void => {
    if (value.shape.length > 0) ties.fix(value, last(value));
  };
  for (const node of graph.nodes) {
    if (isFeature(node, learned)) {
      node.outputs.forEach(fix);
      continue;
    }
    for (const value of node.outputs) learned.add(value);
    const rule = RULES[node.op];
    if (rule === undefined) refuse(node, "there is no rule for this operator");
    const odd = [...node.inputs, ...node.outputs].find((value) => value !== null && (value.dtype !== "float32" || value.variable === true));
    if (odd) refuse(node, odd.variable === true ? `"${odd.name}" keeps state` : `"${odd.name}" is ${odd.dtype}; prune before quantization`);
    rule.tie(ties, node);
  }
  [...graph.inputs, ...graph.outputs].forEach(fix);
  return ties;
}
