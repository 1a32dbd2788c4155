import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { TestContext } from "vitest";
import { bytesOf, Xorshift32 } from "../../base/index.ts";
import { readModel } from "../../formats/index.ts";
import { needShared } from "../../formats/test-files.ts";
import type { Graph, Value } from "../../graph/index.ts";
import { prepareForQuantization, type QuantizedModel } from "../../passes/index.ts";
import type { Sample } from "../tensors.ts";
import { judgedValue } from "./noise.ts";
import { createValueRunner, sampleFor } from "./values.ts";

/** A model of the golden folder as quantization takes it. */
export function goldenModel(context: TestContext, name: string): Graph {
  const file = join(needShared(context, "golden"), name, "model.tflite");
  return prepareForQuantization(readModel(new Uint8Array(readFileSync(file)), name));
}

export interface Picture {
  readonly label: number;
  readonly sample: Sample;
}

/** CIFAR-10 pictures as float NHWC samples of `size` pixels (repeated ones where that is larger), each byte times `scale`. */
export function cifar(context: TestContext, file: "train" | "test", count: number, size = 32, scale = 1): Picture[] {
  const names = { train: "cifar10-train-first4000.bin.gz", test: "cifar10-test-lossless150.bin.gz" };
  const bytes = gunzipSync(readFileSync(needShared(context, join("data", "image", names[file]))));
  const step = size / 32;
  return Array.from({ length: count }, (_, i) => {
    const at = i * 3073;
    const pixels = Float32Array.from({ length: size * size * 3 }, (_unused, k) => {
      const [c, p] = [k % 3, Math.floor(k / 3)];
      const [row, column] = [Math.floor(Math.floor(p / size) / step), Math.floor((p % size) / step)];
      return bytes[at + 1 + c * 1024 + row * 32 + column]! * scale;
    });
    return { label: bytes[at]!, sample: [bytesOf(pixels)] };
  });
}

/** Made-up log-mel frames of a machine's hum (5 frames of 128 bands, decibels), for want of recordings. */
export function hum(seed: number): Sample {
  const random = new Xorshift32(seed);
  const bands = new Float32Array(640);
  let level = -30 + random.float() * 10;
  for (let frame = 0; frame < 5; frame++) {
    for (let band = 0; band < 128; band++)
      bands[frame * 128 + band] = level - band * 0.15 + 6 * Math.sin(band / (8 + (seed % 7))) + random.float() * 4;
    level += random.float() * 3;
  }
  return [bytesOf(bands)];
}

/** An integer network that somebody else made of a floating-point one, as a model whose outputs can be judged. */
export function asModel(source: Graph, graph: Graph): QuantizedModel {
  const values = new Map<number, Value>(source.outputs.map((output, i) => [judgedValue(source, output).id, judgedValue(graph, graph.outputs[i]!)]));
  return { graph, source, layers: [], values, kept: [], weightBits: 8 };
}

/** Pictures whose label is the largest output. */
export function correct(graph: Graph, source: Graph, pictures: readonly Picture[]): number {
  const runner = createValueRunner(graph);
  const right = pictures.filter(({ label, sample }) =>
    runner.run(sampleFor(graph, source, sample), (read) => {
      const scores = read(graph.outputs[0]!)!;
      return scores.indexOf(Math.max(...scores)) === label;
    }),
  );
  return right.length;
}
