import { describe, expect, test } from "vitest";
import { batches, datasetFromArrays } from "../index.ts";
import { exp, log, sineAndCosine } from "../portable-math.ts";
import { gaussian, randomAt } from "../seed.ts";
import { symmetricBeta } from "./batch.ts";
import * as changes from "./index.ts";

const ramp = Float32Array.from({ length: 12 }, (_, i) => (i + 1) / 16);
const rounded = (values: Float32Array): number[] => [...values].map((value) => Number(value.toFixed(4)));

/** Fixed seed, small vector: what each change gives is part of its promise. */
const CASES: Readonly<Record<string, readonly [changes.Augment, readonly number[]]>> = {
  audioShift: [changes.audioShift(4), [12, 1]],
  audioSpeed: [changes.audioSpeed(0.4), [6, 2]],
  audioTilt: [changes.audioTilt(0.8), [6, 2]],
  audioSnr: [changes.audioSnr([Float32Array.of(1, -1, 0.5)], 0, 20), [12, 1]],
  audioGain: [changes.audioGain(-6, 6), [12, 1]],
  audioNoise: [changes.audioNoise(0.1), [12, 1]],
  audioBackground: [changes.audioBackground([Float32Array.of(1, -1, 0.5)], 0.5), [12, 1]],
  timeMask: [changes.timeMask({ most: 3 }), [6, 2]],
  frequencyMask: [changes.frequencyMask({ most: 2, value: 9 }), [4, 3]],
  flipHorizontal: [changes.flipHorizontal(1), [2, 2, 3]],
  flipVertical: [changes.flipVertical(1), [2, 2, 3]],
  randomCrop: [changes.randomCrop(1), [3, 4, 1]],
  brightness: [changes.brightness(0.5), [2, 2, 3]],
  contrast: [changes.contrast(0.5), [2, 2, 3]],
  colour: [changes.colour(0.5), [2, 2, 3]],
  jitter: [changes.jitter(0.1), [4, 3]],
  motionScale: [changes.motionScale(0.2), [4, 3]],
  rotate3d: [changes.rotate3d(90), [4, 3]],
  timeWarp: [changes.timeWarp(0.5), [12, 1]],
};

describe("each change", () => {
  test.each(Object.keys(CASES))("%s is pure, keeps the shape and gives the stored vector", (name) => {
    const [change, shape] = CASES[name]!;
    const before = ramp.slice();
    const out = change(ramp, shape, randomAt(42));
    expect(ramp).toEqual(before);
    expect(out).not.toBe(ramp);
    expect(out).toHaveLength(ramp.length);
    expect(change(ramp, shape, randomAt(42))).toEqual(out);
    expect(rounded(out)).toMatchSnapshot();
  });

  test("known answers", () => {
    expect([...changes.flipHorizontal(1)(Float32Array.of(1, 2, 3, 4), [2, 2, 1], randomAt(1))]).toEqual([2, 1, 4, 3]);
    expect([...changes.flipVertical(1)(Float32Array.of(1, 2, 3, 4), [2, 2, 1], randomAt(1))]).toEqual([3, 4, 1, 2]);
    expect(changes.flipHorizontal(0)(ramp, [3, 4, 1], randomAt(1))).toEqual(ramp);
    for (const still of [
      changes.audioShift(0),
      changes.timeWarp(0),
      changes.rotate3d(0),
      changes.audioGain(0, 0),
      changes.audioSpeed(0),
      changes.audioTilt(0),
    ])
      expect(rounded(still(ramp, [4, 3], randomAt(2)))).toEqual(rounded(ramp));
    expect(changes.randomCrop(0)(ramp, [3, 4, 1], randomAt(2))).toEqual(ramp);
  });

  test("a rotation keeps lengths and angles", () => {
    const out = changes.rotate3d(180)(Float32Array.of(1, 0, 0, 0, 2, 0), [2, 3], randomAt(9));
    expect(Math.hypot(out[0]!, out[1]!, out[2]!)).toBeCloseTo(1, 6);
    expect(Math.hypot(out[3]!, out[4]!, out[5]!)).toBeCloseTo(2, 6);
    expect(out[0]! * out[3]! + out[1]! * out[4]! + out[2]! * out[5]!).toBeCloseTo(0, 6);
    expect(() => changes.rotate3d(9)(ramp, [6, 2], randomAt(1))).toThrow(/three channels/);
  });

  test("sometimes means its share", () => {
    let changed = 0;
    for (let i = 0; i < 2000; i++) if (changes.sometimes(0.3, changes.brightness(0.5))(ramp, [3, 4, 1], randomAt(i))[0] !== ramp[0]) changed++;
    expect(Math.abs(changed / 2000 - 0.3)).toBeLessThan(0.04);
  });

  test("noise lies so many decibels below the signal, and silence stays silent", () => {
    const tone = Float32Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? 0.5 : -0.5));
    const noise = Float32Array.from({ length: 64 }, (_, i) => (i % 4 < 2 ? 3 : -3));
    const noisy = changes.audioSnr([noise], 20, 20)(tone, [64, 1], randomAt(8));
    noisy.forEach((value, i) => expect(Math.abs(value - tone[i]!)).toBeCloseTo(0.05, 6));
    expect(
      changes
        .audioSnr([noise], 0, 20)(new Float32Array(64), [64, 1], randomAt(8))
        .every((value) => value === 0),
    ).toBe(true);
    expect(changes.audioSnr([], 0, 20)(tone, [64, 1], randomAt(8))).toEqual(tone);
  });

  test("a faster signal ends early and a slower one is cut", () => {
    const long = Float32Array.from({ length: 100 }, (_, i) => i + 1);
    const played = Array.from({ length: 20 }, (_, seed) => changes.audioSpeed(0.5)(long, [100, 1], randomAt(seed)));
    for (const out of played) {
      const speed = out[1]! - 1;
      expect(out[0]).toBe(1);
      expect(out[50]!).toBeCloseTo(1 + 50 * speed <= 100 ? 1 + 50 * speed : 0, 3);
      expect(out[99] === 0).toBe(speed > 1);
    }
    expect(new Set(played.map((out) => out[99] === 0)).size).toBe(2);
  });

  test("noise has the asked deviation", () => {
    const silence = new Float32Array(20_000);
    const noisy = changes.jitter(0.5)(silence, [20_000, 1], randomAt(4));
    const mean = noisy.reduce((a, b) => a + b, 0) / noisy.length;
    expect(Math.abs(mean)).toBeLessThan(0.015);
    expect(Math.abs(Math.sqrt(noisy.reduce((a, b) => a + b * b, 0) / noisy.length) - 0.5)).toBeLessThan(0.01);
  });
});

describe("batches of changed targets", () => {
  const dataset = datasetFromArrays({ data: Float32Array.of(0, 10, 20), shape: [1, 1], labels: [0, 1, 2], classes: ["a", "b", "c"] });
  const first = async (oneHot: boolean) => (await batches(dataset, Int32Array.of(0, 1, 2), { batchSize: 4, shuffle: false, oneHot }).next()).value!;

  test("mixup blends data and targets by the same share, and leaves the filling alone", async () => {
    const batch = changes.mixup(await first(true), 0.4, randomAt(3));
    for (let i = 0; i < 3; i++) {
      const target = [...batch.targets!.subarray(3 * i, 3 * i + 3)];
      expect(target.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 6);
      expect(batch.data[i]!).toBeCloseTo(10 * target[1]! + 20 * target[2]!, 4);
    }
    expect([batch.data[3], batch.weights[3]]).toEqual([0, 0]);
    const plain = await first(false);
    expect(() => changes.mixup(plain, 0.4, randomAt(3))).toThrow(/one-hot/);
  });

  test("label smoothing", async () => {
    const { targets } = changes.smoothLabels(await first(true), 0.3);
    expect(rounded(targets!)).toEqual([0.8, 0.1, 0.1, 0.1, 0.8, 0.1, 0.1, 0.1, 0.8, 0, 0, 0]);
  });

  test("Beta(alpha, alpha) has mean 1/2 and variance 1/(8 alpha + 4)", () => {
    for (const alpha of [0.2, 1, 2]) {
      const random = randomAt(6);
      const draws = Array.from({ length: 4000 }, () => symmetricBeta(alpha, random));
      const mean = draws.reduce((a, b) => a + b, 0) / draws.length;
      expect(Math.abs(mean - 0.5)).toBeLessThan(0.03);
      expect(Math.abs(draws.reduce((a, b) => a + (b - mean) ** 2, 0) / draws.length - 1 / (8 * alpha + 4))).toBeLessThan(0.012);
    }
  });
});

test("portable functions agree with Math", () => {
  for (let x = -20; x <= 20; x += 0.37) expect(exp(x) / Math.exp(x)).toBeCloseTo(1, 12);
  for (let x = 0.001; x < 50; x *= 1.7) expect(log(x)).toBeCloseTo(Math.log(x), 12);
  for (let x = -3.1; x < 3.2; x += 0.1) {
    expect(sineAndCosine(x).sine).toBeCloseTo(Math.sin(x), 12);
    expect(sineAndCosine(x).cosine).toBeCloseTo(Math.cos(x), 12);
  }
  const random = randomAt(1);
  const draws = Array.from({ length: 5000 }, () => gaussian(random));
  expect(Math.abs(draws.filter((value) => Math.abs(value) < 1).length / 5000 - 0.683)).toBeLessThan(0.03);
});
