import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
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
  ThreadClients,
} from "../../kinglet/src/federated/index.ts";
import { newRedis } from "../../kinglet/src/federated/coordinator/servers-testing.ts";
import { connectRedis } from "../../kinglet/src/federated/redis.ts";
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

const TICKS_PER_SECOND = 100;

/** Processor time that these processes have taken so far. */
function processorSeconds(ids: readonly number[]): number {
  const ticks = ids.map((id) => {
    // The name of the program, in parentheses, may have spaces.
    const fields = readFileSync(`/proc/${id}/stat`, "utf8").split(") ")[1]!.split(" ");
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((sum, each) => sum + each, 0) / TICKS_PER_SECOND;
}

interface Timed {
  readonly result: Simulation;
  readonly seconds: number;
  readonly processor: number;
}

async function timed(name: string, processes: readonly number[], work: () => Promise<Simulation>): Promise<Timed> {
  const [start, before] = [performance.now(), processorSeconds(processes)];
  const result = await work();
  const [seconds, processor] = [(performance.now() - start) / 1000, processorSeconds(processes) - before];
  progress(`queue, ${name}: ${seconds.toFixed(1)} s, of processors ${processor.toFixed(1)} s, ${percent(result.evaluation.accuracy)}`);
  return { result, seconds, processor };
}

/** Workers, as a person would start them, while `use` runs. */
async function withWorkers<T>(url: string, folder: string, use: (ids: readonly number[]) => Promise<T>): Promise<T> {
  const workers: ChildProcess[] = [];
  try {
    const kinglet = fileURLToPath(new URL("../../kinglet/bin/kinglet.js", import.meta.url));
    for (let i = 0; i < WORKERS; i++) {
      const worker = spawn(process.execPath, [kinglet, "federate", "work", url, "--data", folder], { stdio: ["ignore", "ignore", "pipe"] });
      workers.push(worker);
      // Its first line says that it waits for work.
      await once(worker.stderr!, "data");
    }
    return await use(workers.map(({ pid }) => pid!));
  } finally {
    for (const worker of workers) worker.kill();
  }
}

/** The most memory that a Redis has taken. */
async function peakBytes(url: string): Promise<number> {
  const redis = await connectRedis(url);
  const memory = await redis.info("memory");
  redis.disconnect();
  return Number(/used_memory_peak:(\d+)/.exec(memory)![1]);
}

async function queued(task: SimulationTask, dataset: Dataset, folder: string): Promise<Timed & { readonly redisBytes: number }> {
  const redis = await newRedis();
  try {
    return await withWorkers(redis.url, folder, async (ids) => {
      const queue = await JobQueue.open(redis.url, await samplesId(dataset, "MNIST"), packClients(task));
      try {
        const training = new QueuedClients(queue);
        const result = await timed(`${WORKERS} workers`, [process.pid, ...ids], () => simulateTask(task, dataset, { training, signal: never }));
        return { ...result, redisBytes: await peakBytes(redis.url) };
      } finally {
        await queue.close();
      }
    });
  } finally {
    await redis.end();
  }
}

async function threaded(task: SimulationTask, dataset: Dataset, folder: string): Promise<Timed> {
  const training = await ThreadClients.open(task, dataset.info.classes, { folder }, WORKERS);
  try {
    return await timed(`${WORKERS} threads`, [process.pid], () => simulateTask(task, dataset, { training, signal: never }));
  } finally {
    await training.close();
  }
}

async function measure(dataset: Dataset, folder: string): Promise<Result> {
  const task = taskOn(dataset);
  const alone = await timed("one process", [process.pid], () => simulateTask(task, dataset, { signal: never }));
  const threads = await threaded(task, dataset, folder);
  const together = await queued(task, dataset, folder);
  const met = [threads, together].every(({ result }) => alone.result.parameters.every((x, i) => Object.is(x, result.parameters[i])));
  const told = ({ seconds, processor }: Timed): string => `${seconds.toFixed(0)} s (of processors ${processor.toFixed(0)} s)`;
  const { redisBytes } = together;
  return {
    goal: "the same bits",
    got: `${met ? "the same" : "others"}; ${told(alone)} in one thread, ${told(threads)} in ${WORKERS}, ${told(together)} with ${WORKERS} workers, ${Math.round(redisBytes / 1e6)} MB of Redis`,
    met,
    figures: { alone: told(alone), threads: told(threads), together: told(together), redisBytes, accuracy: together.result.evaluation.accuracy },
  };
}

/** What threads and a queue cost and bring where all processes share one machine. Needs redis-server. */
export const QUEUE_ROW: Row = { name: "queue", measure: async (data) => await withMnist(data, measure) };
