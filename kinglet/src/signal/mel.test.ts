import { describe, expect, it } from "vitest";
import { filterTime } from "./filter.ts";
import { logMel, melWeights, mfcc, mfe, pcen, powerToDb } from "./mel.ts";
import { dft, expectNear, noise, run } from "./signal-testing.ts";
import { hannWindow } from "./windows.ts";

const bank = { bands: 20, sampleRate: 16000, lowHz: 20, highHz: 4000 };
const options = { ...bank, frameLength: 200, frameStep: 100 };

/** HTK's mel scale and its inverse. */
const mel = (hz: number): number => 1127 * Math.log(1 + hz / 700);
const hertz = (m: number): number => 700 * (Math.exp(m / 1127) - 1);

/** Weights by the edges of the triangles, which are straight lines over mel. */
function directWeights(bins: number): number[][] {
  const edges = Array.from({ length: bank.bands + 2 }, (_, i) => mel(bank.lowHz) + ((mel(bank.highHz) - mel(bank.lowHz)) * i) / (bank.bands + 1));
  return Array.from({ length: bins }, (_, bin) => {
    const m = mel((bin * 8000) / (bins - 1));
    return Array.from({ length: bank.bands }, (_band, i) => {
      const [low, centre, high] = edges.slice(i, i + 3) as [number, number, number];
      if (bin === 0 || m <= low || m >= high) return 0;
      return m <= centre ? (m - low) / (centre - low) : (high - m) / (high - centre);
    });
  });
}

function directMel(x: Float32Array, frames: number, power: number): number[][] {
  const [window, weights] = [hannWindow(200), directWeights(129)];
  return Array.from({ length: frames }, (_, f) => {
    const frame = Array.from(window, (w, i) => w * x[f * 100 + i]!);
    const sizes = Array.from({ length: 129 }, (_bin, bin) => Math.hypot(...dft(frame, 256, bin)) ** power);
    return Array.from({ length: bank.bands }, (_band, i) => sizes.reduce((sum, size, bin) => sum + size * weights[bin]![i]!, 0));
  });
}

const x = noise(640, 21);

describe("mel bands", () => {
  it("have the weights of the formula", () => {
    expectNear(melWeights(129, bank), directWeights(129).flat(), 1e-6);
  });

  it("sum to 1 at every frequency between the first and the last centre", () => {
    const weights = melWeights(1025, bank);
    const step = (mel(4000) - mel(20)) / 21;
    for (let bin = 0; bin < 1025; bin++) {
      const hz = (bin * 8000) / 1024;
      if (hz < hertz(mel(20) + step) || hz > hertz(mel(4000) - step)) continue;
      expect(weights.slice(bin * 20, bin * 20 + 20).reduce((a, b) => a + b)).toBeCloseTo(1, 5);
    }
  });

  it("with edges out of order are refused", () => {
    for (const bad of [{ lowHz: 5000 }, { highHz: 9000 }, { lowHz: -1 }]) expect(() => melWeights(129, { ...bank, ...bad })).toThrow("mel bands");
  });

  it("as logarithms", () => {
    const wanted = directMel(x, 5, 1)
      .flat()
      .map((energy) => Math.log(energy + 1e-6));
    const got = run([1, 640], x, (b, v) => logMel(b, v, options));
    expect(got.shape).toEqual([1, 5, 20]);
    expectNear(got.data, wanted, 1e-5);
  });

  it("as cepstral coefficients: an orthogonal transform but for the first", () => {
    const logs = directMel(x, 5, 1).map((frame) => frame.map((energy) => Math.log(energy + 1e-6)));
    const wanted = logs.map((frame) =>
      Array.from({ length: 10 }, (_, k) => frame.reduce((sum, v, n) => sum + 2 * v * Math.cos((Math.PI * k * (2 * n + 1)) / 40), 0) / Math.sqrt(40)),
    );
    expectNear(run([1, 640], x, (b, v) => mfcc(b, v, { ...options, coefficients: 10 })).data, wanted.flat(), 1e-5);
    // All coefficients of one frame: the energy of its logarithms, where the first counts twice.
    const all = run([1, 640], x, (b, v) => mfcc(b, v, { ...options, coefficients: 20 })).data.subarray(0, 20);
    const energy = all.reduce((sum, c, k) => sum + c * c * (k === 0 ? 0.5 : 1), 0);
    expect(energy / logs[0]!.reduce((sum, v) => sum + v * v, 0)).toBeCloseTo(1, 5);
  });

  it("in decibels", () => {
    const wanted = directMel(x, 5, 2)
      .flat()
      .map((energy) => 10 * Math.log10(energy));
    expectNear(run([1, 640], x, (b, v) => mfe(b, v, options)).data, wanted, 1e-5);
  });
});

describe("decibels", () => {
  it("against a reference, down to a range below the largest of each example", () => {
    const energies = Float32Array.of(1, 10, 1e-20, 4, 100, 1, 1e-3, 50);
    const got = run([2, 4], energies, (b, v) => powerToDb(b, v, { reference: 10, range: 30 }));
    const wanted = [...energies].map((e, i) => Math.max(10 * Math.log10(Math.max(1e-10, e)) - 10, (i < 4 ? 0 : 10) - 30));
    expectNear(got.data, wanted, 1e-6);
  });

  it("against the largest of each example, which makes loud and soft alike", () => {
    const energies = Float32Array.of(1, 10, 1e-3, 4, 100, 1000, 0.1, 400);
    const got = run([2, 4], energies, (b, v) => powerToDb(b, v, { reference: "largest", range: 30 }));
    const wanted = [-10, 0, -30, 10 * Math.log10(0.4)];
    expectNear(got.data, [...wanted, ...wanted], 1e-5);
    const all = run([1, 3], Float32Array.of(1, 1e-4, 0.1), (b, v) => powerToDb(b, v, { reference: "largest" }));
    expectNear(all.data, [0, -40, -10], 1e-5);
  });
});

describe("PCEN", () => {
  const energies = noise(12 * 3, 4).map((v) => v * v * 5);

  function direct(first: readonly number[]): number[] {
    const frames = 0.4 * 100;
    const s = (Math.sqrt(1 + 4 * frames ** 2) - 1) / (2 * frames ** 2);
    const mean = [...first];
    return [...energies].map((energy, i) => {
      mean[i % 3] = (1 - s) * mean[i % 3]! + s * energy;
      return (energy * (1e-6 + mean[i % 3]!) ** -0.98 + 2) ** 0.5 - 2 ** 0.5;
    });
  }

  it("is the recursion's with librosa's defaults", () => {
    expectNear(run([1, 12, 3], energies, (b, v) => pcen(b, v, { frameRate: 100 })).data, direct([1, 1, 1]), 1e-6);
  });

  it("in pieces starts in the same way", () => {
    expectNear(run([1, 12, 3], energies, (b, v) => pcen(b, v, { frameRate: 100, streaming: true })).data, direct([1, 1, 1]), 1e-6);
  });
});

it("a filter of one section is its recursion", () => {
  const signal = noise(50, 8);
  const [b0, b1, b2, a1, a2] = [0.3, -0.2, 0.1, -0.9, 0.5] as const;
  const y: number[] = [];
  signal.forEach((v, t) => y.push(b0 * v + b1 * (signal[t - 1] ?? 0) + b2 * (signal[t - 2] ?? 0) - a1 * (y[t - 1] ?? 0) - a2 * (y[t - 2] ?? 0)));
  expectNear(run([1, 50, 1], signal, (b, v) => filterTime(b, v, [b0, b1, b2, a1, a2])).data, y, 1e-6);
});
