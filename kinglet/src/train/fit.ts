import { KingletError } from "../base/index.ts";
import { type Graph, withConstants } from "../graph/index.ts";
import { argMax } from "./evaluate.ts";
import { type RateSchedule, rateAt } from "./schedule.ts";
import { TrainingSession } from "./session.ts";
import { Sparsifier, type Sparsity } from "./sparsity.ts";
import type { StepOptions } from "./step.ts";

/** Samples to learn from: `data` [batch, …], `targets` [batch, classes], `labels` [batch]; the first `count` are real. */
export interface TrainingBatch {
  readonly data: Float32Array;
  readonly targets: Float32Array | null;
  readonly labels: ArrayLike<number>;
  readonly count: number;
}

/** What training tells after each epoch. */
export interface EpochReport {
  readonly epoch: number;
  /** Means over the epoch's batches, as the weights were when each came. */
  readonly loss: number;
  readonly accuracy: number;
  readonly rate: number;
  readonly samples: number;
  readonly seconds: number;
  /** What `validate` gave, 1 is best; null without it. */
  readonly validation: number | null;
}

/** Where an epoch is. */
export interface BatchProgress {
  readonly epoch: number;
  readonly batch: number;
  readonly batches: number;
}

export interface FitOptions extends StepOptions {
  readonly epochs: number;
  readonly schedule: RateSchedule;
  /** Batches of an epoch, all of the network's own batch size: the same for the same epoch. */
  readonly batches: (epoch: number) => AsyncIterable<TrainingBatch>;
  readonly batchesPerEpoch: number;
  /** How many share each batch; default 1. The network is the same, bit for bit. */
  readonly threads?: number;
  /** Prunes weights while it trains. */
  readonly sparsity?: Sparsity;
  /** Judges the network after an epoch; larger is better. */
  readonly validate?: (network: Graph) => Promise<number>;
  /** Stops after so many epochs without a better validation, and gives back the best network. */
  readonly patience?: number;
  readonly onEpoch?: (report: EpochReport, session: TrainingSession) => void | Promise<void>;
  /** Comes once, before the first batch: what a step needs is known by then. */
  readonly onStart?: (session: TrainingSession) => void;
  /** Comes after each batch, counted from 1. */
  readonly onBatch?: (progress: BatchProgress) => void;
  /** Ends the training between two batches, with an `interrupted` error. */
  readonly signal?: AbortSignal;
  /** Goes on after this many epochs, with the state that the session was restored to. */
  readonly resume?: { readonly epochs: number; readonly restore: (session: TrainingSession) => void };
}

export interface FitResult {
  /** The network with its trained weights and statistics. */
  readonly network: Graph;
  readonly reports: readonly EpochReport[];
  /** Bytes that a step needs, known before the first one. */
  readonly memoryBytes: number;
}

const SMALLER_STEPS = "A smaller learning rate or clipNorm often helps; look at the largest numbers in the data, too.";

function checkBatch(batch: TrainingBatch, epoch: number, number: number): Float32Array {
  const bad = batch.data.findIndex((x) => !Number.isFinite(x));
  const where = `batch ${number + 1} of epoch ${epoch + 1}`;
  if (bad >= 0)
    throw new KingletError("bad-input", `${where} has ${batch.data[bad]} at element ${bad} of its data`, {
      hint: "Look for missing numbers in the data set.",
    });
  if (batch.targets === null) throw new KingletError("misuse", `${where} has no targets: ask for one-hot targets`);
  return batch.targets;
}

interface Sums {
  loss: number;
  right: number;
  samples: number;
}

/** A signal arrives only where other work gets a turn: at least so often. */
const TURN_MS = 50;

/** Gives other work a turn now and then, and ends where somebody asked for it. */
function pauses(signal: AbortSignal | undefined): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (signal === undefined || performance.now() - last < TURN_MS) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    last = performance.now();
    if (signal.aborted) throw new KingletError("interrupted", "the training was stopped");
  };
}

async function runEpoch(
  session: TrainingSession,
  options: FitOptions,
  epoch: number,
  pruner?: Sparsifier,
): Promise<Sums & { rate: number; batches: number }> {
  const sums = { loss: 0, right: 0, samples: 0, rate: 0, batches: 0 };
  const steps = options.epochs * options.batchesPerEpoch;
  const pause = pauses(options.signal);
  for await (const batch of options.batches(epoch)) {
    await pause();
    const targets = checkBatch(batch, epoch, sums.batches);
    sums.rate = rateAt(options.schedule, session.steps, steps);
    const { loss, results } = session.run([batch.data], targets, sums.rate);
    if (!Number.isFinite(loss))
      throw new KingletError(
        "check-failed",
        `the loss is not a number any more in batch ${sums.batches + 1} of epoch ${epoch + 1}${session.whereNotFinite([batch.data], targets)}`,
        {
          hint: SMALLER_STEPS,
        },
      );
    pruner?.afterStep();
    const classes = results.length / batch.labels.length;
    for (let i = 0; i < batch.count; i++) if (argMax(results, i * classes, classes) === batch.labels[i]) sums.right++;
    sums.loss += loss;
    sums.samples += batch.count;
    sums.batches++;
    options.onBatch?.({ epoch, batch: sums.batches, batches: options.batchesPerEpoch });
  }
  if (sums.batches === 0) throw new KingletError("bad-input", "there is not one whole batch to train on");
  return sums;
}

/**
 * Trains a float network, epoch by epoch. The same seed, data and options give the same weights, bit for bit.
 * @throws KingletError `bad-input` for numbers that are not finite, `check-failed` where the loss stops being one.
 */
export async function fit(network: Graph, options: FitOptions): Promise<FitResult> {
  const session = await TrainingSession.onThreads(network, options, options.threads ?? 1);
  try {
    return await runEpochs(network, session, options);
  } finally {
    session.close();
  }
}

async function runEpochs(network: Graph, session: TrainingSession, options: FitOptions): Promise<FitResult> {
  options.resume?.restore(session);
  const steps = options.epochs * options.batchesPerEpoch;
  const pruner = options.sparsity === undefined ? undefined : new Sparsifier(network, session, options.sparsity, steps);
  options.onStart?.(session);
  const reports: EpochReport[] = [];
  let best: { network: Graph; validation: number; epoch: number } | undefined;
  const now = (): Graph => withConstants(network, session.trainedConstants());
  for (let epoch = options.resume?.epochs ?? 0; epoch < options.epochs; epoch++) {
    const start = performance.now();
    const { loss, right, samples, rate, batches } = await runEpoch(session, options, epoch, pruner);
    const lost = session.notFinite();
    if (lost !== undefined) throw new KingletError("check-failed", `"${lost}" is no longer finite after epoch ${epoch + 1}`, { hint: SMALLER_STEPS });
    const validation = (await options.validate?.(now())) ?? null;
    const report = { epoch, loss: loss / batches, accuracy: right / samples, rate, samples, seconds: (performance.now() - start) / 1000, validation };
    reports.push(report);
    await options.onEpoch?.(report, session);
    // A network that is not yet as sparse as it shall be is not the best one.
    if (validation === null || pruner?.done === false) continue;
    if (best === undefined || validation > best.validation) best = { network: now(), validation, epoch };
    if (options.patience !== undefined && epoch - best.epoch >= options.patience) break;
  }
  return { network: options.patience !== undefined && best !== undefined ? best.network : now(), reports, memoryBytes: session.memoryBytes };
}
