import { describe, expect, it, test } from "vitest";
import { type TypedArray, Xorshift32 } from "../base/index.ts";
import { GraphBuilder } from "../graph/index.ts";
import { evaluate } from "../targets/js/index.ts";
import { rfft } from "./rfft.ts";

function spectrum(x: Float32Array | Int16Array, fftLength: number): TypedArray {
  const dtype = x instanceof Int16Array ? "int16" : "float32";
  const b = new GraphBuilder("rfft");
  const y = b.value("y", { dtype, shape: [1, fftLength / 2 + 1, 2] });
  b.node("rfft", [b.input("x", { dtype, shape: [1, x.length] })], [y], { fftLength });
  b.output(y);
  return evaluate(b.build(), [x])[0]!;
}

/** From the definition, in double precision. */
function direct(x: ArrayLike<number>, fftLength: number): number[] {
  return Array.from({ length: fftLength / 2 + 1 }, (_, bin) => {
    let [re, im] = [0, 0];
    for (let n = 0; n < Math.min(x.length, fftLength); n++) {
      const phase = (-2 * Math.PI * ((n * bin) % fftLength)) / fftLength;
      re += x[n]! * Math.cos(phase);
      im += x[n]! * Math.sin(phase);
    }
    return [re, im];
  }).flat();
}

const LENGTHS = [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];

describe.each(LENGTHS)("a transform of %i numbers", (length) => {
  const random = new Xorshift32(length);
  const noise = Float32Array.from({ length }, () => random.float());

  it("is the definition's to 1e-6 of its largest bin", () => {
    for (const used of [length, Math.ceil(length * 0.93), Math.ceil(length / 3)]) {
      const x = noise.subarray(0, used);
      const [got, wanted] = [spectrum(x.slice(), length), direct(x, length)];
      const largest = Math.max(...wanted.map(Math.abs));
      wanted.forEach((value, i) => expect(Math.abs(Number(got[i]) - value) / largest, `${used} numbers, ${i}`).toBeLessThan(1e-6));
    }
  });

  it("keeps the energy (Parseval)", () => {
    const bins = spectrum(noise, length) as Float32Array;
    const energy = noise.reduce((sum, v) => sum + v * v, 0);
    const inBins = bins.reduce((sum, v, i) => sum + v * v * (i < 2 || i >= length ? 1 : 2), 0) / length;
    expect(inBins / energy).toBeCloseTo(1, 5);
  });

  it("in fixed point is 1/N of it, to a few units for every pass", () => {
    const x = Int16Array.from(noise, (v) => v * 32000);
    const [got, wanted] = [spectrum(x, length) as Int16Array, direct(x, length)];
    wanted.forEach((value, i) => expect(Math.abs(got[i]! - value / length), `${i}`).toBeLessThan(8));
  });
});

test("a cosine lies in its bin alone, and its phase is that of the cosine", () => {
  const x = Float32Array.from({ length: 512 }, (_, n) => Math.cos((2 * Math.PI * 37 * n) / 512 + 0.5));
  const bins = spectrum(x, 512) as Float32Array;
  bins.forEach((value, i) => expect(value, `${i}`).toBeCloseTo(i === 74 ? 256 * Math.cos(0.5) : i === 75 ? 256 * Math.sin(0.5) : 0, 3));
});

test("lengths that are no power of two from 8 to 4096 are refused", () => {
  for (const length of [4, 12, 8192, 0, -8, 8.5])
    expect(() => rfft.infer([{ dtype: "float32", shape: [8] }], { fftLength: length })).toThrow("power of two");
});
