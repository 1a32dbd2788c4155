import type { Shape, Xorshift32 } from "../../base/index.ts";
import { unit } from "../seed.ts";

/**
 * A change of one sample: `[length, channels]` or `[h, w, c]`, in units of the full scale. It gives a new array of the same shape, and what
 * it draws from `random` is all that it depends on.
 */
export type Augment = (sample: Float32Array, shape: Shape, random: Xorshift32) => Float32Array;

/** Applies a change to a share of the samples only. */
export function sometimes(share: number, augment: Augment): Augment {
  return (sample, shape, random) => (unit(random) < share ? augment(sample, shape, random) : sample.slice());
}
