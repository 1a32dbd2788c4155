import { availableParallelism } from "node:os";
import { join } from "node:path";
import { KingletError } from "../base/index.ts";
import { augmentsOf, type Dataset, openDataset, type Split, splitDataset } from "../data/index.ts";
import { worthThreads } from "../driver/index.ts";
import type { Graph } from "../graph/index.ts";
import { withBatch } from "../passes/index.ts";
import {
  checkAgreed,
  type Checkpoint,
  type ClassifierOptions,
  type EpochReport,
  type FitOptions,
  readCheckpoint,
  trainClassifier,
  type TrainingSession,
  writeCheckpoint,
} from "../train/index.ts";
import { CHOICES, choicesFor } from "./choices.ts";
import type { ProjectConfig } from "./config.ts";
import { startingNetwork } from "./network.ts";
import type { StartWeights } from "./weights.ts";

/** Where a project keeps its data set, and the state of its training, below its folder. */
export const PROJECT_DATA = ".kinglet/data";
export const PROJECT_CHECKPOINT = ".kinglet/checkpoint";

/** What is told before the first batch. */
export interface TrainingPlan {
  readonly memoryBytes: number;
  /** How many share each batch. */
  readonly threads: number;
  readonly samples: { readonly train: number; readonly validation: number; readonly test: number };
  /** Epochs that a checkpoint had already. */
  readonly done: number;
  /** Their reports. */
  readonly reports: readonly EpochReport[];
}

/** What is trained, where that is not just the configuration's network with the data's labels. */
export interface LearnTask {
  /** Goes on with this network. */
  readonly start?: Graph;
  readonly method?: Pick<ClassifierOptions, "distill" | "sparsity">;
  /** What must be the same, besides the configuration, for a checkpoint to mean anything. */
  readonly agreed?: Readonly<Record<string, string>>;
}

export interface LearnOptions extends LearnTask, Pick<FitOptions, "threads" | "onBatch" | "signal"> {
  readonly onPlan?: (plan: TrainingPlan) => void;
  readonly onEpoch?: (report: EpochReport) => void;
  /** What `readStartWeights` gave. */
  readonly weights: StartWeights | null;
  /** File to keep the state in after every epoch; none without it. */
  readonly checkpoint?: string;
  /** Goes on from that file. */
  readonly resume?: boolean;
}

export interface Learned {
  readonly network: Graph;
  readonly reports: readonly EpochReport[];
  readonly memoryBytes: number;
}

/** The parts of a project's data: the same for everything that a project does. */
export function projectSplit(config: ProjectConfig, dataset: Dataset): Split {
  return splitDataset(dataset, config.split);
}

/** What a federation is judged on: the test part or, without one, that which is kept for validation. */
export function judgedPart({ validation, test }: Split): Int32Array {
  return test.length > 0 ? test : validation;
}

/** The data set of a project. @throws KingletError `bad-input` where there is none */
export async function projectData(folder: string): Promise<Dataset> {
  return await openDataset(join(folder, PROJECT_DATA));
}

/** What must be the same for a checkpoint to mean anything. */
function agreedOf(config: ProjectConfig, dataset: Dataset, start: StartWeights | null): Record<string, string> {
  const { network, weights, features, batch, optimizer, schedule, epochs, augmentation, split, seed } = config;
  const text = (value: unknown): string => JSON.stringify(value);
  return {
    network: text(network),
    "set of weights to start from": text([weights, start?.sha256]),
    features: text(features),
    batch: text(batch),
    optimizer: text(optimizer),
    schedule: text(schedule),
    // A schedule that moves is stretched over all epochs.
    ...(schedule.kind === "constant" ? {} : { "number of epochs": text(epochs) }),
    augmentation: text(augmentation),
    ...Object.fromEntries(CHOICES.map((name) => [name, text(config[name] ?? "none")])),
    split: text(split),
    seed: text(seed),
    "data set": text([dataset.info.samples, dataset.info.index.sha256, ...dataset.info.shards.map(({ sha256 }) => sha256)]),
  };
}

function checkTrainable(config: ProjectConfig, dataset: Dataset, split: Split): void {
  if (dataset.info.classes.length < 2)
    throw new KingletError("bad-input", `a classifier needs two classes, and the data set has ${dataset.info.classes.length}`);
  if (split.train.length < config.batch)
    throw new KingletError("bad-input", `the training part has ${split.train.length} samples, fewer than one batch of ${config.batch}`, {
      hint: "Make batch smaller in the configuration, or import more data.",
    });
}

/** More threads find little to share in networks of this size. */
const MOST_THREADS = 4;

/** As many threads as this machine has cores where a batch is work enough for them, and one elsewhere; the weights are the same. */
function threadsFor(network: Graph, batch: number): number {
  return worthThreads(withBatch(network, batch)) ? Math.min(MOST_THREADS, availableParallelism()) : 1;
}

/** A session that keeps its state on disk after each epoch, behind the reports so far. */
function keeper(
  path: string,
  agreed: Checkpoint["agreed"],
  reports: EpochReport[],
): (report: EpochReport, session: TrainingSession) => Promise<void> {
  return async (report, session) => {
    reports.push(report);
    await writeCheckpoint(path, { epochs: report.epoch + 1, agreed, reports, state: session.save() });
  };
}

/**
 * Trains the network of a configuration on a data set. The same configuration and data give the same weights, bit for bit, also where a
 * training was killed and went on.
 * @throws KingletError `bad-input` where data and configuration do not fit, `interrupted` by the signal, and what training throws.
 */
export async function learn(config: ProjectConfig, dataset: Dataset, options: LearnOptions): Promise<Learned> {
  const split = projectSplit(config, dataset);
  checkTrainable(config, dataset, split);
  const agreed = { ...agreedOf(config, dataset, options.weights), ...options.agreed };
  const before = options.resume === true && options.checkpoint !== undefined ? await readCheckpoint(options.checkpoint) : null;
  if (before !== null) checkAgreed(before, agreed, options.checkpoint!);
  const given = options.start ?? (await startingNetwork(config, dataset, split.train, options.weights));
  const reports = [...(before?.reports ?? [])];
  const keep = options.checkpoint === undefined ? (report: EpochReport) => void reports.push(report) : keeper(options.checkpoint, agreed, reports);
  const samples = { train: split.train.length, validation: split.validation.length, test: split.test.length };
  const { network, memoryBytes } = await trainClassifier(given, dataset, split, {
    epochs: config.epochs,
    batchSize: config.batch,
    optimizer: config.optimizer,
    schedule: config.schedule,
    seed: config.seed,
    threads: options.threads ?? threadsFor(given, config.batch),
    augment: augmentsOf(config.augmentation),
    ...choicesFor(config, given, dataset, split),
    ...options.method,
    ...(before === null ? {} : { resume: { epochs: before.epochs, restore: (session: TrainingSession) => session.restore(before.state) } }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.onBatch === undefined ? {} : { onBatch: options.onBatch }),
    onStart: (session) =>
      options.onPlan?.({ memoryBytes: session.memoryBytes, threads: session.threads, samples, done: before?.epochs ?? 0, reports }),
    onEpoch: async (report, session) => {
      await keep(report, session);
      options.onEpoch?.(report);
    },
  });
  return { network, reports, memoryBytes };
}
