import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileHelper } from "../../loops/index.ts";
import { requantize } from "../../ops/index.ts";
import { type ChannelRequantization, findRequantization, isProved, type Requantization } from "./requantization.ts";
import { highProduct, requantizeExact, type StoredChannel, storedResult, thresholdsOf } from "./thresholds.ts";

const exact = compileHelper(requantize);

const MULTIPLIER = fc.integer({ min: 2 ** 30, max: 2 ** 31 - 1 });

/** The instructions in 64-bit integers, as a core computes them. */
function byInstructions(sum: number, c: ChannelRequantization, shift: number, low: number, high: number): number {
  const a = BigInt(256 * sum + c.offset);
  const raised = ((a * BigInt(c.multiplier)) >> 32n) + BigInt(c.rounding) - (a < 0n ? BigInt(c.step) : 0n);
  expect(BigInt.asIntN(32, a)).toBe(a);
  expect(BigInt.asIntN(32, raised)).toBe(raised);
  return Math.min(high, Math.max(low, Number(raised >> BigInt(shift))));
}

function channelOf(multiplier: number, right: number, zeroPoint: number, reach: number): StoredChannel {
  return { multiplier: { multiplier, shift: -right }, least: -reach, most: reach, zeroPoint, low: -128, high: 127 };
}

/** All thresholds and what lies beside them, both ends, and a walk through the rest. */
function interestingSums(c: StoredChannel): number[] {
  const sums = thresholdsOf(c).sums.flatMap((sum) => [sum - 1, sum]);
  for (let i = 0; i <= 400; i++) sums.push(Math.round(c.least + ((c.most - c.least) * i) / 400));
  return [...sums, -1, 0, 1].filter((sum) => sum >= c.least && sum <= c.most);
}

function expectExact(found: Requantization, channels: readonly StoredChannel[]): void {
  channels.forEach((c, i) => {
    for (const sum of interestingSums(c)) {
      const wanted = Math.min(c.high, Math.max(c.low, exact(sum, c.multiplier.multiplier, c.multiplier.shift) + c.zeroPoint));
      const got = byInstructions(sum, found.channels[i]!, found.shift, c.low, c.high);
      if (got !== wanted) expect({ channel: i, sum, got }).toEqual({ channel: i, sum, got: wanted });
    }
  });
}

describe("arithmetic in doubles", () => {
  test("the high half of a product is exact", () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.integer({ min: 0, max: 2 ** 31 - 1 }), (x, m) => {
        expect(BigInt(highProduct(x, m))).toBe((BigInt(x) * BigInt(m)) >> 32n);
      }),
      { numRuns: 5000, seed: 3 },
    );
  });

  test("requantization is the operators' own", () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 23), max: 2 ** 23 }), MULTIPLIER, fc.integer({ min: -31, max: 7 }), (sum, multiplier, shift) => {
        expect(requantizeExact(sum, { multiplier, shift })).toBe(exact(sum, multiplier, shift));
      }),
      {
        numRuns: 5000,
        seed: 3,
        examples: [
          [-3, 2 ** 30, -1],
          [3, 2 ** 30, -1],
          [-1, 2 ** 30, 0],
          [5, 2 ** 31 - 1, -31],
        ],
      },
    );
  });
});

describe("thresholds", () => {
  test("are the least sums of their results", () => {
    fc.assert(
      fc.property(MULTIPLIER, fc.integer({ min: -2, max: 16 }), fc.integer({ min: -128, max: 127 }), (multiplier, right, zeroPoint) => {
        const c = channelOf(multiplier, right, zeroPoint, 100_000);
        const { first, sums } = thresholdsOf(c);
        expect(storedResult(c.least, c)).toBe(first);
        expect(storedResult(c.most, c)).toBe(first + sums.length);
        sums.forEach((sum, i) => {
          expect(storedResult(sum, c)).toBeGreaterThanOrEqual(first + 1 + i);
          expect(storedResult(sum - 1, c)).toBeLessThan(first + 1 + i);
        });
      }),
      { numRuns: 60, seed: 3 },
    );
  });
});

describe("a found requantization", () => {
  const SHIFTS = fc.integer({ min: 4, max: 11 });

  test("is a ramp for ReLU, and exact", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(MULTIPLIER, SHIFTS), { minLength: 1, maxLength: 4 }), (numbers) => {
        const channels = numbers.map(([multiplier, right]) => channelOf(multiplier, right, -128, 200_000));
        const found = findRequantization(channels);
        if (found === undefined) return;
        expectExact(found, channels);
        expect(found.channels.length).toBe(channels.length);
      }),
      { numRuns: 100, seed: 3 },
    );
  });

  test("is found for nearly all channels, whatever the zero point", () => {
    const random = fc.sample(fc.tuple(MULTIPLIER, SHIFTS, fc.integer({ min: -127, max: 127 })), { numRuns: 200, seed: 5 });
    const forms = { ramp: 0, steps: 0, none: 0 };
    for (const [multiplier, right, zeroPoint] of random) {
      const relu = [channelOf(multiplier, right, -128, 500_000)];
      const linear = [channelOf(multiplier, right, zeroPoint, 500_000)];
      for (const channels of [relu, linear]) {
        const found = findRequantization(channels);
        if (found !== undefined) expectExact(found, channels);
        forms[found?.form ?? "none"]++;
      }
    }
    expect(forms.none).toBeLessThanOrEqual(4);
    expect(forms.ramp).toBeGreaterThanOrEqual(190);
  });

  test("gives a channel that cannot change its one result", () => {
    const constant: StoredChannel = { multiplier: { multiplier: 2 ** 30, shift: -1 }, least: -256, most: -256, zeroPoint: 3, low: -128, high: 127 };
    const channels = [constant, channelOf(1_500_000_000, 7, 3, 90_000)];
    const found = findRequantization(channels)!;
    expectExact(found, channels);
    expect(byInstructions(-256, found.channels[0]!, found.shift, -128, 127)).toBe(3 - 64);
  });

  test("is refused where sums leave 24 bits", () => {
    expect(findRequantization([channelOf(1_500_000_000, 16, -128, 2 ** 23 + 5000)])).toBeUndefined();
  });
});

describe("the proof", () => {
  const channel = channelOf(1_500_000_000, 8, -128, 100_000);
  const { shift, channels } = findRequantization([channel])!;
  const good = channels[0]!;
  const thresholds = thresholdsOf(channel);

  test("accepts what was found", () => {
    expect(isProved(good, shift, channel, thresholds)).toBe(true);
  });

  test.each([
    ["offset", { ...good, offset: good.offset + 64 }],
    ["multiplier", { ...good, multiplier: good.multiplier + 2 ** 18 }],
    ["rounding", { ...good, rounding: good.rounding - 2 ** (shift - 1) }],
    ["negative step", { ...good, step: -1 }],
    ["multiplier beyond 31 bits", { ...good, multiplier: 2 ** 31 }],
  ])("refuses another %s", (_name, changed) => {
    expect(isProved(changed, shift, channel, thresholds)).toBe(false);
  });

  test("refuses a tie rounded the wrong way", () => {
    // A multiplier of one half and a shift of 3 divide by 16: at ±8 the result is tied.
    const tied = channelOf(2 ** 30, 3, 0, 3000);
    const found = findRequantization([tied])!;
    const steps = found.channels[0]!;
    expect(storedResult(-8, tied)).toBe(-1);
    expect(storedResult(8, tied)).toBe(1);
    expectExact(found, [tied]);
    expect(steps.step).toBeGreaterThan(0);
    expect(isProved({ ...steps, step: 0 }, found.shift, tied, thresholdsOf(tied))).toBe(false);
  });
});
