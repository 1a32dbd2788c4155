import { KingletError } from "../base/index.ts";
import { bySamples, type ClientUpdate, commonLength, shortened, WeightedSum, type Weighting, weightedMean } from "./update.ts";

/** How the updates of a round become one: federated averaging, or a rule that some bad updates cannot spoil. */
export type Combination =
  /** Weighted by samples (McMahan et al., AISTATS 2017; by the erratum over the clients selected). */
  | { readonly kind: "mean" }
  /** The same, of updates that are first shortened to a length. */
  | { readonly kind: "clippedMean"; readonly most: number }
  /** The median of each coordinate (Yin et al., ICML 2018). */
  | { readonly kind: "median" }
  /** The mean of each coordinate without the share `cut` at each end (ibid.). */
  | { readonly kind: "trimmedMean"; readonly cut: number }
  /** The update nearest to its neighbours (Blanchard et al., NeurIPS 2017), or the mean of the `keep` nearest; `bad` of them may be anything. */
  | { readonly kind: "krum"; readonly bad: number; readonly keep?: number }
  /** Krum's choice again and again, then a trimmed mean about the median (El Mhamdi et al., ICML 2018). */
  | { readonly kind: "bulyan"; readonly bad: number };

/** Applies a function to the sorted numbers of each coordinate. */
function coordinatewise(vectors: readonly Float32Array[], choose: (sorted: Float64Array) => number): Float32Array {
  const column = new Float64Array(vectors.length);
  return Float32Array.from({ length: commonLength(vectors) }, (_, i) => {
    for (let k = 0; k < vectors.length; k++) column[k] = vectors[k]![i]!;
    return choose(column.sort());
  });
}

function middle(sorted: Float64Array): number {
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

function meanOf(sorted: Float64Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += sorted[i]!;
  return sum / (to - from);
}

/** The median of each coordinate; of an even number of vectors the mean of the two in the middle. */
export function coordinateMedian(vectors: readonly Float32Array[]): Float32Array {
  return coordinatewise(vectors, middle);
}

/** The mean of each coordinate without ⌊cut · n⌋ numbers at each end. */
export function trimmedMean(vectors: readonly Float32Array[], cut: number): Float32Array {
  if (!(cut >= 0 && cut < 0.5)) throw new KingletError("misuse", `a trimmed mean cuts a share from 0 to 0.5 at each end, not ${cut}`);
  const gone = Math.floor(cut * vectors.length);
  return coordinatewise(vectors, (sorted) => meanOf(sorted, gone, sorted.length - gone));
}

function squaredDistance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum;
}

function distances(vectors: readonly Float32Array[]): number[][] {
  commonLength(vectors);
  const table = vectors.map(() => new Array<number>(vectors.length).fill(0));
  for (let i = 0; i < vectors.length; i++) for (let j = 0; j < i; j++) table[i]![j] = table[j]![i] = squaredDistance(vectors[i]!, vectors[j]!);
  return table;
}

/** Sums of the squared distances to the n − bad − 2 nearest others, for the vectors in `among`. */
function scores(table: readonly (readonly number[])[], among: readonly number[], bad: number): number[] {
  const near = Math.max(1, among.length - bad - 2);
  return among.map((i) => {
    const others = among.filter((j) => j !== i).map((j) => table[i]![j]!);
    return others
      .sort((a, b) => a - b)
      .slice(0, near)
      .reduce((sum, each) => sum + each, 0);
  });
}

const KRUM_LEAST = (bad: number): number => 2 * bad + 3;
const BULYAN_LEAST = (bad: number): number => 4 * bad + 3;

/** @param code what too few are: a mistake of who asked for them, or what became of a round that some clients left. */
function needs(rule: string, count: number, least: number, bad: number, code: "misuse" | "check-failed"): void {
  if (!Number.isInteger(bad) || bad < 0) throw new KingletError("misuse", `the number of bad updates is ${bad}`);
  if (count < least) throw new KingletError(code, `${rule} that withstands ${bad} bad updates needs ${least} of them, and there are ${count}`);
}

/** Before a round. @throws KingletError `misuse` where a rule needs more than `count` updates. */
export function checkEnough(rule: Combination, count: number): void {
  if (rule.kind === "krum") needs("Krum", count, KRUM_LEAST(rule.bad), rule.bad, "misuse");
  if (rule.kind === "bulyan") needs("Bulyan", count, BULYAN_LEAST(rule.bad), rule.bad, "misuse");
}

/** Krum's scores: the smaller, the nearer a vector lies to most others. @throws KingletError `check-failed` for fewer than 2 · bad + 3 vectors. */
export function krumScores(vectors: readonly Float32Array[], bad: number): number[] {
  needs("Krum", vectors.length, KRUM_LEAST(bad), bad, "check-failed");
  return scores(
    distances(vectors),
    vectors.map((_, i) => i),
    bad,
  );
}

/** Places of the `keep` vectors with the smallest scores; of equal scores the first. */
function nearest(values: readonly number[], keep: number): number[] {
  return values
    .map((value, i) => ({ value, i }))
    .sort((a, b) => a.value - b.value || a.i - b.i)
    .slice(0, keep)
    .map(({ i }) => i);
}

function krum(vectors: readonly Float32Array[], weights: readonly number[], bad: number, keep: number): Float32Array {
  const chosen = nearest(krumScores(vectors, bad), keep);
  return weightedMean(
    chosen.map((i) => vectors[i]!),
    chosen.map((i) => weights[i]!),
  );
}

/** n − 2·bad choices by Krum, then of each coordinate the mean of the n − 4·bad numbers that are nearest to the median. */
function bulyan(vectors: readonly Float32Array[], bad: number): Float32Array {
  needs("Bulyan", vectors.length, BULYAN_LEAST(bad), bad, "check-failed");
  const table = distances(vectors);
  const left = vectors.map((_, i) => i);
  const chosen: Float32Array[] = [];
  while (chosen.length < vectors.length - 2 * bad) {
    const [best] = nearest(scores(table, left, bad), 1);
    chosen.push(vectors[left.splice(best!, 1)[0]!]!);
  }
  const keep = chosen.length - 2 * bad;
  return coordinatewise(chosen, (sorted) => aroundMedian(sorted, keep));
}

/** The mean of the `keep` numbers nearest to the median: they are neighbours. */
function aroundMedian(sorted: Float64Array, keep: number): number {
  const median = middle(sorted);
  let from = 0;
  while (from + keep < sorted.length && median - sorted[from]! > sorted[from + keep]! - median) from++;
  return meanOf(sorted, from, from + keep);
}

/** Updates on their way to becoming one. */
export interface Combining {
  add(update: ClientUpdate): void;
  /** @throws KingletError `check-failed` where there were too few for the rule, `bad-input` where they differ in length. */
  result(): Float32Array;
}

/** Means keep a sum and no update. */
function adding(weighting: Weighting, changed: (delta: Float32Array) => Float32Array): Combining {
  const sum = new WeightedSum();
  return { add: (update) => sum.add(changed(update.delta), weighting(update)), result: () => sum.mean() };
}

function collecting(weighting: Weighting, choose: (vectors: readonly Float32Array[], weights: readonly number[]) => Float32Array): Combining {
  const updates: ClientUpdate[] = [];
  return {
    add: (update) => updates.push(update),
    result: () =>
      choose(
        updates.map(({ delta }) => delta),
        updates.map(weighting),
      ),
  };
}

/** Begins to combine by a rule. Medians, trimmed means and Bulyan count all clients alike; the others by `weighting`. */
export function combining(rule: Combination, weighting: Weighting = bySamples): Combining {
  switch (rule.kind) {
    case "mean":
      return adding(weighting, (delta) => delta);
    case "clippedMean":
      return adding(weighting, (delta) => shortened(delta, rule.most));
    case "median":
      return collecting(weighting, coordinateMedian);
    case "trimmedMean":
      return collecting(weighting, (vectors) => trimmedMean(vectors, rule.cut));
    case "krum":
      return collecting(weighting, (vectors, weights) => krum(vectors, weights, rule.bad, rule.keep ?? 1));
    case "bulyan":
      return collecting(weighting, (vectors) => bulyan(vectors, rule.bad));
    default:
      return rule satisfies never;
  }
}

/** One update of many at hand. @throws what `Combining` throws. */
export function combine(updates: readonly ClientUpdate[], rule: Combination, weighting?: Weighting): Float32Array {
  const all = combining(rule, weighting);
  for (const update of updates) all.add(update);
  return all.result();
}
