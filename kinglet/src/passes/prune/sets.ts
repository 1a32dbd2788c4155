import type { Graph, Node, Value } from "../../graph/index.ts";
import { findOp, inputOf, parameterValues } from "../../ops/index.ts";
import type { Ties } from "./ties.ts";

/** How channels are ranked: by the L1 norm of their filters (Li et al., ICLR 2017), or by |γ| of their normalization (Liu et al., ICCV 2017). */
export type ChannelCriterion = "l1" | "gamma";

/** One channel that can be removed with everything that is tied to it. */
export interface Channel {
  readonly id: number;
  readonly score: number;
  /** Its place among the outputs of the set's first layer. */
  readonly index: number;
}

/** Channels that run through the same places: one layer's, or those of all layers that a sum makes agree. */
export interface ChannelSet {
  readonly layers: readonly string[];
  readonly channels: readonly Channel[];
}

/** Layers of sums, and where their outputs lie in the weights. */
const LAYER_AXIS: Readonly<Record<string, number>> = { conv2d: 0, fullyConnected: 0, depthwiseConv2d: 3 };

interface Source {
  readonly layer: string;
  readonly index: number;
  /** A depthwise layer goes with its input's channels; it does not make them. */
  readonly makes: boolean;
}

/** L1 norms along an axis, divided by their mean: layers of any size can be compared. */
function norms(weights: Value, axis: number): number[] {
  const inner = weights.shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const sums = new Array<number>(weights.shape[axis]!).fill(0);
  (weights.data as Float32Array).forEach((w, i) => (sums[Math.floor(i / inner) % sums.length]! += Math.abs(w)));
  const mean = sums.reduce((sum, x) => sum + x, 0) / sums.length;
  return sums.map((sum) => (mean > 0 ? sum / mean : 0));
}

class Collector {
  readonly sources = new Map<number, Source[]>();
  readonly scores = new Map<number, number[]>();
  private readonly ties: Ties;

  constructor(ties: Ties) {
    this.ties = ties;
  }

  private push<T>(lists: Map<number, T[]>, id: number, item: T): void {
    lists.set(id, [...(lists.get(id) ?? []), item]);
  }

  score(value: Value, axis: number, scores: ArrayLike<number>): void {
    for (let i = 0; i < scores.length; i++) this.push(this.scores, this.ties.classOf(value, axis, i), scores[i]!);
  }

  layer(node: Node): void {
    const [w, axis] = [inputOf(node, 1), LAYER_AXIS[node.op]!];
    for (let i = 0; i < w.shape[axis]!; i++)
      this.push(this.sources, this.ties.classOf(w, axis, i), { layer: node.name, index: i, makes: node.op !== "depthwiseConv2d" });
  }
}

function collect(graph: Graph, ties: Ties, by: ChannelCriterion): Collector {
  const collector = new Collector(ties);
  for (const node of graph.nodes) {
    if (node.op in LAYER_AXIS) {
      collector.layer(node);
      const axis = LAYER_AXIS[node.op]!;
      if (by === "l1") collector.score(inputOf(node, 1), axis, norms(inputOf(node, 1), axis));
    } else if (by === "gamma" && node.op === "batchNorm") {
      const gamma = inputOf(node, 1);
      collector.score(gamma, 0, (gamma.data as Float32Array).map(Math.abs));
    }
  }
  return collector;
}

/** The axes that each class runs through. Channels of one layer that a split sends to different places are different sets. */
function placesOf(ties: Ties): Map<number, string> {
  const places = new Map<number, Set<number>>();
  ties.axes.forEach(({ value, axis, length }, place) => {
    for (let i = 0; i < length; i++) {
      const id = ties.classOf(value, axis, i);
      places.set(id, (places.get(id) ?? new Set()).add(place));
    }
  });
  return new Map([...places].map(([id, own]) => [id, [...own].join(" ")]));
}

/**
 * All channels that can be removed, with those that run through the same places in one set. A channel's score is the mean over its layers.
 * Channels that no layer makes (the network's input), that must stay (its output) or that have no score are in no set.
 */
export function channelSets(graph: Graph, ties: Ties, by: ChannelCriterion): ChannelSet[] {
  const { sources, scores } = collect(graph, ties, by);
  const fixed = ties.fixedClasses();
  const places = placesOf(ties);
  const sets = new Map<string, { layers: string[]; channels: Channel[] }>();
  for (const [id, from] of sources) {
    const own = scores.get(id);
    const makers = from.filter(({ makes }) => makes);
    if (fixed.has(id) || own === undefined || makers.length === 0) continue;
    const layers = [...new Set(from.map(({ layer }) => layer))];
    const key = places.get(id)!;
    const set = sets.get(key) ?? { layers, channels: [] };
    set.channels.push({ id, score: own.reduce((sum, x) => sum + x, 0) / own.length, index: from[0]!.index });
    sets.set(key, set);
  }
  return [...sets.values()];
}

/** How much of the network's work or parameters is left when some classes are gone. */
export class CostModel {
  private readonly graph: Graph;
  private readonly ties: Ties;
  private readonly parameters: readonly Value[];

  constructor(graph: Graph, ties: Ties) {
    this.graph = graph;
    this.ties = ties;
    this.parameters = parameterValues(graph);
  }

  /** The share of a constant that stays. */
  private share(value: Value, removed: ReadonlySet<number>): number {
    let share = 1;
    value.shape.forEach((length, axis) => {
      if (!this.ties.has(value, axis)) return;
      let kept = 0;
      for (let i = 0; i < length; i++) if (!removed.has(this.ties.classOf(value, axis, i))) kept++;
      share *= kept / length;
    });
    return share;
  }

  parameterCount(removed: ReadonlySet<number>): number {
    return this.parameters.reduce((sum, value) => sum + Math.round((value.data?.length ?? 0) * this.share(value, removed)), 0);
  }

  /** Every layer's work is in proportion to its weights. */
  macs(removed: ReadonlySet<number>): number {
    return this.graph.nodes.reduce((sum, node) => {
      const macs = findOp(node.op)?.macs?.(node) ?? 0;
      return macs === 0 ? sum : sum + Math.round(macs * this.share(inputOf(node, 1), removed));
    }, 0);
  }
}
