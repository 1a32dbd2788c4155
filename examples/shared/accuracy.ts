// What the accuracy examples share: the command line, the data, and training, quantizing and judging a network.
//     npx tsx examples/NAME.ts /path/to/data [--seed N] [--epochs N]
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  bytesOf,
  type ClassifierOptions,
  type Dataset,
  evaluateOn,
  type Graph,
  importData,
  type ImportOptions,
  openDataset,
  quantizeNetwork,
  type QuantizeNetworkOptions,
  type Sample,
  type Split,
  trainClassifier,
} from "kinglet";

const USAGE = "Usage: npx tsx examples/NAME.ts /path/to/data [--seed N] [--epochs N]";

/** Seeds of a measurement; its figure is the median. */
const SEEDS = [1, 2, 3];

/** Training samples that tell the ranges of int8. */
const CALIBRATION_SAMPLES = 200;

export interface TaskArguments {
  /** A file, a zip or a folder that holds the data. */
  readonly data: string;
  readonly seeds: readonly number[];
  readonly epochs: number;
}

/** What the command line asks for. `places`: where the data lies in a folder of several data sets. */
export function taskArguments(defaults: { readonly epochs: number; readonly places: readonly string[] }): TaskArguments {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { seed: { type: "string" }, epochs: { type: "string" } } });
  const [folder] = positionals;
  if (folder === undefined) throw new Error(USAGE);
  const place = defaults.places.map((each) => join(folder, each)).find((each) => existsSync(each));
  return {
    data: place ?? folder,
    seeds: values.seed === undefined ? SEEDS : [Number(values.seed)],
    epochs: Number(values.epochs ?? defaults.epochs),
  };
}

/** The files of a folder whose names match. */
export function filesOf(folder: string, pattern: RegExp): string[] {
  return readdirSync(folder)
    .filter((name) => pattern.test(name))
    .map((name) => join(folder, name));
}

/** Imports data into a temporary folder, which is there as long as `use` runs. */
export async function withImported<Result>(path: string, options: ImportOptions, use: (dataset: Dataset) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), "kinglet-example-"));
  try {
    await importData([path], join(folder, "data"), options);
    const dataset = await openDataset(join(folder, "data"));
    try {
      return await use(dataset);
    } finally {
      await dataset.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Shares of samples that were recognised. */
export interface Accuracy {
  readonly float: number;
  readonly int8: number;
}

/** Samples of the training part, evenly spread, as a network's float input takes them. */
export async function calibrationSamples(dataset: Dataset, train: Int32Array): Promise<Sample[]> {
  const count = Math.min(CALIBRATION_SAMPLES, train.length);
  const positions = Array.from({ length: count }, (_, i) => train[Math.floor((i * train.length) / count)]!);
  const samples = await Promise.all(positions.map(async (position) => await dataset.read([position])));
  return samples.map((sample) => [bytesOf(Float32Array.from(sample, (value) => value / dataset.info.fullScale))]);
}

/** Trains on one part, judges on the other; quantizes after training, and judges that. */
export async function trainAndQuantize(
  network: Graph,
  dataset: Dataset,
  split: Split,
  training: ClassifierOptions,
  quantization: QuantizeNetworkOptions = {},
): Promise<Accuracy> {
  const { network: trained } = await trainClassifier(network, dataset, split, training);
  const { graph: quantized } = quantizeNetwork(trained, await calibrationSamples(dataset, split.train), quantization);
  const [float, int8] = [await evaluateOn(trained, dataset, split.test), await evaluateOn(quantized, dataset, split.test)];
  return { float: float.accuracy, int8: int8.accuracy };
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
}

interface Row extends Accuracy {
  readonly seconds: number;
}

function printRow(name: string, { float, int8, seconds }: Row): void {
  const percent = (share: number): string => (100 * share).toFixed(2).padStart(9);
  console.log(`${name.padEnd(8)}${percent(float)}${percent(int8)}${seconds.toFixed(0).padStart(9)}`);
}

/** Measures a task for each seed and prints a row for each, and their median. A task of several splits gives one accuracy for each; their mean counts. */
export async function measureTask(title: string, seeds: readonly number[], task: (seed: number) => Promise<readonly Accuracy[]>): Promise<void> {
  console.log(`${title}\n\n          float %   int8 %  seconds`);
  const rows: Row[] = [];
  for (const seed of seeds) {
    const start = performance.now();
    const parts = await task(seed);
    const row = {
      float: mean(parts.map(({ float }) => float)),
      int8: mean(parts.map(({ int8 }) => int8)),
      seconds: (performance.now() - start) / 1000,
    };
    printRow(`seed ${seed}`, row);
    rows.push(row);
  }
  const middle = (of: keyof Row): number => median(rows.map((row) => row[of]));
  if (rows.length > 1) printRow("median", { float: middle("float"), int8: middle("int8"), seconds: middle("seconds") });
}
