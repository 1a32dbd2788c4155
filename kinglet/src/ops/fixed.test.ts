import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JS_PRELUDE, printJsFunction } from "../loops/index.ts";
import { reducedMultiplier, requantize, requantize64, roundingShift } from "./fixed.ts";
import { quantizeMultiplier } from "./quantization.ts";

const text = [roundingShift, requantize, requantize64].map(printJsFunction).join("\n");
const made = new Function(`${JS_PRELUDE}\n${text}\nreturn { roundingHighMul, rounding_shift, requantize, requantize_64 };`)() as {
  roundingHighMul(a: number, b: number): number;
  rounding_shift(x: number, exponent: number): number;
  requantize(x: number, multiplier: number, shift: number): number;
  requantize_64(x: bigint, reduced: number, shift: number): number;
};

/** Nearest whole number to n / d (d > 0), ties away from zero. */
function nearestAway(n: bigint, d: bigint): bigint {
  const size = ((n < 0n ? -n : n) * 2n + d) / (2n * d);
  return n < 0n ? -size : size;
}

/** Nearest whole number to n / d, ties upward. */
function nearestUp(n: bigint, d: bigint): bigint {
  const shifted = 2n * n + d;
  const floor = shifted / (2n * d);
  return shifted < 0n && shifted % (2n * d) !== 0n ? floor - 1n : floor;
}

const i32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const multiplier = fc.integer({ min: 2 ** 30, max: 2 ** 31 - 1 });

describe("fixed-point arithmetic", () => {
  test("the rounding high multiply is exact for all operands", () => {
    fc.assert(
      fc.property(i32, multiplier, (a, b) => {
        expect(BigInt(made.roundingHighMul(a, b))).toBe(nearestUp(BigInt(a) * BigInt(b), 2n ** 31n));
      }),
      { numRuns: 20_000, seed: 3 },
    );
  });

  test("the rounding shift takes ties away from zero", () => {
    fc.assert(
      fc.property(i32, fc.integer({ min: 0, max: 31 }), (x, exponent) => {
        expect(BigInt(made.rounding_shift(x, exponent))).toBe(nearestAway(BigInt(x), 2n ** BigInt(exponent)));
      }),
      {
        numRuns: 20_000,
        seed: 3,
        examples: [
          [5, 1],
          [-5, 1],
          [-1, 1],
          [1, 1],
          [-(2 ** 31), 31],
        ],
      },
    );
  });

  test("requantization rounds twice, as the specification of TensorFlow Lite's reference says", () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 24), max: 2 ** 24 }), multiplier, fc.integer({ min: -31, max: 6 }), (x, m, shift) => {
        const high = nearestUp(BigInt(x) * 2n ** BigInt(Math.max(0, shift)) * BigInt(m), 2n ** 31n);
        expect(BigInt(made.requantize(x, m, shift))).toBe(nearestAway(high, 2n ** BigInt(Math.max(0, -shift))));
      }),
      { numRuns: 20_000, seed: 3 },
    );
  });

  test("the 64-bit form rounds once, ties upward", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 40n), max: 2n ** 40n }), multiplier, fc.integer({ min: -14, max: 0 }), (x, m, shift) => {
        const reduced = reducedMultiplier(m);
        const want = BigInt.asIntN(32, nearestUp(x * BigInt(reduced), 2n ** BigInt(15 - shift)));
        expect(BigInt(made.requantize_64(x, reduced, shift))).toBe(want);
      }),
      { numRuns: 10_000, seed: 3 },
    );
  });

  test("a real factor is decomposed to 31 bits", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-8, max: 1e8, noNaN: true }), (real) => {
        const { multiplier: m, shift } = quantizeMultiplier(real);
        expect(m).toBeGreaterThanOrEqual(2 ** 30);
        expect(m).toBeLessThan(2 ** 31);
        expect(Math.abs((m / 2 ** 31) * 2 ** shift - real)).toBeLessThanOrEqual(real * 2 ** -30);
      }),
      { numRuns: 5000, seed: 3 },
    );
    expect(quantizeMultiplier(0)).toEqual({ multiplier: 0, shift: 0 });
    expect(quantizeMultiplier(1)).toEqual({ multiplier: 2 ** 30, shift: 1 });
    expect(quantizeMultiplier(2 ** -40)).toEqual({ multiplier: 0, shift: 0 });
    expect(quantizeMultiplier(2 ** 40)).toEqual({ multiplier: 2 ** 31 - 1, shift: 30 });
  });

  // Factor, its decomposition, and (where it is stated) how many of |x| <= 200,000 come out otherwise with one rounding.
  test.each([
    [
      0.0123456,
      1696766344,
      -6,
      [
        [-176945, -2185],
        [1000, 12],
        [-12345, -152],
      ],
      2952,
    ],
    [0.0003, 1319413953, -11, [[-198333, -60]], 120],
    [0.00117, 1286428604, -9, [[-199572, -234]], 392],
    [
      0.5,
      1073741824,
      0,
      [
        [12345, 6173],
        [-12345, -6172],
      ],
      0,
    ],
    [1.3, 1395864371, 1, [[12345, 16048]], 0],
  ] as const)("the published vectors of %d", (real, multiplier31, shift, vectors, differences) => {
    expect(quantizeMultiplier(real)).toEqual({ multiplier: multiplier31, shift });
    for (const [x, want] of vectors) expect(made.requantize(x, multiplier31, shift), String(x)).toBe(want);
    const [m, drop] = [BigInt(multiplier31), BigInt(31 - shift)];
    let differ = 0;
    for (let x = -200_000; x <= 200_000; x++) {
      const once = Number((BigInt(x) * m + (1n << (drop - 1n))) >> drop);
      if (made.requantize(x, multiplier31, shift) !== once) differ++;
    }
    expect(differ).toBe(differences);
  });

  // The one that saturates, -2^31 times -2^31, cannot come up: multipliers are positive.
  test("the published corner cases", () => {
    expect([made.rounding_shift(-5, 1), made.rounding_shift(5, 1), made.rounding_shift(-6, 2), made.rounding_shift(6, 2)]).toEqual([-3, 3, -2, 2]);
  });
});
