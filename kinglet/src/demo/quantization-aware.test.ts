import { expect, test } from "vitest";
import { bytesOf } from "../base/index.ts";
import type { Dataset, Split } from "../data/index.ts";
import { calibrate, createValueRunner, diagnose, outputQuality, type Sample } from "../driver/index.ts";
import { type Graph, GraphBuilder } from "../graph/index.ts";
import { prepareForQuantization, quantizeGraph } from "../passes/index.ts";
import { evaluateOn, quantizationAware, trainClassifier, tuneQuantized } from "../train/index.ts";
import { mlp } from "../zoo/index.ts";
import { loadDigits } from "./digits.ts";

/** Every fourth digit. */
function fewDigits(): { dataset: Dataset; split: Split } {
  const { dataset, split } = loadDigits();
  const some = (positions: Int32Array): Int32Array => positions.filter((_, i) => i % 4 === 0);
  return { dataset, split: { train: some(split.train), validation: new Int32Array(0), test: some(split.test) } };
}

const { dataset, split } = fewDigits();
const shared = { batchSize: 32, optimizer: { kind: "adam" } } as const;

async function samplesOf(positions: Int32Array): Promise<Sample[]> {
  return await Promise.all([...positions].map(async (at) => [bytesOf(Float32Array.from(await dataset.read(Int32Array.of(at))))]));
}

async function accuracy(graph: Graph): Promise<number> {
  return (await evaluateOn(graph, dataset, split.test)).accuracy;
}

const trained = await trainClassifier(mlp({ hidden: [16, 16, 16] }), dataset, split, {
  ...shared,
  epochs: 4,
  schedule: { kind: "oneCycle", rate: 0.005 },
});
const source = prepareForQuantization(trained.network);
const samples = await samplesOf(split.train.subarray(0, 64));
/** Four bits, and one scale for all weights of a layer: few numbers are left. */
const options = { ranges: calibrate(source, samples), bits: 4, perAxis: false } as const;

test("digits that 4 bits harm are recovered by quantization-aware training, and the integers follow what was trained", async () => {
  const [float, before] = [await accuracy(source), await accuracy(quantizeGraph(source, options).graph)];
  expect(before).toBeLessThan(float - 0.02);
  const aware = quantizationAware(source, options);
  const { network } = await trainClassifier(aware.graph, dataset, split, { ...shared, epochs: 3, schedule: { kind: "cosine", rate: 0.002 } });
  const integer = quantizeGraph(aware.sourceOf(network), options);
  expect(await accuracy(integer.graph)).toBeGreaterThan(before + 0.03);
  expect(Math.abs((await accuracy(integer.graph)) - (await accuracy(network)))).toBeLessThan(0.01);
  const [fake, real] = [createValueRunner(network), createValueRunner(integer.graph)];
  const step = integer.values.get(source.outputs[0]!.id)!.quantization!.scales[0]!;
  for (const sample of samples.slice(0, 16)) {
    const [a, b] = [fake, real].map((runner, i) => runner.run(sample, (read) => Array.from(read([network, integer.graph][i]!.outputs[0]!)!))) as [
      number[],
      number[],
    ];
    // An intermediate number that lies between two steps may fall to either side.
    for (const [i, x] of a.entries()) expect(Math.abs(x - b[i]!)).toBeLessThan(6 * step);
  }
});

test("short training towards the float network's own answers gains on samples that it has not seen", async () => {
  const unseen = await samplesOf(split.test.subarray(0, 64));
  const tuned = tuneQuantized(source, options, samples, () => undefined)!;
  const snr = (from: Graph): number => outputQuality(source, quantizeGraph(from, options), unseen).snrDb;
  expect(snr(tuned)).toBeGreaterThan(snr(source) + 2);
  expect(await accuracy(quantizeGraph(tuned, options).graph)).toBeGreaterThan(await accuracy(quantizeGraph(source, options).graph));
});

test("it is the last of the remedies, and kept only where it gains on all before", () => {
  const found = diagnose(trained.network, samples, { bits: 4, perAxis: false, tune: tuneQuantized });
  const last = found.remedies.at(-1)!;
  expect(last.remedy).toBe("tune");
  expect(last.kept).toBe(last.gainDb >= 0.1);
  expect(diagnose(trained.network, samples.slice(0, 4)).remedies.map(({ remedy }) => remedy)).not.toContain("tune");
});

test("a network that cannot be trained has no such remedy", () => {
  const builder = new GraphBuilder("two outputs");
  const x = builder.input("x", { dtype: "float32", shape: [1, 4] });
  builder.output(x);
  builder.output(x);
  expect(tuneQuantized(builder.build(), options, samples, () => undefined)).toBeUndefined();
});
