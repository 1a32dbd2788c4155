import { KingletError } from "../../base/index.ts";

/** How floats become numbers modulo 2^32 whose sums do not wrap. */
export interface FixedPoint {
  /** Numbers beyond ±clip become that. */
  readonly clip: number;
  /** Steps from −clip to clip. */
  readonly levels: number;
}

/** As many steps as sums of `most` numbers have room for; 2^22 at most, where floats end. */
export function levelsFor(most: number): number {
  if (!(Number.isInteger(most) && most >= 1 && most < 2 ** 31)) throw new KingletError("misuse", `${most} numbers cannot be added`);
  return Math.min(2 ** 22, Math.floor((2 ** 32 - 1) / most));
}

/** Each number as a step from 0 to `levels`, the nearest. */
export function toFixed(numbers: Float32Array, { clip, levels }: FixedPoint): Uint32Array {
  if (!(clip > 0)) throw new KingletError("misuse", `the largest number is ${clip}; it must be above 0`);
  return Uint32Array.from(numbers, (x) => {
    if (!Number.isFinite(x)) throw new KingletError("bad-input", "an update has numbers that are not finite");
    return Math.round(((Math.max(-clip, Math.min(clip, x)) + clip) * levels) / (2 * clip));
  });
}

/** The mean of what `count` clients added up. */
export function meanFromFixed(sum: Uint32Array, count: number, { clip, levels }: FixedPoint): Float32Array {
  return Float32Array.from(sum, (x) => (x / count / levels) * 2 * clip - clip);
}
