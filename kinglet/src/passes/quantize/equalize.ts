import type { Graph, Node, Value } from "../../graph/index.ts";
import { inputOf, outputOf } from "../../ops/index.ts";
import { layerView } from "./layer.ts";
import { isFloat } from "./rules.ts";

/** Two layers of which the second alone reads what the first writes, channel by channel. */
export interface LayerPair {
  readonly first: Node;
  /** Nodes between them that keep channels apart and scale with their input. */
  readonly between: readonly Node[];
  readonly second: Node;
}

const LAYERS = new Set(["conv2d", "depthwiseConv2d", "fullyConnected"]);
const HOMOGENEOUS = new Set(["relu", "relu6", "leakyRelu", "maxPool2d", "averagePool2d", "pad", "mirrorPad", "mean", "reshape"]);

/** Functions f with f(s·x) = s·f(x) for s > 0; ReLU6 becomes one. */
function scalesWithInput(node: Node): boolean {
  return ["none", "relu", "relu6", undefined].includes(node.attributes["activation"] as string | undefined);
}

function keepsChannels(node: Node): boolean {
  const [x, y] = [inputOf(node, 0).shape, outputOf(node).shape];
  const channels = x[x.length - 1]!;
  if (node.op === "reshape") return y[y.length - 1]! % channels === 0;
  if (node.op === "pad") return (node.attributes["value"] ?? 0) === 0 && y[y.length - 1] === channels;
  if (node.op === "mean" && (node.attributes["axes"] as readonly number[]).includes(x.length - 1)) return false;
  return y[y.length - 1] === channels;
}

function isLayer(node: Node): boolean {
  return (
    LAYERS.has(node.op) &&
    isFloat(node.inputs[0]) &&
    isFloat(node.inputs[1]) &&
    node.inputs[1].data !== undefined &&
    (!node.inputs[2] || node.inputs[2].data !== undefined)
  );
}

class Uses {
  private readonly consumers = new Map<number, Node[]>();
  private readonly outputs: ReadonlySet<number>;

  constructor(graph: Graph) {
    this.outputs = new Set(graph.outputs.map((value) => value.id));
    for (const node of graph.nodes)
      for (const value of node.inputs) if (value !== null) this.consumers.set(value.id, [...(this.consumers.get(value.id) ?? []), node]);
  }

  /** The one node that reads a value, if there is just one and the value is no output. */
  only(value: Value): Node | undefined {
    const nodes = this.consumers.get(value.id) ?? [];
    return nodes.length === 1 && !this.outputs.has(value.id) ? nodes[0] : undefined;
  }
}

function pairFrom(first: Node, uses: Uses): LayerPair | undefined {
  const between: Node[] = [];
  for (let at = uses.only(outputOf(first)); at !== undefined; at = uses.only(outputOf(at))) {
    if (isLayer(at)) return at.inputs[0] === outputOf(between.at(-1) ?? first) ? { first, between, second: at } : undefined;
    if (!HOMOGENEOUS.has(at.op) || !scalesWithInput(at) || !keepsChannels(at)) return undefined;
    between.push(at);
  }
  return undefined;
}

/** Pairs of neighbouring layers whose channels can be rescaled against each other. Constants that others use as well are left alone. */
export function layerPairs(graph: Graph): LayerPair[] {
  const uses = new Uses(graph);
  const alone = (node: Node): boolean => node.inputs.slice(1).every((value) => value === null || uses.only(value) === node);
  return graph.nodes
    .filter((node) => isLayer(node) && scalesWithInput(node) && alone(node))
    .map((node) => pairFrom(node, uses))
    .filter((pair) => pair !== undefined)
    .filter((pair) => alone(pair.second));
}

/** New contents for constants, in double precision while they are worked on. */
export class Edits {
  private readonly contents = new Map<number, Float64Array>();

  of(value: Value): Float64Array {
    const known = this.contents.get(value.id);
    if (known !== undefined) return known;
    const made = new Float64Array(value.data as Float32Array);
    this.contents.set(value.id, made);
    return made;
  }

  /** The graph with the new contents, and nodes changed by `change`. */
  apply(graph: Graph, change: (node: Node) => Node = (node) => node): Graph {
    const changed = new Map(
      graph.values.map((value) => [value, this.contents.has(value.id) ? { ...value, data: new Float32Array(this.contents.get(value.id)!) } : value]),
    );
    const nodes = graph.nodes.map((node) => ({ ...change(node), inputs: node.inputs.map((value) => (value === null ? null : changed.get(value)!)) }));
    return { ...graph, values: [...changed.values()], nodes };
  }
}

/** Largest magnitude of the weights that read each of the channels. */
function readerRanges(second: Node, weights: Float64Array, channels: number): Float64Array {
  const view = layerView(second);
  const most = new Float64Array(channels);
  for (let o = 0; o < view.outputs; o++) {
    for (let k = 0; k < view.width; k++) {
      const c = view.channelOf(o, k) % channels;
      most[c] = Math.max(most[c]!, Math.abs(weights[o * view.stepO + k * view.stepK]!));
    }
  }
  return most;
}

/** Divides channel o of the first layer by s[o] and multiplies what reads it. */
function rescale({ first, second }: LayerPair, factors: Float64Array, edits: Edits): void {
  const [view, reader] = [layerView(first), layerView(second)];
  const [w1, w2] = [edits.of(inputOf(first, 1)), edits.of(inputOf(second, 1))];
  const bias = first.inputs[2] ? edits.of(first.inputs[2]) : undefined;
  for (let o = 0; o < view.outputs; o++) {
    for (let k = 0; k < view.width; k++) w1[o * view.stepO + k * view.stepK]! /= factors[o]!;
    if (bias !== undefined) bias[o]! /= factors[o]!;
  }
  for (let o = 0; o < reader.outputs; o++) {
    for (let k = 0; k < reader.width; k++) w2[o * reader.stepO + k * reader.stepK]! *= factors[reader.channelOf(o, k) % view.outputs]!;
  }
}

/** s = √(r₁/r₂), after which both ranges are √(r₁·r₂); a channel without weights stays. Gives the largest |ln s|. */
function equalizePair(pair: LayerPair, edits: Edits): number {
  const view = layerView(pair.first);
  const [w1, w2] = [edits.of(inputOf(pair.first, 1)), edits.of(inputOf(pair.second, 1))];
  const readers = readerRanges(pair.second, w2, view.outputs);
  let largest = 0;
  const factors = Float64Array.from({ length: view.outputs }, (_, o) => {
    let most = 0;
    for (let k = 0; k < view.width; k++) most = Math.max(most, Math.abs(w1[o * view.stepO + k * view.stepK]!));
    const factor = most > 0 && readers[o]! > 0 ? Math.sqrt(most / readers[o]!) : 1;
    largest = Math.max(largest, Math.abs(Math.log(factor)));
    return factor;
  });
  rescale(pair, factors, edits);
  return largest;
}

const ROUNDS = 40;
const SETTLED = 1e-3;

export interface Equalized {
  readonly graph: Graph;
  readonly pairs: number;
  /** Names of nodes whose ReLU6 became a ReLU: above 6 they now give other results. */
  readonly replacedRelu6: readonly string[];
}

function withoutRelu6(node: Node): Node {
  if (node.op === "relu6") return { ...node, op: "relu" };
  return node.attributes["activation"] === "relu6" ? { ...node, attributes: { ...node.attributes, activation: "relu" } } : node;
}

/**
 * Cross-layer equalisation (Nagel et al., "Data-free quantization through weight equalization and bias correction",
 * ICCV 2019): channels of neighbouring layers are rescaled until both have the same range of weights. The
 * network computes what it did before, apart from rounding and from ReLU6, which becomes ReLU inside the pairs.
 */
export function equalize(graph: Graph): Equalized {
  const pairs = layerPairs(graph);
  const edits = new Edits();
  for (let round = 0; round < ROUNDS; round++) {
    if (Math.max(0, ...pairs.map((pair) => equalizePair(pair, edits))) < SETTLED) break;
  }
  const inside = new Set(pairs.flatMap(({ first, between }) => [first, ...between]));
  const replaced = [...inside].filter((node) => withoutRelu6(node) !== node);
  return {
    graph: edits.apply(graph, (node) => (inside.has(node) ? withoutRelu6(node) : node)),
    pairs: pairs.length,
    replacedRelu6: replaced.map((node) => node.name),
  };
}
