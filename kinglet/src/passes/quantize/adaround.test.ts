import { expect, test } from "vitest";
import { Xorshift32 } from "../../base/index.ts";
import { adaRound, type RoundingProblem, roundingError } from "./adaround.ts";

/** Inputs that move together, as those of neighbouring pixels do: then errors of several weights can cancel. */
function problem(seed: number, width: number, high = Infinity): RoundingProblem {
  const random = new Xorshift32(seed);
  const rows = 200;
  const inputs = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const common = random.float();
    for (let k = 0; k < width; k++) inputs[row * width + k] = common + random.float() * 0.3;
  }
  const weights = Float64Array.from({ length: width }, () => random.float() * 7);
  const targets = Float64Array.from({ length: rows }, (_, row) => weights.reduce((sum, w, k) => sum + w * inputs[row * width + k]!, 0.5));
  return { weights, limit: 7, inputs, rows, targets, bias: 0.5, low: high === Infinity ? -Infinity : 0, high };
}

const nearest = (weights: Float64Array): number[] => Array.from(weights, (w) => Math.max(-7, Math.min(7, Math.round(w))));

test("adaptive rounding loses less than rounding to the nearest, and never more", () => {
  let gained = 0;
  for (let seed = 1; seed <= 8; seed++) {
    const one = problem(seed, 24, seed % 2 === 0 ? 6 : Infinity);
    const chosen = adaRound(one, { iterations: 600 });
    const [before, after] = [roundingError(one, nearest(one.weights)), roundingError(one, chosen)];
    expect(after).toBeLessThanOrEqual(before);
    if (after < before / 2) gained++;
    chosen.forEach((q, k) => {
      expect(Math.abs(q)).toBeLessThanOrEqual(7);
      expect(Math.abs(q - one.weights[k]!)).toBeLessThanOrEqual(1);
    });
  }
  expect(gained).toBeGreaterThanOrEqual(5);
});

test("the same seed rounds the same way", () => {
  expect(adaRound(problem(3, 12), { iterations: 200, seed: 4 })).toEqual(adaRound(problem(3, 12), { iterations: 200, seed: 4 }));
});
