import { expect, test } from "vitest";
import { type ClientUpdate, type Privacy, type PrivateMean, PrivateSum, secureNoise } from "./index.ts";

const update = (...delta: number[]): ClientUpdate => ({ client: 0, delta: Float32Array.from(delta), samples: 1, steps: 1 });
const PRIVACY = { clip: 1, noise: 2, delta: 1e-5 };

function privateMean(updates: readonly ClientUpdate[], privacy: Privacy, expected: number, noise: () => number): PrivateMean {
  const sum = new PrivateSum(updates[0]?.delta.length ?? 2, privacy, privacy.clip);
  for (const each of updates) sum.add(each);
  return sum.mean(expected, noise);
}

test("updates are shortened, added up, blurred and divided by the clients of a round", () => {
  const { delta, clip } = privateMean([update(3, 4), update(0.1, 0)], PRIVACY, 4, () => 0.5);
  // (0.6 + 0.1 + 2 · 0.5) / 4 and (0.8 + 0 + 1) / 4.
  expect(delta[0]).toBeCloseTo(0.425, 6);
  expect(delta[1]).toBeCloseTo(0.45, 6);
  expect(clip).toBe(1);
});

test("the clipping length follows the median of the updates' lengths", () => {
  const adaptive = { quantile: 0.5, rate: 0.2, countNoise: 1 };
  const next = (...lengths: number[]): number =>
    privateMean(
      lengths.map((length) => update(length)),
      { ...PRIVACY, noise: 0, adaptive },
      4,
      () => 0,
    ).clip;
  expect(next(2, 3, 4, 5)).toBeCloseTo(Math.exp(0.1), 6);
  expect(next(0.1, 0.2, 0.3, 0.4)).toBeCloseTo(Math.exp(-0.1), 6);
  expect(next(0.1, 0.2, 3, 4)).toBe(1);
  // Who is not there counts for neither side, so that one client more or less changes the count by a half.
  expect(next(0.1)).toBeCloseTo(Math.exp(-0.025), 6);
  expect(next(2)).toBeCloseTo(Math.exp(0.025), 6);
});

test("a round that nobody came to is noise", () => {
  expect([...privateMean([], PRIVACY, 2, () => 0.5).delta]).toEqual([0.5, 0.5]);
});

test("a count that is blurred costs the updates more noise, and more than there is it may not", () => {
  const blurred = (countNoise: number) => privateMean([update(0)], { ...PRIVACY, adaptive: { countNoise } }, 1, () => 1).delta[0]!;
  expect(blurred(10)).toBeCloseTo((2 ** -2 - 20 ** -2) ** -0.5, 5);
  expect(() => blurred(0.9)).toThrow(/costs more privacy/);
});

test("secure noise is about normal", () => {
  const numbers = Array.from({ length: 20_000 }, secureNoise);
  const mean = numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
  const variance = numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / numbers.length;
  // Seven standard deviations of both.
  expect(Math.abs(mean)).toBeLessThan(0.05);
  expect(Math.abs(variance - 1)).toBeLessThan(0.07);
});
