import type { Graph, Node, Value } from "../graph/index.ts";
import { attributesOf, type BatchNormAttributes } from "../ops/index.ts";

/** Operators with weights […] and an optional bias, and where the output channels lie in the weights. */
const CHANNEL_AXIS: Readonly<Record<string, "first" | "last">> = { conv2d: "first", depthwiseConv2d: "last", fullyConnected: "first" };

/** A layer and the normalization behind it, of which one layer is to be made. */
interface Pair {
  readonly layer: Node;
  readonly norm: Node;
}

function isFloatConstant(value: Value | null | undefined): boolean {
  return value?.data instanceof Float32Array;
}

/** Weights and bias that training no longer changes, and no activation between the sums and the normalization. */
function isFoldable(layer: Node): boolean {
  const [, weights, bias] = layer.inputs;
  return isFloatConstant(weights) && (!bias || isFloatConstant(bias)) && layer.attributes["activation"] === "none";
}

/** Its statistics and scales are constants, and its activation is one that layers of sums have too. */
function isConstantNorm(norm: Node): boolean {
  return norm.attributes["activation"] !== "tanh" && norm.inputs.slice(1).every(isFloatConstant);
}

/** How many nodes and outputs of the graph read each value. */
function readersOf(graph: Graph): Map<number, number> {
  const readers = new Map<number, number>();
  for (const value of [...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs])
    if (value !== null) readers.set(value.id, (readers.get(value.id) ?? 0) + 1);
  return readers;
}

/** Layers whose sums only a normalization with constant statistics reads, by the id of the sums. */
function pairsIn(graph: Graph): Map<number, Pair> {
  const readers = readersOf(graph);
  const layers = new Map(graph.nodes.filter(({ op }) => op in CHANNEL_AXIS).map((node) => [node.outputs[0]!.id, node]));
  const pairs = new Map<number, Pair>();
  for (const norm of graph.nodes) {
    if (norm.op !== "batchNorm" || !isConstantNorm(norm)) continue;
    const sums = norm.inputs[0]!.id;
    const layer = layers.get(sums);
    if (layer !== undefined && readers.get(sums) === 1 && isFoldable(layer)) pairs.set(sums, { layer, norm });
  }
  return pairs;
}

/** What the normalization multiplies each channel with, and what it adds to a channel of the given bias; double precision. */
function channelRule({ norm }: Pair): { factors: number[]; shifted: (bias: number, channel: number) => number } {
  const { epsilon } = attributesOf<BatchNormAttributes>(norm);
  const [scale, offset, mean, variance] = norm.inputs.slice(1).map((value) => value!.data as Float32Array) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const factors = Array.from(scale, (gamma, c) => gamma / Math.sqrt(variance[c]! + epsilon));
  return { factors, shifted: (bias, c) => (bias - mean[c]!) * factors[c]! + offset[c]! };
}

function folded(pair: Pair, nextId: number): { node: Node; constants: Value[] } {
  const { layer, norm } = pair;
  const [x, weights, bias] = layer.inputs as [Value, Value, Value | null | undefined];
  const { factors, shifted } = channelRule(pair);
  const old = weights.data as Float32Array;
  const span = old.length / factors.length;
  const channelOf = CHANNEL_AXIS[layer.op] === "first" ? (i: number): number => Math.floor(i / span) : (i: number): number => i % factors.length;
  const data = old.map((w, i) => w * factors[channelOf(i)]!);
  const biases = Float32Array.from(factors, (_, c) => shifted(Number(bias?.data?.[c] ?? 0), c));
  const foldedWeights: Value = { ...weights, id: nextId, data };
  const foldedBias: Value = { id: nextId + 1, name: bias?.name ?? `${layer.name}_bias`, dtype: "float32", shape: [factors.length], data: biases };
  const attributes = { ...layer.attributes, activation: norm.attributes["activation"]! };
  return { node: { ...layer, inputs: [x, foldedWeights, foldedBias], outputs: norm.outputs, attributes }, constants: [foldedWeights, foldedBias] };
}

/**
 * Multiplies the factors of a batch normalization into the weights before it: conv(x)·f + g is a convolution too, with weights
 * W·f and a bias. Weights that several layers share become several.
 */
export function foldBatchNorm(graph: Graph): Graph {
  const pairs = pairsIn(graph);
  if (pairs.size === 0) return graph;
  const values = [...graph.values];
  const replaced = new Map<Node, Node | null>();
  for (const pair of pairs.values()) {
    const { node, constants } = folded(pair, values.length);
    values.push(...constants);
    replaced.set(pair.layer, node);
    replaced.set(pair.norm, null);
  }
  const nodes = graph.nodes.flatMap((node) => replaced.get(node) ?? (replaced.has(node) ? [] : [node]));
  return { ...graph, values, nodes };
}
