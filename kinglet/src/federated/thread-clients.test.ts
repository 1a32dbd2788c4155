import { expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { datasetFromArrays } from "../data/index.ts";
import { mlp } from "../zoo/index.ts";
import { partition, type RoundReport, simulateTask, type SimulationPlan, type SimulationTask, STRATEGIES, ThreadClients } from "./index.ts";

const [SAMPLES, INPUTS, CLASSES] = [120, 6, 3];
const random = new Xorshift32(5);
const samples = {
  data: Float32Array.from({ length: SAMPLES * INPUTS }, () => random.float()),
  shape: [INPUTS],
  labels: Array.from({ length: SAMPLES }, (_, i) => i % CLASSES),
  classes: ["a", "b", "c"],
};
const dataset = datasetFromArrays(samples);
const positions = Int32Array.from({ length: SAMPLES }, (_, i) => i);
const { labels, groups } = dataset.index;
const clients = partition({ positions, labels, groups }, { kind: "dirichlet", clients: 7, alpha: 1 }, 3);
const signal = new AbortController().signal;

function task(more: Partial<SimulationPlan> = {}): SimulationTask {
  const local = { optimizer: { kind: "sgd", momentum: 0 }, epochs: 2, batchSize: 8, rate: 0.1 } as const;
  const plan = { strategy: STRATEGIES.fedavg, local, augmentation: {}, rounds: 3, share: 0.8, seed: 4, ...more };
  return { network: mlp({ inputs: INPUTS, hidden: [8], classes: CLASSES }), clients, test: positions, plan };
}

test.each<[string, Partial<SimulationPlan>]>([
  ["FedProx with top-k", { strategy: STRATEGIES.fedprox, compression: { kind: "topK", share: 0.1 } }],
  ["SCAFFOLD with rates that decay", { strategy: STRATEGIES.scaffold, local: { ...task().plan.local, rateDecay: 0.5 } }],
])("%s in two threads has the bits of one", async (_name, more) => {
  const training = await ThreadClients.open(task(more), samples.classes, samples, 2);
  try {
    const [one, two] = [await simulateTask(task(more), dataset, { signal }), await simulateTask(task(more), dataset, { signal, training })];
    expect(two.parameters).toEqual(one.parameters);
    const told = (reports: readonly RoundReport[]): unknown => reports.map(({ seconds: _, ...rest }) => rest);
    expect(told(two.reports)).toEqual(told(one.reports));
  } finally {
    await training.close();
  }
});

test("clients whose loss is no number drop out, and their threads go on; whoever gives up is heard", async () => {
  const wild = task({ local: { ...task().plan.local, rate: 1e30 } });
  const stop = new AbortController();
  const training = await ThreadClients.open(wild, samples.classes, samples, 2, stop.signal);
  try {
    await expect(simulateTask(wild, dataset, { signal, training })).rejects.toThrow(/no client of round 1 could learn/);
    // The rate that a client is told counts, whatever its thread was opened with.
    expect((await simulateTask(task(), dataset, { signal, training })).reports.map(({ dropped }) => dropped)).toEqual([0, 0, 0]);
    stop.abort();
    await expect(simulateTask(task(), dataset, { signal, training })).rejects.toMatchObject({ code: "interrupted" });
  } finally {
    await training.close();
  }
});

test("samples that a network does not take are refused", async () => {
  const other = { ...samples, shape: [INPUTS / 2], data: samples.data.subarray(0, (SAMPLES * INPUTS) / 2) };
  await expect(ThreadClients.open(task(), samples.classes, other, 2)).rejects.toThrow(/do not fit the federation's network/);
});
