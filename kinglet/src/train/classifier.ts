import { KingletError } from "../base/index.ts";
import { type Augment, batchCount, batches, type Dataset, type Normalization, randomAt, type Split } from "../data/browser.ts";
import type { Graph } from "../graph/index.ts";
import { unrollLstm, withBatch } from "../passes/index.ts";
import { type Evaluation, evaluate } from "./evaluate.ts";
import { type EpochReport, fit, type FitOptions, type TrainingBatch } from "./fit.ts";
import { checkMixup, mixedUp } from "./mixup.ts";
import type { RateSchedule } from "./schedule.ts";
import type { TrainingSession } from "./session.ts";
import type { Sparsity } from "./sparsity.ts";
import type { StepOptions } from "./step.ts";

export interface ClassifierOptions extends Omit<StepOptions, "loss">, Pick<FitOptions, "threads" | "onStart" | "onBatch" | "signal"> {
  readonly epochs: number;
  readonly batchSize: number;
  readonly schedule: RateSchedule;
  /** Of weights, order and augmentation. Default 1. */
  readonly seed?: number;
  readonly augment?: readonly Augment[];
  readonly normalization?: Normalization;
  /** Share of a target that is spread over all classes (Szegedy et al. 2016). Default 0. */
  readonly labelSmoothing?: number;
  /** Mixes pairs of samples, with a share after Beta(α, α) (Zhang et al. 2018); 0.2 is a usual α. None by default. */
  readonly mixup?: number;
  /** Prunes weights while it trains. */
  readonly sparsity?: Sparsity;
  /** How much a class counts; default 1 for each. */
  readonly classWeights?: readonly number[];
  /** Epochs without a better validation until it stops; needs a validation part. */
  readonly patience?: number;
  readonly onEpoch?: (report: EpochReport, session: TrainingSession) => void | Promise<void>;
  readonly resume?: { readonly epochs: number; readonly restore: (session: TrainingSession) => void };
}

export interface Classifier {
  /** The trained network, for the batch that it was given for. */
  readonly network: Graph;
  readonly reports: readonly EpochReport[];
  readonly memoryBytes: number;
}

/** Samples that a network judges at once while it is evaluated. */
const EVALUATION_BATCH = 32;

/** Sets mixup's random stream apart from those of order and augmentation. */
const MIXUP = 0x6d6978;

/** Targets as the loss wants them: smoothed, and weighted by class. */
function adjusted(batch: TrainingBatch, classes: number, smoothing: number, weights: readonly number[] | undefined): TrainingBatch {
  const targets = batch.targets!;
  for (let i = 0; i < batch.count; i++) {
    const weight = weights?.[batch.labels[i]!] ?? 1;
    for (let c = 0; c < classes; c++) targets[i * classes + c] = weight * (targets[i * classes + c]! * (1 - smoothing) + smoothing / classes);
  }
  return batch;
}

async function* each(
  source: AsyncIterable<TrainingBatch>,
  change: (batch: TrainingBatch, number: number) => TrainingBatch,
): AsyncGenerator<TrainingBatch> {
  let number = 0;
  for await (const batch of source) yield change(batch, number++);
}

/** The samples at some positions in their order, as they are judged. */
export function evaluationBatches(dataset: Dataset, positions: Int32Array, normalization?: Normalization): AsyncIterable<TrainingBatch> {
  return batches(dataset, positions, { batchSize: EVALUATION_BATCH, shuffle: false, ...(normalization === undefined ? {} : { normalization }) });
}

/** How well a classifier does on some samples of a data set. */
export async function evaluateOn(network: Graph, dataset: Dataset, positions: Int32Array, normalization?: Normalization): Promise<Evaluation> {
  return await evaluate(network, evaluationBatches(dataset, positions, normalization));
}

/**
 * Trains a classifier on the training part of a data set. Its batch is the first dimension of its input, as a rule 1; it is trained and
 * judged in others. LSTMs come back written out step by step: each sample starts anew. Its output are logits or probabilities of the data set's classes.
 * @throws KingletError `bad-input` where network and data do not fit; what `withBatch` and `fit` throw.
 */
export async function trainClassifier(given: Graph, dataset: Dataset, split: Split, options: ClassifierOptions): Promise<Classifier> {
  const { batchSize, seed = 1, augment, normalization, labelSmoothing = 0, classWeights, mixup, ...rest } = options;
  if (mixup !== undefined) checkMixup(mixup);
  const classes = dataset.info.classes.length;
  const network = withBatch(unrollLstm(given), batchSize);
  if (network.outputs[0]!.shape.at(-1) !== classes)
    throw new KingletError("bad-input", `the network has ${network.outputs[0]!.shape.at(-1)} classes and the data set ${classes}`);
  const source = (epoch: number): AsyncIterable<TrainingBatch> =>
    batches(dataset, split.train, {
      batchSize,
      seed,
      epoch,
      last: "drop",
      oneHot: true,
      ...(augment === undefined ? {} : { augment }),
      ...(normalization === undefined ? {} : { normalization }),
    });
  const changed = (batch: TrainingBatch, epoch: number, number: number): TrainingBatch => {
    const ready = adjusted(batch, classes, labelSmoothing, classWeights);
    return mixup === undefined ? ready : mixedUp(ready, mixup, randomAt(seed, MIXUP, epoch, number));
  };
  const validating = split.validation.length > 0;
  const judged = (trained: Graph): Graph => withBatch(trained, EVALUATION_BATCH);
  const { network: trained, ...result } = await fit(network, {
    ...rest,
    batches: (epoch) => each(source(epoch), (batch, number) => changed(batch, epoch, number)),
    batchesPerEpoch: batchCount(split.train.length, { batchSize, last: "drop" }),
    ...(validating ? { validate: async (graph: Graph) => (await evaluateOn(judged(graph), dataset, split.validation, normalization)).accuracy } : {}),
  });
  return { network: withBatch(trained, given.inputs[0]!.shape[0]!), ...result };
}
