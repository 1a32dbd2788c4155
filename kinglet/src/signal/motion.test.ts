import { describe, expect, it } from "vitest";
import { butterworth } from "./filter.ts";
import { motionFeatures, spectralFeatures } from "./motion.ts";
import { dft, expectNear, noise, run } from "./signal-testing.ts";
import { hannWindow } from "./windows.ts";

const TIME = 64;

/** One channel of [time, 2]. */
function channel(x: Float32Array, c: number): number[] {
  return Array.from({ length: TIME }, (_, t) => x[2 * t + c]!);
}

/** From the definitions, in double precision. */
function statistics(x: readonly number[]): number[] {
  const moment = (power: number, about: number): number => x.reduce((sum, v) => sum + (v - about) ** power, 0) / x.length;
  const mean = moment(1, 0);
  const variance = moment(2, mean);
  const crossings = x.filter((v, t) => t > 0 && v < 0 !== x[t - 1]! < 0).length;
  const peaks = x.filter((v, t) => t > 0 && t < x.length - 1 && v > x[t - 1]! && v > x[t + 1]! && v > 0.3).length;
  const [skewness, kurtosis] = [moment(3, mean) / variance ** 1.5, moment(4, mean) / variance ** 2 - 3];
  return [mean, Math.sqrt(variance), Math.sqrt(moment(2, 0)), skewness, kurtosis, Math.min(...x), Math.max(...x), crossings, peaks];
}

describe("statistics of motion", () => {
  const x = noise(TIME * 2, 31).map((v) => v + 0.1);

  it("are the definitions'", () => {
    const got = run([1, TIME, 2], x, (b, v) => motionFeatures(b, v, { peakHeight: 0.3 }));
    expect(got.shape).toEqual([1, 18]);
    const [a, c] = [statistics(channel(x, 0)), statistics(channel(x, 1))];
    const wanted = a.flatMap((value, i) => [value, c[i]!]);
    wanted.forEach((value, i) => expect(got.data[i], `feature ${i}`).toBeCloseTo(value, 4));
  });

  it("of a constant are finite", () => {
    const got = run([1, 8, 1], new Float32Array(8).fill(0.5), (b, v) => motionFeatures(b, v));
    expect([...got.data]).toEqual([0.5, 0, 0.5, 0, 0, 0.5, 0.5, 0, 0]);
  });

  it("of a square wave: kurtosis −2, no skewness", () => {
    const square = Float32Array.from({ length: 64 }, (_, t) => (t % 8 < 4 ? 1 : -1));
    const got = run([1, 64, 1], square, (b, v) => motionFeatures(b, v, { statistics: ["skewness", "kurtosis", "zeroCrossings"] }));
    expect([...got.data]).toEqual([0, -2, 15]);
  });
});

describe("power in bands", () => {
  const options = { sampleRate: 50, fftLength: 32, bandEdgesHz: [0, 5, 12, 25.1] };

  function direct(x: readonly number[]): number[] {
    const mean = x.reduce((a, b) => a + b) / x.length;
    const window = hannWindow(32);
    const energy = window.reduce((sum, w) => sum + w * w, 0);
    const powers = [0, 0, 0];
    for (let segment = 0; segment < 3; segment++) {
      const frame = Array.from(window, (w, i) => w * (x[16 * segment + i]! - mean));
      for (let bin = 0; bin <= 16; bin++) {
        const hz = (bin * 50) / 32;
        const density = (Math.hypot(...dft(frame, 32, bin)) ** 2 * (bin === 0 || bin === 16 ? 1 : 2)) / (50 * energy);
        powers[hz < 5 ? 0 : hz < 12 ? 1 : 2]! += (density * (50 / 32)) / 3;
      }
    }
    return powers;
  }

  it("is Welch's", () => {
    const x = noise(TIME * 2, 41);
    const got = run([1, TIME, 2], x, (b, v) => spectralFeatures(b, v, options));
    expect(got.shape).toEqual([1, 2, 3]);
    expectNear(got.data, [...direct(channel(x, 0)), ...direct(channel(x, 1))], 1e-5);
  });

  it("of a sine is half its squared height, in the sine's band", () => {
    const sine = Float32Array.from({ length: 256 }, (_, n) => 3 * Math.sin((2 * Math.PI * 7.8125 * n) / 50));
    const [low, middle, high] = run([1, 256, 1], sine, (b, v) => spectralFeatures(b, v, options)).data;
    expect(middle).toBeCloseTo(4.5, 3);
    expect(Math.max(low!, high!)).toBeLessThan(1e-3);
  });

  it("lies behind the statistics, of the filtered signal", () => {
    const sections = butterworth({ kind: "highpass", order: 2, cutoffHz: 3, sampleRate: 50 });
    const got = run([2, TIME, 3], noise(2 * TIME * 3, 5), (b, v) => motionFeatures(b, v, { sections, spectrum: options }));
    expect(got.shape).toEqual([2, 9 * 3 + 3 * 3]);
  });
});
