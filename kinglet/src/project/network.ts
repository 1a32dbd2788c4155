import { bytesOf, elementCount, fromBytes, KingletError, mapInto } from "../base/index.ts";
import type { Dataset, DatasetInfo, Normalization } from "../data/index.ts";
import { execute } from "../driver/index.ts";
import { type Graph, GraphBuilder, joinGraphs, type Value } from "../graph/index.ts";
import { applyOp } from "../ops/index.ts";
import { mfcc, motionFeatures, normalise } from "../signal/index.ts";
import { NETWORKS, type NetworkName, type NetworkOptions } from "../zoo/index.ts";
import type { Features, ProjectConfig } from "./config.ts";
import { type StartWeights, withStartWeights } from "./weights.ts";

const misfit = (message: string, hint: string): KingletError => new KingletError("bad-input", message, { hint });

function reshape(b: GraphBuilder, x: Value, shape: readonly number[], name: string): Value {
  return applyOp(b, "reshape", [x], { shape }, name)[0]!;
}

const MFCC = { frameMs: 30, stepMs: 20, bands: 40, coefficients: 10, lowHz: 20 };

function cepstra(b: GraphBuilder, x: Value, features: Extract<Features, { kind: "mfcc" }>, info: DatasetInfo): Value {
  const { rateHz, shape } = info;
  if (shape.length !== 2 || shape[1] !== 1 || rateHz === null)
    throw misfit(`features "mfcc" need sound of one channel, and the samples are [${shape.join(",")}]`, `Use features: { kind: "none" }.`);
  const { frameMs, stepMs, bands, coefficients, lowHz, highHz = Math.min(4000, rateHz / 2) } = { ...MFCC, ...features };
  const [frameLength, frameStep] = [Math.round((frameMs * rateHz) / 1000), Math.round((stepMs * rateHz) / 1000)];
  if (frameLength < 8 || frameLength > 4096 || frameStep < 1 || frameLength > shape[0]!)
    throw misfit(`a frame of ${frameMs} ms is ${frameLength} steps of samples with ${shape[0]}`, "Change features.frameMs and stepMs.");
  const flat = reshape(b, x, [x.shape[0]!, shape[0]!], "sound");
  const found = mfcc(b, flat, { frameLength, frameStep, bands, coefficients, lowHz, highHz, sampleRate: rateHz });
  return found;
}

/** What the features are before normalization: [n, …] of the last dimension that is normalized by channel. */
function rawFeatures(b: GraphBuilder, x: Value, features: Features, info: DatasetInfo): Value {
  switch (features.kind) {
    case "none":
      return x;
    case "mfcc":
      return cepstra(b, x, features, info);
    case "motion":
      if (info.shape.length !== 2) throw misfit(`features "motion" need signals, and the samples are pictures`, `Use features: { kind: "none" }.`);
      return motionFeatures(b, x);
    default:
      return features satisfies never;
  }
}

/** Samples as the data set has them, in units of its full scale, and their features. */
function featureGraph(config: ProjectConfig, info: DatasetInfo, finish: (b: GraphBuilder, x: Value) => Value): Graph {
  const b = new GraphBuilder("features");
  const x = b.input("samples", { dtype: "float32", shape: [1, ...info.shape] });
  b.output(finish(b, rawFeatures(b, x, config.features, info)));
  return b.build();
}

/** How features lie before a network of a family, and the options that say so. */
function arranged(
  name: NetworkName,
  shape: readonly number[],
): { readonly shape: readonly number[]; readonly options: Readonly<Record<string, unknown>> } {
  if (name === "mlp") return { shape: [elementCount(shape)], options: { inputs: elementCount(shape) } };
  const [length, channels] = [shape[0]!, shape[1] ?? 1];
  if (name === "cnn_1d" || name === "gru" || name === "lstm") {
    if (shape.length !== 2)
      throw misfit(`"${name}" reads sequences, and the features are [${shape.join(",")}]`, "Choose mlp, or ds_cnn for pictures.");
    return { shape: name === "cnn_1d" ? [length, 1, channels] : [length, channels], options: { length, inputChannels: channels } };
  }
  if (shape.length === 1) throw misfit(`"${name}" reads maps, and the features are a row of ${shape[0]} numbers`, "Choose mlp.");
  const map = shape.length === 3 ? shape : [...shape, 1];
  if (name.startsWith("ds_cnn")) return { shape: map, options: { size: map.slice(0, 2), inputChannels: map[2] } };
  if (map[0] !== map[1])
    throw misfit(`"${name}" reads square pictures, and the features are [${map.join(",")}]`, "Import with --size 96x96, or choose ds_cnn.");
  return { shape: map, options: { resolution: map[0], inputChannels: map[2] } };
}

/** At most so many samples tell mean and deviation of features. */
const MEASURED = 512;

/** `most` of the positions, evenly spread. */
export function spread(positions: Int32Array, most: number): Int32Array {
  const count = Math.min(most, positions.length);
  return Int32Array.from({ length: count }, (_, i) => positions[Math.floor((i * positions.length) / count)]!);
}

/** Samples in units of the full scale, as a network's float input takes them. */
export async function readSamples(dataset: Dataset, positions: Int32Array): Promise<Float32Array[]> {
  const { shape, fullScale } = dataset.info;
  const size = elementCount(shape);
  const all = await dataset.read(positions);
  return Array.from(positions, (_, i) => mapInto(new Float32Array(size), all.subarray(i * size, (i + 1) * size), (x) => x / fullScale));
}

/** Mean and deviation of features, by channel: the last dimension. Samples of the training part alone may tell. */
async function measureFeatures(config: ProjectConfig, dataset: Dataset, train: Int32Array): Promise<Normalization> {
  const samples = await readSamples(dataset, spread(train, MEASURED));
  const graph = featureGraph(config, dataset.info, (_, x) => x);
  const found =
    graph.nodes.length === 0
      ? samples
      : (
          await execute(
            graph,
            "wasm",
            samples.map((sample) => [bytesOf(sample)]),
          )
        ).outputs.map(([bytes]) => fromBytes("float32", bytes!) as Float32Array);
  const channels = graph.outputs[0]!.shape.at(-1)!;
  const [sum, square] = [new Float64Array(channels), new Float64Array(channels)];
  for (const sample of found)
    sample.forEach((x, i) => {
      sum[i % channels]! += x;
      square[i % channels]! += x * x;
    });
  const count = found.reduce((all, { length }) => all + length, 0) / channels;
  const mean = Array.from(sum, (each) => each / count);
  // A channel that never changes has nothing to divide by.
  const std = mean.map((m, c) => Math.sqrt(Math.max(0, square[c]! / count - m * m))).map((s, c) => (s > 1e-6 * Math.abs(mean[c]!) && s > 0 ? s : 1));
  return { mean, std };
}

/** The network that a project begins to learn with. @param train samples that may tell mean and deviation. @param start what `readStartWeights` gave. */
export async function startingNetwork(config: ProjectConfig, dataset: Dataset, train: Int32Array, start: StartWeights | null): Promise<Graph> {
  return projectNetwork(config, dataset.info, await measureFeatures(config, dataset, train), start);
}

/** The whole network of a project, for one sample: samples, features, normalization, layers, logits; classes and normalization as notes. */
function projectNetwork(config: ProjectConfig, info: DatasetInfo, normalization: Normalization, start: StartWeights | null): Graph {
  let options: Readonly<Record<string, unknown>> = {};
  const { name } = config.network;
  const before = featureGraph(config, info, (b, x) => {
    const ready = normalise(b, x, normalization);
    const fit = arranged(name, ready.shape.slice(1));
    options = fit.options;
    return reshape(b, ready, [1, ...fit.shape], "arranged");
  });
  const given = { ...config.network.options, ...options, classes: info.classes.length, seed: config.seed };
  const network = withStartWeights((NETWORKS[name] as (options: NetworkOptions) => Graph)(given), config, start);
  const joined = joinGraphs(network.name, before, network);
  const notes = { labels: info.classes.join("\n"), normalization: JSON.stringify(normalization), features: JSON.stringify(config.features) };
  return { ...joined, metadata: { ...joined.metadata, ...notes } };
}
