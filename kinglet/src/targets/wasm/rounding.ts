import type { Multiplier } from "../../ops/index.ts";

/** The sums that a channel can reach, and what they are to become: `requantize`, then a clamp, less the result's zero point. */
export interface ChannelReach {
  readonly low: number;
  readonly high: number;
  readonly multiplier: Multiplier;
  readonly resultLow: number;
  readonly resultHigh: number;
}

/**
 * A requantization in single precision: round((sum − offset) · scale + rounding) + centre. In the signed form
 * `rounding` takes the sign of the product.
 */
export interface FloatRounding {
  readonly offset: number;
  readonly scale: number;
  readonly rounding: number;
  readonly centre: number;
}

/** 1.5 · 2^23: a small float added to it is rounded to an integer, which the low bits of the sum then hold. */
export const ROUNDING_MAGIC = 12582912;

/** Larger products would leave the range in which the magic number rounds. */
const MAGIC_RANGE = 2 ** 21;

const f = Math.fround;

/** `requantize` of a sum whose left shift does not overflow, in doubles: the product's two halves are exact. */
export function requantizeExact(sum: number, { multiplier, shift }: Multiplier): number {
  const x = sum * 2 ** Math.max(0, shift);
  const [high, low] = [Math.floor(multiplier / 65536), multiplier % 65536];
  const part = x * low + 2 ** 30;
  const carry = Math.floor(part / 65536);
  const product = Math.floor((x * high + carry) / 32768);
  const right = -Math.min(0, shift);
  return right === 0 ? product : Math.floor((product + 2 ** (right - 1) - (product < 0 ? 1 : 0)) / 2 ** right);
}

function scaleOf({ multiplier, shift }: Multiplier): number {
  return multiplier * 2 ** (shift - 31);
}

function clamped(value: number, c: ChannelReach): number {
  return Math.min(c.resultHigh, Math.max(c.resultLow, value));
}

/** The result of the channel's least and greatest sum. */
export function resultEnds(c: ChannelReach): [number, number] {
  return [clamped(requantizeExact(c.low, c.multiplier), c), clamped(requantizeExact(c.high, c.multiplier), c)];
}

/** The least sum whose result is at least `result`; an estimate finds it within a few steps. */
function threshold(result: number, multiplier: Multiplier): number {
  let sum = Math.ceil((result - 0.5) / scaleOf(multiplier));
  while (requantizeExact(sum - 1, multiplier) >= result) sum--;
  while (requantizeExact(sum, multiplier) < result) sum++;
  return sum;
}

/**
 * Sums that decide whether a function which never falls equals the channel's requantization everywhere: both ends
 * of the reach, and the two neighbours at every step between two results.
 */
export function decidingSums(c: ChannelReach): number[] {
  const [first, last] = resultEnds(c);
  const sums = [c.low, c.high];
  for (let result = first + 1; result <= last; result++) {
    const at = threshold(result, c.multiplier);
    sums.push(at - 1, at);
  }
  return sums.filter((sum) => sum >= c.low && sum <= c.high);
}

/** The float form exactly as the vector instructions compute it, one rounding after the other. */
export function applyRounding(r: FloatRounding, sum: number, signed: boolean): number {
  const product = f(f(sum - r.offset) * r.scale);
  const rounding = signed && (product < 0 || Object.is(product, -0)) ? -r.rounding : r.rounding;
  return f(f(product + rounding) + ROUNDING_MAGIC) - ROUNDING_MAGIC + r.centre;
}

/** Multiples of a small step to both sides of 0, nearest first. */
function around(count: number): number[] {
  return [0, ...Array.from({ length: count }, (_, i) => [i + 1, -(i + 1)]).flat()];
}

const SCALES = around(4);
const PHASES = around(24);
const CENTRES = around(4);

/** Half the last bit that the first of the two roundings keeps: ties go up there, which moves all steps by this much. */
function doubleRounding({ shift }: Multiplier): number {
  return shift > 0 ? 0 : 2 ** (shift - 1);
}

function* candidates(c: ChannelReach, signed: boolean): Generator<FloatRounding> {
  const scale = scaleOf(c.multiplier);
  const ulp = 2 ** (Math.floor(Math.log2(scale)) - 23);
  const [first, last] = resultEnds(c);
  for (const step of signed ? [0] : CENTRES) {
    const centre = signed ? 0 : Math.round((first + last) / 2) + step;
    const offset = Math.round(centre / scale);
    for (const ulps of SCALES) {
      for (const phase of PHASES) {
        const rounding = f(doubleRounding(c.multiplier) + (offset * scale - centre) + (phase * scale) / 512);
        if (!signed || rounding >= 0) yield { offset, scale: f(f(scale) + ulps * ulp), rounding, centre };
      }
    }
  }
}

/**
 * Finds a float form that is proved equal to the channel's requantization for every sum within reach. Each of its
 * operations never falls when its operand rises, and neither does the requantization; so equality at the deciding
 * sums is equality everywhere. Undefined where the search finds none.
 */
export function proveRounding(c: ChannelReach, signed: boolean): FloatRounding | undefined {
  const [first, last] = resultEnds(c);
  if (first === last) return { offset: 0, scale: 0, rounding: 0, centre: first };
  const sums = decidingSums(c);
  const wanted = sums.map((sum) => clamped(requantizeExact(sum, c.multiplier), c));
  for (const form of candidates(c, signed)) {
    const range = [c.low, c.high].map((sum) => Math.abs((sum - form.offset) * form.scale));
    if (Math.max(...range) >= MAGIC_RANGE || Math.max(Math.abs(c.low - form.offset), Math.abs(c.high - form.offset)) >= 2 ** 31) continue;
    if (sums.every((sum, i) => clamped(applyRounding(form, sum, signed), c) === wanted[i])) return form;
  }
  return undefined;
}
