import { bytesOf } from "../base/index.ts";
import { randomCrop } from "../data/index.ts";
import { calibrate, type Sample } from "../driver/index.ts";
import type { Graph } from "../graph/index.ts";
import { storedNumbers } from "../ops/index.ts";
import { prepareForQuantization, quantizeGraph } from "../passes/index.ts";
import { type EpochReport, evaluateOn, trainClassifier } from "../train/index.ts";
import { dsCnn } from "../zoo/index.ts";
import { loadDigits } from "./digits.ts";

const EPOCHS = 14;
const CALIBRATION_SAMPLES = 200;
const PROOF_SAMPLES = 4;

/** What was learned, before and after quantization. */
export interface Learned {
  readonly network: Graph;
  readonly quantized: Graph;
  readonly accuracy: number;
  readonly quantizedAccuracy: number;
  readonly trainSamples: number;
  readonly testSamples: number;
  readonly trainSeconds: number;
  readonly memoryBytes: number;
  readonly reports: readonly EpochReport[];
  /** Pictures of the test part, as the quantized network takes them. */
  readonly samples: readonly Sample[];
}

/** Trains on real digits and quantizes to int8. The same weights on every machine. */
export async function learnDigits(onEpoch: (report: EpochReport) => void): Promise<Learned> {
  const { dataset, split } = loadDigits();
  const start = performance.now();
  const trained = await trainClassifier(dsCnn({ variant: "digits", seed: 1 }), dataset, split, {
    epochs: EPOCHS,
    batchSize: 32,
    optimizer: { kind: "adam", weightDecay: 1e-4, decoupled: true },
    schedule: { kind: "oneCycle", rate: 0.008 },
    augment: [randomCrop(2)],
    onEpoch,
  });
  const trainSeconds = (performance.now() - start) / 1000;
  const pictures = async (positions: Int32Array): Promise<Float32Array[]> => {
    const all = Float32Array.from(await dataset.read(positions));
    const size = all.length / positions.length;
    return Array.from(positions, (_, i) => all.slice(i * size, (i + 1) * size));
  };
  const source = prepareForQuantization(trained.network);
  const calibration = await pictures(split.train.filter((_, i) => i % Math.floor(split.train.length / CALIBRATION_SAMPLES) === 0));
  const { graph: quantized } = quantizeGraph(source, {
    ranges: calibrate(
      source,
      calibration.map((picture) => [bytesOf(picture)]),
    ),
    io: "int8",
  });
  const [float, int8] = [await evaluateOn(trained.network, dataset, split.test), await evaluateOn(quantized, dataset, split.test)];
  const proof = await pictures(split.test.filter((_, i) => i % Math.floor(split.test.length / PROOF_SAMPLES) === 0).subarray(0, PROOF_SAMPLES));
  return {
    network: trained.network,
    quantized: { ...quantized, name: "digits" },
    accuracy: float.accuracy,
    quantizedAccuracy: int8.accuracy,
    trainSamples: split.train.length,
    testSamples: split.test.length,
    trainSeconds,
    memoryBytes: trained.memoryBytes,
    reports: trained.reports,
    samples: proof.map((picture) => [bytesOf(storedNumbers(quantized.inputs[0]!, picture))]),
  };
}
