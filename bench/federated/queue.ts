import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Dataset, splitDataset } from "../../kinglet/src/data/index.ts";
import {
  JobQueue,
  packClients,
  partition,
  QueuedClients,
  samplesId,
  type Simulation,
  simulateTask,
  type SimulationTask,
  STRATEGIES,
} from "../../kinglet/src/federated/index.ts";
import { twoLayers } from "./mnist.ts";
import { percent, progress, type Result, type Row, withMnist } from "./row.ts";

const WORKERS = 2;
const never = new AbortController().signal;

/** Ten rounds of the 2NN, ten of a hundred clients in each. */
function taskOn(dataset: Dataset): SimulationTask {
  const { train, test } = splitDataset(dataset, { validation: 0 });
  const { labels, groups } = dataset.index;
  return {
    network: twoLayers(),
    clients: partition({ positions: train, labels, groups }, { kind: "iid", clients: 100 }),
    test,
    plan: {
      strategy: STRATEGIES.fedavg,
      local: { optimizer: { kind: "sgd", momentum: 0 }, epochs: 1, batchSize: 10, rate: 0.2 },
      augmentation: {},
      rounds: 10,
      share: 0.1,
    },
  };
}

async function timed(name: string, work: () => Promise<Simulation>): Promise<{ result: Simulation; seconds: number }> {
  const start = performance.now();
  const result = await work();
  const seconds = (performance.now() - start) / 1000;
  progress(`queue, ${name}: ${seconds.toFixed(1)} s, ${percent(result.evaluation.accuracy)}`);
  return { result, seconds };
}

/** A Redis and workers, as a person would start them, while `use` runs. */
async function withWorkers<T>(folder: string, use: (url: string) => Promise<T>): Promise<T> {
  const made = await mkdtemp(join(tmpdir(), "kinglet-queue-"));
  const url = join(made, "redis.sock");
  const processes: ChildProcess[] = [spawn("redis-server", ["--port", "0", "--unixsocket", url, "--save", "", "--dir", made], { stdio: "ignore" })];
  try {
    const kinglet = fileURLToPath(new URL("../../kinglet/bin/kinglet.js", import.meta.url));
    await new Promise((done) => setTimeout(done, 1000));
    for (let i = 0; i < WORKERS; i++) {
      const worker = spawn(process.execPath, [kinglet, "federate", "work", url, "--data", folder], { stdio: ["ignore", "ignore", "pipe"] });
      processes.push(worker);
      // Its first line says that it waits for work.
      await once(worker.stderr!, "data");
    }
    return await use(url);
  } finally {
    for (const each of processes) each.kill();
    await rm(made, { recursive: true, force: true });
  }
}

async function measure(dataset: Dataset, folder: string): Promise<Result> {
  const task = taskOn(dataset);
  const alone = await timed("one process", () => simulateTask(task, dataset, { signal: never }));
  const together = await withWorkers(folder, async (url) => {
    const queue = await JobQueue.open(url, await samplesId(dataset, "MNIST"), packClients(task));
    try {
      return await timed(`${WORKERS} workers`, () => simulateTask(task, dataset, { training: new QueuedClients(queue), signal: never }));
    } finally {
      await queue.close();
    }
  });
  const met = alone.result.parameters.every((x, i) => Object.is(x, together.result.parameters[i]));
  return {
    goal: "the same bits",
    got: `${met ? "the same" : "others"}; ${alone.seconds.toFixed(1)} s in one process, ${together.seconds.toFixed(1)} s with ${WORKERS} workers`,
    met,
    figures: { alone: alone.seconds, together: together.seconds, accuracy: together.result.evaluation.accuracy },
  };
}

/** What a queue costs and brings where all processes share one machine. Needs redis-server. */
export const QUEUE_ROW: Row = { name: "queue", measure: async (data) => await withMnist(data, measure) };
