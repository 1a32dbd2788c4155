import { Xorshift32 } from "../base/index.ts";

/** Spreads 32 bits (the finisher of MurmurHash3): neighbouring numbers become unrelated ones. */
function spread(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/**
 * A random stream for a place in a run, such as (seed, epoch, sample): the same on every platform, and independent of the order
 * in which places are visited.
 */
export function randomAt(...place: readonly number[]): Xorshift32 {
  return new Xorshift32(place.reduce((state, each) => spread(Math.imul(state, 31) + each + 0x9e3779b9), 0));
}

/** A number in [0, 1) with 24 bits. */
export function unit(random: Xorshift32): number {
  return (random.next() >>> 8) * 2 ** -24;
}

/** A number in [low, high). */
export function between(random: Xorshift32, low: number, high: number): number {
  return low + (high - low) * unit(random);
}

/**
 * About normal with mean 0 and standard deviation 1: the sum of twelve uniform numbers. No logarithm is needed, whose last bit
 * differs between engines; nothing lies beyond 6.
 */
export function gaussian(random: Xorshift32): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += unit(random);
  return sum;
}

/** Shuffles in place (Fisher and Yates). */
export function shuffle<T extends { length: number; [index: number]: number }>(items: T, random: Xorshift32): T {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.int(0, i);
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
  return items;
}
