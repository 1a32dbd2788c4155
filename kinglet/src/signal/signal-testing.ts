import { expect } from "vitest";
import { type TypedArray, Xorshift32 } from "../base/index.ts";
import { type Graph, GraphBuilder, type Value } from "../graph/index.ts";
import { evaluate } from "../targets/js/index.ts";

/** For tests: a graph of one input and of what `build` makes of it. */
export function featureGraph(dtype: "float32" | "int16" | "uint8", shape: readonly number[], build: (b: GraphBuilder, x: Value) => Value): Graph {
  const b = new GraphBuilder("features");
  b.output(build(b, b.input("x", { dtype, shape })));
  return b.build();
}

/** The plain loops' result for float32 contents, with its shape. */
export function run(
  shape: readonly number[],
  data: TypedArray,
  build: (b: GraphBuilder, x: Value) => Value,
): { readonly shape: readonly number[]; readonly data: Float32Array } {
  const dtype = data instanceof Int16Array ? "int16" : data instanceof Uint8Array ? "uint8" : "float32";
  const graph = featureGraph(dtype, shape, build);
  return { shape: graph.outputs[0]!.shape, data: evaluate(graph, [data])[0]! as Float32Array };
}

export function noise(length: number, seed: number): Float32Array {
  const random = new Xorshift32(seed);
  return Float32Array.from({ length }, () => random.float());
}

/** The largest difference against the largest wanted number (at least 1e-3). */
export function expectNear(got: ArrayLike<number>, wanted: readonly number[], tolerance: number): void {
  expect(got.length).toBe(wanted.length);
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
  wanted.forEach((value, i) => expect(Math.abs(got[i]! - value) / largest, `element ${i}: ${got[i]} for ${value}`).toBeLessThanOrEqual(tolerance));
}

/** One bin of the discrete Fourier transform, from its definition. */
export function dft(x: ArrayLike<number>, length: number, bin: number): readonly [number, number] {
  let [re, im] = [0, 0];
  for (let n = 0; n < Math.min(x.length, length); n++) {
    const phase = (-2 * Math.PI * ((n * bin) % length)) / length;
    re += x[n]! * Math.cos(phase);
    im += x[n]! * Math.sin(phase);
  }
  return [re, im];
}
