import type { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import type { Graph } from "../graph/index.ts";
import { dsCnn, resnet8 } from "../zoo/index.ts";
import { type SessionState, TrainingSession } from "./index.ts";

const ADAM = { optimizer: { kind: "adam", weightDecay: 1e-3 }, dropout: 0.2, clipNorm: 1 } as const;
const SMALL = (): Graph => dsCnn({ variant: "digits", size: [8, 8], batch: 5, classes: 3, width: 0.5, seed: 3 });

function step(session: TrainingSession, graph: Graph, seed: number): number {
  const random = new Xorshift32(seed);
  const [batch, classes] = graph.outputs[0]!.shape as [number, number];
  const data = Float32Array.from({ length: graph.inputs[0]!.shape.reduce((p, d) => p * d, 1) }, () => random.float());
  const targets = Float32Array.from({ length: batch * classes }, (_, i) => (i % classes === Math.floor(i / classes) % classes ? 1 : 0));
  return session.run([data], targets, 0.01).loss;
}

async function trained(graph: Graph, threads: number): Promise<{ losses: number[]; state: SessionState }> {
  const session = await TrainingSession.onThreads(graph, ADAM, threads);
  try {
    expect(session.threads).toBe(threads);
    const losses = [1, 2, 3].map((seed) => step(session, graph, seed));
    return { losses, state: session.save() };
  } finally {
    session.close();
  }
}

test.each([
  ["depthwise layers", SMALL],
  ["strides and sums", () => resnet8({ batch: 3, classes: 5, resolution: 8, width: 0.5 })],
])("%s give the same bits on one thread, two and three", async (_, make) => {
  const graph = make();
  const one = await trained(graph, 1);
  expect(one.losses.every((loss) => loss > 0)).toBe(true);
  for (const threads of [2, 3]) expect(await trained(graph, threads), `${threads} threads`).toEqual(one);
});

test("a closed session and one whose worker was killed say so instead of waiting", async () => {
  const graph = SMALL();
  const workers: Worker[] = [];
  process.on("worker", (worker) => workers.push(worker));
  const [closed, robbed] = [await TrainingSession.onThreads(graph, ADAM, 2), await TrainingSession.onThreads(graph, ADAM, 2)];
  process.removeAllListeners("worker");
  expect(workers).toHaveLength(2);
  closed.close();
  expect(() => step(closed, graph, 1)).toThrow(/closed/);
  step(robbed, graph, 1);
  await workers[1]!.terminate();
  expect(() => step(robbed, graph, 2)).toThrow(/is gone/);
});

test("a worker that is killed within a step ends it with an error", async () => {
  const graph = SMALL();
  let worker: Worker | undefined;
  process.once("worker", (started) => {
    worker = started;
  });
  const session = await TrainingSession.onThreads(graph, ADAM, 2);
  // Nothing is heard of its end before this thread waits for it.
  void worker!.terminate();
  expect(() => {
    for (let seed = 1; seed < 1000; seed++) step(session, graph, seed);
  }).toThrow(/end of its share/);
});

test("a number of threads that cannot be is refused", async () => {
  await expect(TrainingSession.onThreads(SMALL(), ADAM, 1.5)).rejects.toThrow(/whole number/);
  await expect(TrainingSession.onThreads(SMALL(), ADAM, 0)).rejects.toThrow(/whole number/);
});
