import { elementCount, KingletError } from "../../base/index.ts";
import { augmentsOf, type Dataset } from "../../data/browser.ts";
import { readKinglet } from "../../formats/browser.ts";
import type { Graph } from "../../graph/index.ts";
import { type Failure, failureOf } from "../failure.ts";
import { LocalTrainer, type LocalStart } from "../local.ts";
import type { Description } from "../protocol/index.ts";
import type { Learned } from "./learner.ts";

/** What a worker trains, and on what: `data` says where its samples are. */
export interface TrainingOrder<D> {
  readonly network: Uint8Array;
  readonly description: Description;
  readonly data: D;
  /** Most bytes for a training step. */
  readonly memoryLimit?: number;
}

/** What is said to a worker that trains, and what it says. */
export type ToWorker<D> = { readonly kind: "open"; readonly order: TrainingOrder<D> } | { readonly kind: "train"; readonly start: LocalStart };

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
  let trainer: LocalTrainer | undefined;
  let dataset: Dataset | undefined;
  const begin = async ({ network, description, data, memoryLimit }: TrainingOrder<D>): Promise<WorkerFacts> => {
    const { local, augmentation, control, classes } = description;
    dataset = (await open(data)).withClasses(classes);
    if (dataset.length === 0) throw new KingletError("bad-input", "there are no samples to learn from");
    const graph = readKinglet(network, "the federation's network");
    checkShape(dataset, graph);
    const training = { ...local, augment: augmentsOf(augmentation) };
    const options = { corrected: control, ...(memoryLimit === undefined ? {} : { memoryLimit }) };
    trainer = new LocalTrainer(graph, training, options);
    return { length: trainer.length, samples: dataset.length, memoryBytes: trainer.memoryBytes };
  };
  const train = async (start: LocalStart): Promise<Learned> => {
    if (trainer === undefined || dataset === undefined) throw new KingletError("internal", "a worker was asked to train before it was opened");
    const positions = Int32Array.from({ length: dataset.length }, (_, i) => i);
    const { client: _own, ...learned } = await trainer.train(dataset, positions, 0, start, (done, steps) => post({ kind: "step", done, steps }));
    return learned;
  };
  return async (message) => {
    try {
      if (message.kind === "open") post({ kind: "opened", facts: await begin(message.order) });
      else post({ kind: "learned", learned: await train(message.start) });
    } catch (error) {
      post({ kind: "failed", failure: failureOf(error) });
    }
  };
}
