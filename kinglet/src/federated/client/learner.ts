import type { LocalStart } from "../local.ts";
import type { ClientUpdate } from "../update.ts";

/** What came of a round's training. */
export type Learned = Omit<ClientUpdate, "client">;

/** Whoever trains for a client: a worker of this machine, or a device behind a serial line. */
export interface Learner {
  /** Numbers that are learned. */
  readonly length: number;
  /** Samples that it learns from. */
  readonly samples: number;
  /** Bytes of a training step, as planned. */
  readonly memoryBytes: number;
  /**
   * Trains from the round's parameters. @param signal gives it up.
   * @throws KingletError `interrupted` once given up; `check-failed` where the loss is not a number any more, or the learner is gone.
   */
  train(start: LocalStart, signal?: AbortSignal): Promise<Learned>;
  close(): Promise<void>;
}
