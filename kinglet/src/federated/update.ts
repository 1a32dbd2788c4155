import { KingletError } from "../base/index.ts";

/** What a client gives back of a round: how far its training moved the parameters, all as one vector, and what that rests on. */
export interface ClientUpdate {
  readonly client: number;
  /** Parameters after local training less those of the round. */
  readonly delta: Float32Array;
  /** Samples that it learned from. */
  readonly samples: number;
  /** Local steps taken. */
  readonly steps: number;
  /** How far its control variate moved; SCAFFOLD only. */
  readonly control?: Float32Array;
}

/** Numbers of a vector from one place to before another. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Writes into a vector what another one has in these spans. */
export function copySpans(into: Float32Array, from: Float32Array, spans: readonly Span[]): Float32Array {
  for (const span of spans) into.set(from.subarray(span.from, span.to), span.from);
  return into;
}

/** How much each update counts. */
export type Weighting = (update: ClientUpdate) => number;

/** By samples, as in federated averaging. */
export const bySamples: Weighting = ({ samples }) => samples;

/** All alike. */
export const alike: Weighting = () => 1;

function noUpdate(): never {
  throw new KingletError("misuse", "a round has no update");
}

/** @throws KingletError `bad-input` where two vectors cannot be added. */
export function checkLengths(a: ArrayLike<number>, b: ArrayLike<number>): void {
  if (a.length !== b.length) throw new KingletError("bad-input", `updates of ${a.length} and of ${b.length} parameters cannot be averaged`);
}

/** The common length of some vectors. @throws KingletError `misuse` where there is none, `bad-input` where they differ. */
export function commonLength(vectors: readonly Float32Array[]): number {
  const [first] = vectors;
  if (first === undefined) return noUpdate();
  for (const each of vectors) checkLengths(first, each);
  return first.length;
}

/** Σ wᵢ·vᵢ / Σ wᵢ, added up in double precision in the order in which vectors come; none of them is kept. */
export class WeightedSum {
  private sums: Float64Array | undefined;
  private total = 0;

  /** @throws KingletError `bad-input` where vectors differ in length. */
  add(vector: Float32Array, weight: number): void {
    this.sums ??= new Float64Array(vector.length);
    checkLengths(this.sums, vector);
    for (let i = 0; i < vector.length; i++) this.sums[i]! += weight * vector[i]!;
    this.total += weight;
  }

  /** @throws KingletError `misuse` where nothing came, or it weighs nothing. */
  mean(): Float32Array {
    if (this.sums === undefined) return noUpdate();
    if (!(this.total > 0)) throw new KingletError("misuse", "the updates of a round weigh nothing together");
    return Float32Array.from(this.sums, (sum) => sum / this.total);
  }
}

/** The weighted mean of some vectors at hand. @throws what `WeightedSum` throws. */
export function weightedMean(vectors: readonly Float32Array[], weights: readonly number[]): Float32Array {
  const sum = new WeightedSum();
  vectors.forEach((vector, k) => sum.add(vector, weights[k]!));
  return sum.mean();
}

/** The length of a vector: the square root of its squares' sum, in double precision. */
export function norm(vector: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += vector[i]! * vector[i]!;
  return Math.sqrt(sum);
}

/** A vector no longer than `most`: as it is, or shortened. */
export function shortened(vector: Float32Array, most: number): Float32Array {
  const length = norm(vector);
  return length <= most ? vector : Float32Array.from(vector, (x) => (x * most) / length);
}
