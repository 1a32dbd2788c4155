import type { Multiplier } from "../../ops/index.ts";

/**
 * A channel's stored result as a step function of its sum: requantization never falls when the sum rises, so at most
 * 255 thresholds say everything about it. All arithmetic here is exact in doubles.
 */

/** What decides the stored result of one channel, and which sums can occur. */
export interface StoredChannel {
  readonly multiplier: Multiplier;
  /** Least and greatest sum, bias included. */
  readonly least: number;
  readonly most: number;
  /** Zero point and bounds of the stored result. */
  readonly zeroPoint: number;
  readonly low: number;
  readonly high: number;
}

/** floor(x · m / 2^32) for |x| < 2^32 and 0 <= m < 2^31, m taken in halves so that no product exceeds 53 bits. */
export function highProduct(x: number, m: number): number {
  return Math.floor((x * Math.floor(m / 65536) + Math.floor((x * (m % 65536)) / 65536)) / 65536);
}

/**
 * The two roundings of TensorFlow Lite's MultiplyByQuantizedMultiplier, as `requantize` of ops/fixed.ts defines them, for many sums:
 * powers are costly.
 */
function requantizer({ multiplier, shift }: Multiplier): (sum: number) => number {
  const [upper, lower] = [Math.floor(multiplier / 65536), multiplier % 65536];
  const [left, right] = [2 ** Math.max(0, shift), 2 ** Math.max(0, -shift)];
  return (sum) => {
    const x = sum * left;
    const high = Math.floor((x * upper + Math.floor((x * lower + 2 ** 30) / 65536)) / 32768);
    return right === 1 ? high : Math.floor((high - (high < 0 ? 1 : 0) + right / 2) / right);
  };
}

export function requantizeExact(sum: number, multiplier: Multiplier): number {
  return requantizer(multiplier)(sum);
}

/** The stored result of each sum. */
function resultsOf({ multiplier, zeroPoint, low, high }: StoredChannel): (sum: number) => number {
  const requantized = requantizer(multiplier);
  return (sum) => Math.min(high, Math.max(low, requantized(sum) + zeroPoint));
}

/** The stored result of a sum. */
export function storedResult(sum: number, c: StoredChannel): number {
  return resultsOf(c)(sum);
}

/** The results that occur and where they begin: `first` at the least sum, then each next one from `sums[i]` on. */
export interface Thresholds {
  readonly first: number;
  readonly sums: readonly number[];
}

/** The least sums whose results are at least first + 1, first + 2, …, as far as the channel's sums reach. */
export function thresholdsOf(c: StoredChannel): Thresholds {
  const resultOf = resultsOf(c);
  const [first, last] = [resultOf(c.least), resultOf(c.most)];
  const real = (c.multiplier.multiplier / 2 ** 31) * 2 ** c.multiplier.shift;
  const sums = Array.from({ length: last - first }, (_, i) => {
    const result = first + 1 + i;
    let sum = Math.min(c.most, Math.max(c.least + 1, Math.ceil((result - c.zeroPoint - 0.5) / real)));
    while (resultOf(sum - 1) >= result) sum--;
    while (resultOf(sum) < result) sum++;
    return sum;
  });
  return { first, sums };
}
