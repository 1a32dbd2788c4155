import { expect, test } from "vitest";
import { bytesOf, Xorshift32 } from "../base/index.ts";
import { type Quantization, GraphBuilder } from "../graph/index.ts";
import { createJsRunner } from "../targets/js/index.ts";
import { compileGraph } from "../driver/index.ts";

interface Update {
  readonly start: Int8Array;
  readonly gradient: Float32Array;
  readonly quantization: Quantization;
  readonly rate: number;
  readonly scaled: boolean;
  readonly steps: number;
}

/** The weights after so many updates by the same gradient. */
function updated(shape: number[], { start, gradient, quantization, rate, scaled, steps }: Update): number[] {
  const builder = new GraphBuilder("update");
  const w = builder.variable("w", { dtype: "int8", shape, quantization }, start);
  const random = builder.variable("random", { dtype: "int32", shape: [1] }, Int32Array.of(1));
  const g = builder.input("g", { dtype: "float32", shape });
  const rates = builder.input("rate", { dtype: "float32", shape: [1] });
  builder.node("quantizedDescentUpdate", [w, random, g, rates], [], { scaled }, "update");
  builder.output(w);
  const { program, plan } = compileGraph(builder.build(), { target: "plain" });
  const runner = createJsRunner(program, plan);
  for (let k = 0; k < steps; k++) {
    runner.setInput(0, bytesOf(gradient));
    runner.setInput(1, bytesOf(Float32Array.of(rate)));
    runner.run();
  }
  return [...new Int8Array(runner.output(0).slice().buffer)];
}

const perChannel = (scales: number[], axis = 0): Quantization => ({ scales, zeroPoints: scales.map(() => 0), axis });

test("moves real weights by rate · gradient in the mean, whatever their scale", () => {
  const scales = [0.1, 0.01, 0.001];
  const [count, steps, rate] = [40, 50, 0.0002];
  const gradient = new Float32Array(3 * count).fill(1);
  const w = updated([3, count], { start: new Int8Array(3 * count).fill(100), gradient, quantization: perChannel(scales), rate, scaled: true, steps });
  scales.forEach((scale, c) => {
    const moved = w.slice(c * count, (c + 1) * count).reduce((sum, each) => sum + (100 - each) * scale, 0) / count;
    // Each step is rounded to a multiple of the scale: that is as far as a mean of so many can be off.
    expect(Math.abs(moved - rate * steps)).toBeLessThan(4 * Math.sqrt((rate * steps * scale) / count));
  });
});

test("without the scaling a step is the square of the scale as large", () => {
  const update = { start: Int8Array.of(0, 0), gradient: Float32Array.of(1, 1), quantization: perChannel([0.5, 0.25]), steps: 1 };
  expect(updated([2, 1], { ...update, rate: 8, scaled: true })).toEqual([-16, -32]);
  expect(updated([2, 1], { ...update, rate: 8, scaled: false })).toEqual([-4, -2]);
});

test("a scale for each of the last dimension is the channel's own", () => {
  const update = { start: new Int8Array(4), gradient: new Float32Array(4).fill(1), rate: 1, scaled: true, steps: 1 };
  expect(updated([1, 1, 2, 2], { ...update, quantization: perChannel([1, 0.5], 3) })).toEqual([-1, -2, -1, -2]);
});

test("nothing leaves the range", () => {
  const start = Int8Array.of(120, 1, -120);
  const update = { start, gradient: Float32Array.of(-1000, 0, 1000), quantization: perChannel([0.1]), rate: 1, scaled: true, steps: 1 };
  expect(updated([1, 3], update)).toEqual([127, 1, -127]);
});

test("draws are those of Xorshift32", () => {
  const random = new Xorshift32(1);
  const gradient = Float32Array.from({ length: 16 }, (_, i) => i / 16);
  const expected = Array.from(gradient, (g) => 0 - Math.floor(g + (random.next() >>> 8) * 2 ** -24));
  const start = new Int8Array(16);
  expect(updated([1, 16], { start, gradient, quantization: perChannel([1]), rate: 1, scaled: true, steps: 1 })).toEqual(expected);
});
