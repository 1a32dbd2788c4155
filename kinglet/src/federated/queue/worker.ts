import type { Job } from "bullmq";
import type { Redis } from "ioredis";
import type { Dataset } from "../../data/index.ts";
import { bullmq } from "../peers.ts";
import { type JobData, type JobKind, queueName } from "./job-queue.ts";
import { connectRedis, PREFIX } from "../redis.ts";
import { RUNS, runKey } from "./keys.ts";
import { type SamplesId, samplesId } from "./samples.ts";
import { Workbench } from "./workbench.ts";

export type WorkEvent =
  /** Connected; work may come. */
  | { readonly event: "ready"; readonly samples: SamplesId }
  /** A run is on other samples than these. */
  | { readonly event: "refused"; readonly run: string; readonly samples: SamplesId }
  | { readonly event: "worked"; readonly kind: JobKind; readonly jobs: number; readonly seconds: number }
  /** Redis is away, told once until it is back. */
  | { readonly event: "lost"; readonly why: string }
  | { readonly event: "found" }
  | { readonly event: "trouble"; readonly why: string };

export interface WorkOptions {
  /** What the samples are called in what is told. */
  readonly name: string;
  readonly onEvent?: (event: WorkEvent) => void;
  /** Ends the work; a job at hand goes back to the queue. */
  readonly signal: AbortSignal;
  /** A worker that was not heard of for so long counts as gone, and its job goes to another one; twice this at most. Default 30,000. */
  readonly patienceMs?: number;
}

/** Workers that may die over one job before it counts as their killer. */
const MOST_DEATHS = 5;
const LOOK_MS = 5000;

/** Tells of runs that these samples are not for; each is told once. */
async function refuseOthers(redis: Redis, own: SamplesId, told: Set<string>, tell: (event: WorkEvent) => void): Promise<void> {
  for (const [run, text] of Object.entries(await redis.hgetall(RUNS))) {
    const samples = JSON.parse(text) as SamplesId;
    if (samples.digest === own.digest || told.has(run)) continue;
    // Without its key it has ended, and could not say so.
    if ((await redis.exists(runKey(run))) === 0) await redis.hdel(RUNS, run);
    else {
      told.add(run);
      tell({ event: "refused", run, samples });
    }
  }
}

/** Tells when Redis goes away and when it is back. */
function watch(redis: Redis, tell: (event: WorkEvent) => void): void {
  let isThere = true;
  redis.on("error", ({ message }: Error) => {
    if (isThere) tell({ event: "lost", why: message });
    isThere = false;
  });
  redis.on("ready", () => {
    if (!isThere) tell({ event: "found" });
    isThere = true;
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done();
    signal.addEventListener("abort", () => done(), { once: true });
  });
}

/**
 * Works the jobs of runs on these samples, one at a time, until `signal` ends it. Gives how many.
 * @throws KingletError what `connectRedis` throws, `missing-tool` without BullMQ.
 */
export async function work(url: string, dataset: Dataset, options: WorkOptions): Promise<number> {
  const { name, signal, patienceMs = 30_000 } = options;
  const tell = (event: WorkEvent): void => options.onEvent?.(event);
  const [{ isNotConnectionError, Worker, WaitingError }, redis] = [await bullmq(), await connectRedis(url)];
  const own = await samplesId(dataset, name).catch((error: unknown) => {
    // A process does not end while it is connected.
    redis.disconnect();
    throw error;
  });
  const bench = new Workbench(redis, dataset);
  let jobs = 0;
  const process = async (job: Job<JobData, void, JobKind>, token?: string): Promise<void> => {
    const start = performance.now();
    try {
      await bench.work(job.name, job.data, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      await job.moveToWait(token);
      throw new WaitingError();
    }
    tell({ event: "worked", kind: job.name, jobs: ++jobs, seconds: (performance.now() - start) / 1000 });
  };
  const patience = { lockDuration: patienceMs, stalledInterval: patienceMs, maxStalledCount: MOST_DEATHS };
  const worker = new Worker<JobData, void, JobKind>(queueName(own), process, {
    connection: redis,
    prefix: PREFIX,
    skipVersionCheck: true,
    ...patience,
  });
  worker.on("error", (error) => {
    // What happens while Redis is away comes of that.
    if (redis.status === "ready" && isNotConnectionError(error)) tell({ event: "trouble", why: error.message });
  });
  watch(redis, tell);
  const told = new Set<string>();
  const look = (): void => void refuseOthers(redis, own, told, tell).catch(() => {});
  const looking = setInterval(look, LOOK_MS);
  try {
    await worker.waitUntilReady();
    tell({ event: "ready", samples: own });
    look();
    await aborted(signal);
  } finally {
    clearInterval(looking);
    // A job cannot be given back to a Redis that is away, which gives it to another one once it is back.
    await worker.close(redis.status !== "ready");
    redis.disconnect();
  }
  return jobs;
}
