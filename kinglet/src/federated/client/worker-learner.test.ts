import { expect, test } from "vitest";
import type { FromWorker, ToWorker, TrainingOrder } from "./training-worker.ts";
import { WorkerLearner, type WorkerThread } from "./worker-learner.ts";

const FACTS = { length: 2, samples: 4, memoryBytes: 8 };
const START = { parameters: new Float32Array(2), seed: 1, round: 1 };
const ORDER: TrainingOrder<null> = {
  network: new Uint8Array(),
  description: { local: { optimizer: { kind: "sgd" }, epochs: 1, batchSize: 1, rate: 1 }, augmentation: {}, control: false, classes: [] },
  data: null,
};

/** A thread whose answers a test gives. */
class FakeThread implements WorkerThread<null> {
  readonly told: string[] = [];
  closed = false;
  private hear: (message: FromWorker) => void = () => {};
  private lose: (why: string) => void = () => {};

  post(message: ToWorker<null>): void {
    this.told.push(message.kind);
  }

  listen(hear: (message: FromWorker) => void, lost: (why: string) => void): void {
    [this.hear, this.lose] = [hear, lost];
  }

  async close(): Promise<void> {
    this.closed = true;
    this.die();
  }

  die(): void {
    this.lose("it ended with 1");
  }

  open(): void {
    this.hear({ kind: "opened", facts: FACTS });
  }

  answer(accuracy: number): void {
    this.hear({ kind: "judged", accuracy });
  }
}

async function opened(): Promise<{ readonly threads: FakeThread[]; readonly learner: WorkerLearner<null> }> {
  const threads: FakeThread[] = [];
  const start = (): FakeThread => {
    const thread = new FakeThread();
    threads.push(thread);
    return thread;
  };
  const opening = WorkerLearner.open(start, ORDER);
  threads[0]!.open();
  return { threads, learner: await opening };
}

test("a thread that dies between two questions is started anew for the next one", async () => {
  const { threads, learner } = await opened();
  threads[0]!.die();
  const judged = learner.judge(START.parameters);
  threads[1]!.open();
  await new Promise((done) => setImmediate(done));
  threads[1]!.answer(0.5);
  expect(await judged).toBe(0.5);
  expect(threads.map(({ told }) => told)).toEqual([["open"], ["open", "judge"]]);
});

test("closing ends a thread that is being started anew, and nothing is started afterwards", async () => {
  const { threads, learner } = await opened();
  const lost = learner.train(START);
  threads[0]!.die();
  await expect(lost).rejects.toThrow(/the worker is gone/);
  const waiting = learner.train(START);
  const refused = expect(waiting).rejects.toThrow(/the worker is gone|given up/);
  await learner.close();
  await refused;
  expect(threads.map(({ closed }) => closed)).toEqual([true, true]);
  await expect(learner.train(START)).rejects.toMatchObject({ code: "interrupted" });
  expect(threads).toHaveLength(2);
});

test("a thread that opens while the learner is closed is closed, too", async () => {
  const { threads, learner } = await opened();
  threads[0]!.die();
  const waiting = learner.train(START);
  const refused = expect(waiting).rejects.toMatchObject({ code: "interrupted" });
  threads[1]!.open();
  await Promise.all([learner.close(), refused]);
  expect(threads[1]!.closed).toBe(true);
});
