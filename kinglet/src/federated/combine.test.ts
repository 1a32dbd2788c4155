import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ClientUpdate, combine, type Combination, coordinateMedian, krumScores, trimmedMean } from "./index.ts";

const vector = (...numbers: number[]): Float32Array => Float32Array.from(numbers);
const update = (delta: Float32Array, samples = 1, client = 0): ClientUpdate => ({ client, delta, samples, steps: 1 });

/** Four that agree, and one that does not. */
const FIVE = [vector(1, 2), vector(1.1, 1.9), vector(0.9, 2.1), vector(1.05, 2.05), vector(10, -10)];
const near = (actual: ArrayLike<number>, expected: readonly number[]): void => {
  expect(actual).toHaveLength(expected.length);
  expected.forEach((x, i) => expect(actual[i]).toBeCloseTo(x, 5));
};

describe("a worked example", () => {
  const updates = FIVE.map((delta, client) => update(delta, 1, client));
  test("Krum's scores", () => near(krumScores(FIVE, 1), [0.025, 0.045, 0.045, 0.03, 445.82]));
  test.each<[string, Combination, readonly number[]]>([
    ["mean", { kind: "mean" }, [2.81, -0.39]],
    ["median", { kind: "median" }, [1.05, 2]],
    ["trimmed mean", { kind: "trimmedMean", cut: 0.2 }, [1.05, 1.983333]],
    ["Krum", { kind: "krum", bad: 1 }, [1, 2]],
    ["Multi-Krum", { kind: "krum", bad: 1, keep: 2 }, [1.025, 2.025]],
    ["mean of updates of at most 1", { kind: "clippedMean", most: 1 }, [0.50103, 0.572387]],
  ])("%s", (_, rule, expected) => {
    near(combine(updates, rule), expected);
  });
});

test("means weigh by samples, over the clients that took part", () => {
  near(combine([update(vector(1, 0), 10), update(vector(0, 1), 30)], { kind: "mean" }), [0.25, 0.75]);
});

test("Bulyan withstands one of seven", () => {
  const good = [vector(1, 2), vector(1.1, 1.9), vector(0.9, 2.1), vector(1.05, 2.05), vector(0.95, 1.95), vector(1, 2.02)];
  const [x, y] = combine(
    [...good, vector(1e6, -1e6)].map((delta) => update(delta)),
    { kind: "bulyan", bad: 1 },
  ) as unknown as [number, number];
  expect(x).toBeGreaterThanOrEqual(0.9);
  expect(x).toBeLessThanOrEqual(1.1);
  expect(y).toBeGreaterThanOrEqual(1.9);
  expect(y).toBeLessThanOrEqual(2.1);
});

test("rules say how many updates they need", () => {
  const four = FIVE.slice(0, 4).map((delta) => update(delta));
  expect(() => combine(four, { kind: "krum", bad: 1 })).toThrow(/needs 5 of them, and there are 4/);
  expect(() => combine(four, { kind: "bulyan", bad: 1 })).toThrow(/needs 7/);
  expect(() => combine(four, { kind: "trimmedMean", cut: 0.5 })).toThrow(/cuts a share/);
  expect(() => combine([], { kind: "mean" })).toThrow(/no update/);
  expect(() => combine([update(vector(1)), update(vector(1, 2))], { kind: "mean" })).toThrow(/of 1 and of 2/);
});

test("medians and trimmed means lie among the numbers and do not depend on their order", () => {
  const numbers = fc.array(fc.float({ noNaN: true, min: -1000, max: 1000 }), { minLength: 1, maxLength: 9 });
  fc.assert(
    fc.property(numbers, (list) => {
      const vectors = list.map((x) => vector(x));
      for (const rule of [coordinateMedian, (v: readonly Float32Array[]) => trimmedMean(v, 0.3)]) {
        const [result] = rule(vectors);
        expect(result).toBeGreaterThanOrEqual(Math.min(...list.map(Math.fround)) - 1e-3);
        expect(result).toBeLessThanOrEqual(Math.max(...list.map(Math.fround)) + 1e-3);
        expect(rule([...vectors].reverse())[0]).toBe(result);
      }
    }),
  );
});
