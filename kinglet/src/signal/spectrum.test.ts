import { describe, expect, it } from "vitest";
import type { Value } from "../graph/index.ts";
import type { GraphBuilder } from "../graph/index.ts";
import { addNode, floats } from "./node.ts";
import { melWeights } from "./mel.ts";
import { dft, expectNear, noise, run } from "./signal-testing.ts";
import { binsOf, spectrogram, stft } from "./spectrum.ts";
import { hammingWindow, hannWindow } from "./windows.ts";

const options = { frameLength: 100, frameStep: 40 };

function frameOf(x: Float32Array, frame: number, window: Float32Array): number[] {
  return Array.from(window, (w, i) => (x[frame * options.frameStep + i] ?? 0) * w);
}

describe("windows", () => {
  it("are those of tf.signal", () => {
    expectNear(hannWindow(4), [0, 0.5, 1, 0.5], 1e-6);
    expectNear(hannWindow(5), [0, 0.5, 1, 0.5, 0], 1e-6);
    expectNear(hannWindow(4, false), [0, 0.75, 0.75, 0], 1e-6);
    expectNear(hammingWindow(4), [0.08, 0.54, 1, 0.54], 1e-6);
    expect(hannWindow(1)).toEqual(Float32Array.of(1));
  });
});

describe("short-time Fourier transforms", () => {
  const x = noise(330, 3);

  it.each([false, true])("are the definition's, zeros behind the end: %s", (padEnd) => {
    const got = run([1, 330], x, (b, samples) => stft(b, samples, { ...options, padEnd }));
    const frames = padEnd ? 9 : 6;
    expect(got.shape).toEqual([1, frames, 65, 2]);
    const wanted = Array.from({ length: frames }, (_, frame) =>
      Array.from({ length: 65 }, (_bin, bin) => dft(frameOf(x, frame, hannWindow(100)), 128, bin)).flat(),
    ).flat();
    expectNear(got.data, wanted, 1e-6);
  });

  it("of a sine have their peak in its bin", () => {
    const sine = Float32Array.from({ length: 1024 }, (_, n) => Math.sin((2 * Math.PI * 1000 * n) / 16000));
    const { data } = run([1, 1024], sine, (b, v) => spectrogram(b, v, { frameLength: 512, frameStep: 512 }));
    const first = [...data.subarray(0, 257)];
    expect(first.indexOf(Math.max(...first))).toBe(32);
    // A sine of height 1 under a Hann window of 512: 512 / 4.
    expect(first[32]).toBeCloseTo(128, 2);
  });
});

describe("spectrograms in one operator", () => {
  const weights = melWeights(65, { bands: 12, sampleRate: 8000, lowHz: 60, highHz: 3800 });

  /** The same from operators of their own. */
  function apart(b: GraphBuilder, x: Value, power: number, padEnd: boolean): Value {
    const sizes = addNode(b, "spectrumPower", [stft(b, x, { ...options, padEnd })], { power });
    return addNode(b, "filterBank", [sizes, floats(b, "filters", [65, 12], weights)]);
  }

  it.each([
    [1, false],
    [2, false],
    [2, true],
  ] as const)("have the bits of the operators apart, power %i, zeros behind the end: %s", (power, padEnd) => {
    const x = noise(2 * 333, 5);
    const one = run([2, 333], x, (b, v) => spectrogram(b, v, { ...options, power, padEnd, filters: { bands: 12, weights } }));
    expect(one).toEqual(run([2, 333], x, (b, v) => apart(b, v, power, padEnd)));
  });

  it("take int16 as −1 to 1, to the bit", () => {
    const short = Int16Array.from(noise(333, 7), (v) => v * 32767);
    const build = (b: GraphBuilder, v: Value): Value => spectrogram(b, v, options);
    const scaled = run(
      [1, 333],
      Float32Array.from(short, (v) => v / 32768),
      build,
    );
    expect(run([1, 333], short, build)).toEqual(scaled);
    expect(scaled.shape).toEqual([1, 6, binsOf(options)]);
  });

  it("sum with a filter bank what a product of matrices sums", () => {
    const x = noise(3 * 65, 9);
    const table = (b: GraphBuilder): Value => floats(b, "filters", [65, 12], weights);
    const sparse = run([3, 65], x, (b, v) => addNode(b, "filterBank", [v, table(b)]));
    const dense = run([3, 65], x, (b, v) => addNode(b, "batchMatmul", [v, table(b)], { adjX: false, adjY: false }));
    expectNear(sparse.data, [...dense.data], 1e-6);
  });
});
