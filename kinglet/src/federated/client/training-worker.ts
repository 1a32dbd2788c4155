import { elementCount, KingletError } from "../../base/index.ts";
import { augmentsOf, type Dataset } from "../../data/browser.ts";
import { readKinglet } from "../../formats/browser.ts";
import type { Graph } from "../../graph/index.ts";
import { evaluateOn } from "../../train/browser.ts";
import { type Failure, failureOf } from "../failure.ts";
import { JUDGED_AT_ONCE, LocalTrainer, type LocalStart, type LocalTraining } from "../local.ts";
import type { Description } from "../protocol/index.ts";
import type { Learned } from "./learner.ts";

/** What a worker trains, and on what: `data` says where its samples are. */
export interface TrainingOrder<D> {
  readonly network: Uint8Array;
  readonly description: Pick<Description, "local" | "augmentation" | "control" | "classes">;
  readonly data: D;
  /** Those of the samples that count; by default all. */
  readonly positions?: Int32Array;
  /** Most bytes for a training step. */
  readonly memoryLimit?: number;
}

/** What is said to a worker that trains, and what it says. */
export type ToWorker<D> =
  | { readonly kind: "open"; readonly order: TrainingOrder<D> }
  /** @param positions instead of the order's. */
  | { readonly kind: "train"; readonly start: LocalStart; readonly positions?: Int32Array }
  | { readonly kind: "judge"; readonly parameters: Float32Array };

/** What a worker has ready. */
export interface WorkerFacts {
  readonly length: number;
  readonly samples: number;
  /** Bytes of a training step, as planned. */
  readonly memoryBytes: number;
}

export type FromWorker =
  | { readonly kind: "opened"; readonly facts: WorkerFacts }
  | { readonly kind: "step"; readonly done: number; readonly steps: number }
  | { readonly kind: "learned"; readonly learned: Learned }
  /** The share of right answers. */
  | { readonly kind: "judged"; readonly accuracy: number }
  | { readonly kind: "failed"; readonly failure: Failure };

function checkShape({ info: { shape } }: Dataset, { inputs }: Graph): void {
  const expected = inputs[0]!.shape.slice(1);
  if (elementCount(shape) !== elementCount(expected))
    throw new KingletError(
      "bad-input",
      `samples of ${shape.join("×")} numbers do not fit the federation's network, which takes ${expected.join("×")}`,
    );
}

/** A worker's side: what it does with each message. @param open finds the samples. */
export function trainingWorker<D>(
  open: (data: D) => Dataset | Promise<Dataset>,
  post: (message: FromWorker) => void,
): (message: ToWorker<D>) => Promise<void> {
  let opened:
    | { readonly trainer: LocalTrainer; readonly dataset: Dataset; readonly positions: Int32Array; readonly local: LocalTraining }
    | undefined;
  const begin = async ({ network, description, data, positions, memoryLimit }: TrainingOrder<D>): Promise<WorkerFacts> => {
    const { local, augmentation, control, classes } = description;
    const dataset = (await open(data)).withClasses(classes);
    const samples = positions ?? Int32Array.from({ length: dataset.length }, (_, i) => i);
    if (samples.length === 0) throw new KingletError("bad-input", "there are no samples to learn from");
    const graph = readKinglet(network, "the federation's network");
    checkShape(dataset, graph);
    const training = { ...local, augment: augmentsOf(augmentation) };
    const options = { corrected: control, ...(memoryLimit === undefined ? {} : { memoryLimit }) };
    const trainer = new LocalTrainer(graph, training, options);
    opened = { trainer, dataset, positions: samples, local };
    return { length: trainer.length, samples: samples.length, memoryBytes: trainer.memoryBytes };
  };
  const inOrder = (): NonNullable<typeof opened> => {
    if (opened === undefined) throw new KingletError("internal", "a worker was asked for something before it was opened");
    return opened;
  };
  const train = async (start: LocalStart, given: Int32Array | undefined): Promise<Learned> => {
    const { trainer, dataset, positions } = inOrder();
    const { client: _own, ...learned } = await trainer.train(dataset, given ?? positions, 0, start, (done, steps) =>
      post({ kind: "step", done, steps }),
    );
    return learned;
  };
  const judge = async (parameters: Float32Array): Promise<number> => {
    const { trainer, dataset, positions, local } = inOrder();
    return (await evaluateOn(trainer.networkWith(parameters, JUDGED_AT_ONCE), dataset, positions, local.normalization)).accuracy;
  };
  return async (message) => {
    try {
      if (message.kind === "open") post({ kind: "opened", facts: await begin(message.order) });
      else if (message.kind === "train") post({ kind: "learned", learned: await train(message.start, message.positions) });
      else post({ kind: "judged", accuracy: await judge(message.parameters) });
    } catch (error) {
      post({ kind: "failed", failure: failureOf(error) });
    }
  };
}
