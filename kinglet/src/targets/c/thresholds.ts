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

/** The two roundings of TensorFlow Lite's MultiplyByQuantizedMultiplier, as `requantize` of ops/fixed.ts defines them. */
export function requantizeExact(sum: number, { multiplier, shift }: Multiplier): number {
  const x = shift > 0 ? sum * 2 ** shift : sum;
  const low = x * (multiplier % 65536) + 2 ** 30;
  const high = Math.floor((x * Math.floor(multiplier / 65536) + Math.floor(low / 65536)) / 32768);
  if (shift >= 0) return high;
  return Math.floor((high - (high < 0 ? 1 : 0) + 2 ** (-shift - 1)) / 2 ** -shift);
}

/** The stored result of a sum. */
export function storedResult(sum: number, c: StoredChannel): number {
  return Math.min(c.high, Math.max(c.low, requantizeExact(sum, c.multiplier) + c.zeroPoint));
}

/** The results that occur and where they begin: `first` at the least sum, then each next one from `sums[i]` on. */
export interface Thresholds {
  readonly first: number;
  readonly sums: readonly number[];
}

/** The least sums whose results are at least first + 1, first + 2, …, as far as the channel's sums reach. */
export function thresholdsOf(c: StoredChannel): Thresholds {
  const first = storedResult(c.least, c);
  const last = storedResult(c.most, c);
  const real = (c.multiplier.multiplier / 2 ** 31) * 2 ** c.multiplier.shift;
  const sums = Array.from({ length: last - first }, (_, i) => {
    const result = first + 1 + i;
    let sum = Math.min(c.most, Math.max(c.least + 1, Math.round((result - c.zeroPoint - 0.5) / real)));
    while (storedResult(sum - 1, c) >= result) sum--;
    while (storedResult(sum, c) < result) sum++;
    return sum;
  });
  return { first, sums };
}
