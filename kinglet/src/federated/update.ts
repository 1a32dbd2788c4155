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

/** How much each update counts. */
export type Weighting = (update: ClientUpdate) => number;

/** By samples, as in federated averaging. */
export const bySamples: Weighting = ({ samples }) => samples;

/** All alike. */
export const alike: Weighting = () => 1;

/** The common length of some vectors. @throws KingletError `misuse` where there is none, or they differ. */
export function commonLength(vectors: readonly Float32Array[]): number {
  const [first] = vectors;
  if (first === undefined) throw new KingletError("misuse", "a round has no update");
  const other = vectors.find(({ length }) => length !== first.length);
  if (other !== undefined) throw new KingletError("bad-input", `updates of ${first.length} and of ${other.length} parameters cannot be averaged`);
  return first.length;
}

/** Σ wᵢ·vᵢ / Σ wᵢ, added up in double precision in the given order. */
export function weightedMean(vectors: readonly Float32Array[], weights: readonly number[]): Float32Array {
  const length = commonLength(vectors);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (!(total > 0)) throw new KingletError("misuse", "the updates of a round weigh nothing together");
  const sums = new Float64Array(length);
  vectors.forEach((vector, k) => {
    const share = weights[k]! / total;
    for (let i = 0; i < length; i++) sums[i]! += share * vector[i]!;
  });
  return Float32Array.from(sums);
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
