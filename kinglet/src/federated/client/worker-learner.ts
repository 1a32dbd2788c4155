import { KingletError } from "../../base/index.ts";
import { errorOf } from "../failure.ts";
import type { LocalStart, OnStep } from "../local.ts";
import type { Learned, Learner } from "./learner.ts";
import type { FromWorker, ToWorker, TrainingOrder, WorkerFacts } from "./training-worker.ts";

/** A thread of a page or of Node that runs a `trainingWorker`. */
export interface WorkerThread<D> {
  post(message: ToWorker<D>): void;
  listen(hear: (message: FromWorker) => void, lost: (why: string) => void): void;
  close(): Promise<void>;
}

interface Running<D> {
  readonly thread: WorkerThread<D>;
  readonly facts: WorkerFacts;
  /** Whether the thread is still there, between questions, too. */
  readonly life: { lost: boolean };
}

/** Trains in a worker, so that whoever waits for it stays awake. A training that is given up takes its worker along. */
export class WorkerLearner<D> implements Learner {
  private readonly start: () => WorkerThread<D>;
  private readonly order: TrainingOrder<D>;
  private readonly onStep: OnStep | undefined;
  private running: Running<D> | undefined;
  /** A thread that is being started anew. */
  private opening: WorkerThread<D> | undefined;
  private closed = false;
  private readonly facts: WorkerFacts;

  private constructor(start: () => WorkerThread<D>, order: TrainingOrder<D>, onStep: OnStep | undefined, running: Running<D>) {
    this.start = start;
    this.order = order;
    this.onStep = onStep;
    this.running = running;
    this.facts = running.facts;
  }

  /** @throws KingletError `does-not-fit` beyond the memory limit, `bad-input` for samples of other classes, `unsupported` where no worker starts. */
  static async open<D>(start: () => WorkerThread<D>, order: TrainingOrder<D>, onStep?: OnStep): Promise<WorkerLearner<D>> {
    return new WorkerLearner(start, order, onStep, await opened(start(), order));
  }

  get length(): number {
    return this.facts.length;
  }

  get samples(): number {
    return this.facts.samples;
  }

  get memoryBytes(): number {
    return this.facts.memoryBytes;
  }

  /** @param positions of samples, instead of the order's. */
  async train(start: LocalStart, signal?: AbortSignal, positions?: Int32Array): Promise<Learned> {
    const answer = await this.asked({ kind: "train", start, ...(positions === undefined ? {} : { positions }) }, signal);
    if (answer.kind !== "learned") throw new KingletError("internal", `a worker answers a training with "${answer.kind}"`);
    return answer.learned;
  }

  /** The share of the samples that a network with these parameters is right about. @throws KingletError what evaluating throws. */
  async judge(parameters: Float32Array): Promise<number> {
    const answer = await this.asked({ kind: "judge", parameters });
    if (answer.kind !== "judged") throw new KingletError("internal", `a worker answers a judgement with "${answer.kind}"`);
    return answer.accuracy;
  }

  private async asked(message: ToWorker<D>, signal?: AbortSignal): Promise<FromWorker> {
    if (signal?.aborted === true || this.closed) throw givenUp();
    if (this.running === undefined || this.running.life.lost) this.running = await this.restarted();
    const { thread, life } = this.running;
    let answer: FromWorker;
    try {
      answer = await exchanged(thread, message, life, { signal, onStep: this.onStep });
    } catch (error) {
      await this.drop();
      throw error;
    }
    // What it could not do leaves it as it was.
    if (answer.kind === "failed") throw errorOf(answer.failure);
    return answer;
  }

  private async restarted(): Promise<Running<D>> {
    const thread = this.start();
    this.opening = thread;
    try {
      const running = await opened(thread, this.order);
      if (!this.closed) return running;
      await thread.close();
      throw givenUp();
    } finally {
      this.opening = undefined;
    }
  }

  private async drop(): Promise<void> {
    const { running } = this;
    this.running = undefined;
    await running?.thread.close();
  }

  /** For good: whoever waits for an answer hears `unsupported` or `interrupted`. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([this.drop(), this.opening?.close()]);
  }
}

async function opened<D>(thread: WorkerThread<D>, order: TrainingOrder<D>): Promise<Running<D>> {
  try {
    const life = { lost: false };
    const answer = await exchanged(thread, { kind: "open", order }, life);
    if (answer.kind === "failed") throw errorOf(answer.failure);
    if (answer.kind !== "opened") throw new KingletError("internal", `a worker answers its order with "${answer.kind}"`);
    return { thread, facts: answer.facts, life };
  } catch (error) {
    await thread.close();
    throw error;
  }
}

function givenUp(): KingletError {
  return new KingletError("interrupted", "the training was given up");
}

interface Around {
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: OnStep | undefined;
}

/** Says something, and gives the answer. @throws KingletError `interrupted` once given up, `unsupported` where the thread is gone. */
async function exchanged<D>(
  thread: WorkerThread<D>,
  message: ToWorker<D>,
  life: Running<D>["life"],
  { signal, onStep }: Around = {},
): Promise<FromWorker> {
  let giveUp = (): void => {};
  try {
    return await new Promise((done, fail) => {
      giveUp = () => fail(givenUp());
      signal?.addEventListener("abort", giveUp);
      thread.listen(
        (heard) => {
          if (heard.kind === "step") onStep?.(heard.done, heard.steps);
          else done(heard);
        },
        (why) => {
          life.lost = true;
          fail(new KingletError("unsupported", `the worker is gone: ${why}`));
        },
      );
      thread.post(message);
    });
  } finally {
    // A signal may outlive thousands of rounds.
    signal?.removeEventListener("abort", giveUp);
  }
}
