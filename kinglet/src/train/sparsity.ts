import { KingletError, mapInto } from "../base/index.ts";
import type { Graph } from "../graph/index.ts";
import { inputOf } from "../ops/index.ts";
import type { TrainingSession } from "./session.ts";

/** Which weights training sets to 0 and keeps there. Biases and normalizations stay whole. */
export interface Sparsity {
  /** Share of the weights that are 0 in the end, or how many of so many neighbours along the reduction stay. */
  readonly goal: number | { readonly keep: number; readonly of: number };
  /** The smallest of the whole network, or the same share of every layer (default). */
  readonly scope?: "global" | "layer";
  /** Share of all steps before which nothing is pruned, and at which the goal is reached. Defaults 0 and 0.5. */
  readonly begin?: number;
  readonly end?: number;
  /** Steps from one choice to the next. Default 50. */
  readonly every?: number;
  /** Layers to prune, by the name of their weights; all by default. */
  readonly layers?: (weights: string) => boolean;
}

/** s_f + (s_i − s_f) (1 − progress)³: quick while weights are many, slow when each counts (Zhu & Gupta, arXiv 1710.01878). */
export function cubicSparsity(initial: number, final: number, progress: number): number {
  return final + (initial - final) * (1 - Math.min(1, Math.max(0, progress))) ** 3;
}

/** 1 for what stays. */
export type Mask = Uint8Array;

/** Marks the `count` smallest of several tensors; of equal ones the earlier go first. */
export function smallestMasks(weights: readonly Float32Array[], count: number): Mask[] {
  const total = weights.reduce((sum, { length }) => sum + length, 0);
  const sizes = new Float32Array(total);
  let at = 0;
  for (const data of weights) for (const w of data) sizes[at++] = Math.abs(w);
  const limit = count === 0 ? -1 : sizes.slice().sort()[count - 1]!;
  let equal = count - sizes.reduce((below, size) => below + (size < limit ? 1 : 0), 0);
  at = 0;
  return weights.map((data) =>
    mapInto(new Uint8Array(data.length), data, () => {
      const size = sizes[at++]!;
      return size < limit || (size === limit && equal-- > 0) ? 0 : 1;
    }),
  );
}

/**
 * N:M sparsity (Mishra et al., arXiv 2104.08378): of each `of` neighbours in rows of `width` the `keep` largest stay. What is left over at
 * the end of a row stays whole.
 */
export function patternMask(weights: Float32Array, width: number, keep: number, of: number): Mask {
  const mask = new Uint8Array(weights.length).fill(1);
  for (let row = 0; row < weights.length; row += width)
    for (let at = row; at + of <= row + width; at += of) {
      const order = Array.from({ length: of }, (_, i) => at + i).sort((a, b) => Math.abs(weights[a]!) - Math.abs(weights[b]!) || a - b);
      for (const i of order.slice(0, of - keep)) mask[i] = 0;
    }
  return mask;
}

interface Prunable {
  readonly name: string;
  /** Elements along the reduction that lie side by side; 1 where none do (depthwise). */
  readonly width: number;
}

/** Weights of layers of sums that training changes. */
function prunableOf(network: Graph, session: TrainingSession, chosen: (weights: string) => boolean): Prunable[] {
  const trained = new Set(session.step.trained.map(({ constant }) => constant));
  const found = new Map<string, Prunable>();
  for (const node of network.nodes) {
    if (node.op !== "conv2d" && node.op !== "fullyConnected" && node.op !== "depthwiseConv2d") continue;
    const weights = inputOf(node, 1);
    if (trained.has(weights) && chosen(weights.name))
      found.set(weights.name, { name: weights.name, width: node.op === "depthwiseConv2d" ? 1 : weights.shape.at(-1)! });
  }
  return [...found.values()];
}

function checkSparsity({ goal, begin = 0, end = 0.5, every = 50 }: Sparsity): void {
  const bad = (what: string): never => {
    throw new KingletError("misuse", what);
  };
  if (typeof goal === "number" && !(goal >= 0 && goal < 1)) bad(`a sparsity of ${goal} is no share from 0 to below 1`);
  if (typeof goal !== "number" && !(Number.isInteger(goal.keep) && Number.isInteger(goal.of) && goal.keep >= 1 && goal.keep <= goal.of))
    bad(`${goal.keep} of ${goal.of} cannot stay`);
  if (!(begin >= 0 && begin <= end && end <= 1)) bad(`pruning from ${begin} to ${end} of training is no ramp`);
  if (!(Number.isInteger(every) && every >= 1)) bad(`a choice every ${every} steps cannot be made`);
}

/** Prunes a session's weights while it trains: weights that were set to 0 never come back. */
export class Sparsifier {
  private readonly session: TrainingSession;
  private readonly options: Sparsity;
  private readonly weights: readonly Prunable[];
  private readonly first: number;
  private readonly last: number;

  /** @throws KingletError `misuse` for a goal that makes no sense. */
  constructor(network: Graph, session: TrainingSession, options: Sparsity, steps: number) {
    checkSparsity(options);
    const { begin = 0, end = 0.5, layers = () => true } = options;
    this.session = session;
    this.options = options;
    this.weights = prunableOf(network, session, layers);
    if (this.weights.length === 0) throw new KingletError("misuse", "the network has no weights that could be pruned");
    this.first = Math.floor(begin * steps);
    this.last = Math.floor(end * steps);
    // A session that was restored goes on with what it had set to 0.
    if (session.steps > this.first) this.apply(this.current().map((data) => mapInto(new Uint8Array(data.length), data, (w) => (w === 0 ? 0 : 1))));
  }

  private current(): Float32Array[] {
    return this.weights.map(({ name }) => this.session.variable(name));
  }

  private apply(masks: readonly Mask[]): void {
    this.session.mask(new Map(this.weights.map(({ name }, i) => [name, masks[i]!])));
  }

  private choose(step: number): Mask[] {
    const { goal, scope = "layer" } = this.options;
    const weights = this.current();
    if (typeof goal !== "number") return weights.map((data, i) => patternMask(data, this.weights[i]!.width, goal.keep, goal.of));
    const share = cubicSparsity(0, goal, this.last === this.first ? 1 : (step - this.first) / (this.last - this.first));
    if (scope === "layer") return weights.map((data) => smallestMasks([data], Math.round(share * data.length))[0]!);
    return smallestMasks(weights, Math.round(share * weights.reduce((sum, { length }) => sum + length, 0)));
  }

  /** The goal is reached. */
  get done(): boolean {
    return this.session.steps >= Math.max(1, this.last);
  }

  /** To be called after each step. Patterns are chosen once, at the end of the ramp; shares follow the cubic schedule. */
  afterStep(): void {
    const step = this.session.steps;
    const { goal, every = 50 } = this.options;
    const final = step === Math.max(1, this.last);
    const between = typeof goal === "number" && step >= this.first && step < this.last && (step - this.first) % every === 0;
    if (final || between) this.apply(this.choose(step));
  }
}

/** Zeros among the weights of each layer of sums. */
export function zerosOf(network: Graph): { readonly weights: string; readonly zeros: number; readonly of: number }[] {
  return network.nodes
    .filter(({ op }) => op === "conv2d" || op === "fullyConnected" || op === "depthwiseConv2d")
    .map((node) => {
      const { name, data } = inputOf(node, 1);
      const values = Array.from(data ?? [], Number);
      return { weights: name, zeros: values.filter((w) => w === 0).length, of: values.length };
    });
}
