import { randomBytes } from "node:crypto";
import type { Queue, QueueEvents } from "bullmq";
import type { Redis } from "ioredis";
import { KingletError } from "../../base/index.ts";
import { errorOf, type Failure } from "../failure.ts";
import { bullmq } from "../peers.ts";
import { pack, type Packed, unpack } from "./packed.ts";
import { connectRedis, PREFIX } from "../redis.ts";
import { FORGOTTEN_MS, RUNS, runKey } from "./keys.ts";
import type { SamplesId } from "./samples.ts";

export type JobKind = "client" | "simulation";

/** What a job itself says; the rest lies under the run's keys. */
export interface JobData {
  readonly run: string;
  readonly name: string;
  /** What the job shares with others. */
  readonly shared?: string;
}

/** Of a job: a worker reads its input and writes its output. A job without its input is wanted by nobody. */
export const inputKey = ({ run, name }: JobData): string => runKey(run, `${name}:in`);
export const outputKey = ({ run, name }: JobData): string => runKey(run, `${name}:out`);

/** Jobs of a data set's samples are in a queue of their own, so no worker gets work that it cannot do. */
export const queueName = ({ digest }: SamplesId): string => `samples-${digest}`;

export interface JobQueueOptions {
  /** Told when jobs wait and no worker with these samples is there. */
  readonly onNoWorker?: () => void;
  readonly signal?: AbortSignal;
}

interface Waiting {
  readonly done: () => void;
  readonly fail: (error: KingletError) => void;
}

const [WATCH_MS, FIRST_WATCH_MS] = [5000, 1000];
/** BullMQ keeps the last events for whoever listens; an event is less than 200 bytes. */
const KEPT_EVENTS = 1000;
/** Where a worker lost Redis. Failures of the work itself are results. */
const ATTEMPTS = 3;

/**
 * A run's side that gives work away. Jobs are functions of what lies in Redis, so it does no harm if one is worked twice,
 * and all that a run remembers stays with its owner.
 */
export class JobQueue {
  /** Sets this run apart from others at the same Redis. */
  readonly run: string = randomBytes(6).toString("hex");
  private readonly redis: Redis;
  private readonly queue: Queue<JobData>;
  private readonly events: QueueEvents;
  private readonly options: JobQueueOptions;
  private readonly waiting = new Map<string, Waiting>();
  /** What ends each thing that is being done at Redis. */
  private readonly ends = new Set<Waiting["fail"]>();
  private readonly keys = new Set<string>();
  private readonly stop = (): void => this.failAll(stopped());
  private watching: NodeJS.Timeout;
  private alone = false;

  private constructor(redis: Redis, queue: Queue<JobData>, events: QueueEvents, options: JobQueueOptions) {
    this.redis = redis;
    this.queue = queue;
    this.events = events;
    this.options = options;
    queue.on("error", () => {});
    events.on("error", () => {});
    events.on("completed", ({ jobId }) => this.waiting.get(jobId)?.done());
    events.on("failed", ({ jobId, failedReason }) => this.waiting.get(jobId)?.fail(givenUp(failedReason)));
    options.signal?.addEventListener("abort", this.stop);
    this.watching = setTimeout(() => this.watch(), FIRST_WATCH_MS);
  }

  /**
   * Opens a run on these samples. @param common what its jobs have in common.
   * @throws KingletError what `connectRedis` throws, `missing-tool` without BullMQ.
   */
  static async open(url: string, samples: SamplesId, common: Packed<unknown>, options: JobQueueOptions = {}): Promise<JobQueue> {
    const [{ Queue, QueueEvents }, redis] = [await bullmq(), await connectRedis(url)];
    const about = { connection: redis, prefix: PREFIX, skipVersionCheck: true };
    let jobs: JobQueue | undefined;
    try {
      const [seconds, micros] = await redis.time();
      // Events from now on, by Redis' own clock: none is missed before the listener listens.
      const lastEventId = `${Number(seconds) * 1000 + Math.floor(Number(micros) / 1000) - 1}`;
      const queue = new Queue<JobData>(queueName(samples), { ...about, streams: { events: { maxLen: KEPT_EVENTS } } });
      jobs = new JobQueue(redis, queue, new QueueEvents(queueName(samples), { ...about, lastEventId }), options);
      await jobs.put(runKey(jobs.run), pack(common.header, common.parts));
      await redis.hset(RUNS, jobs.run, JSON.stringify(samples));
      return jobs;
    } catch (error) {
      // A process does not end while it is connected.
      await jobs?.close().catch(() => {});
      redis.disconnect();
      throw error;
    }
  }

  private async put(key: string, bytes: Buffer): Promise<void> {
    this.keys.add(key);
    await this.redis.set(key, bytes, "PX", FORGOTTEN_MS);
  }

  private async drop(key: string): Promise<void> {
    await this.redis.del(key);
    this.keys.delete(key);
  }

  /** Does it unless the run ends before: as long as Redis is away, it gives no answer. @throws KingletError as `submit` does. */
  private async unlessEnded<T>(work: () => Promise<T>): Promise<T> {
    if (this.options.signal?.aborted === true) throw stopped();
    let end: Waiting["fail"] = () => {};
    const ended = new Promise<never>((_, fail) => (end = fail));
    this.ends.add(end);
    try {
      return await Promise.race([work(), ended]);
    } finally {
      this.ends.delete(end);
    }
  }

  /** Puts there what many jobs read. @throws KingletError `interrupted` once stopped or lost. */
  async share(name: string, bytes: Uint8Array): Promise<void> {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    await this.unlessEnded(() => this.put(runKey(this.run, name), buffer));
  }

  /** @throws KingletError `interrupted` once stopped or lost; `close` removes it then. */
  async unshare(name: string): Promise<void> {
    await this.unlessEnded(() => this.drop(runKey(this.run, name)));
  }

  /**
   * What a worker makes of this. @param name no other job of the run is called so. @param shared the name of what it shares.
   * @throws KingletError what the work throws; `interrupted` once stopped, given up or lost.
   */
  async submit<H>(kind: JobKind, name: string, input: Packed<unknown>, shared?: string): Promise<Packed<H>> {
    return await this.unlessEnded(() => this.worked<H>(kind, name, input, shared));
  }

  private async worked<H>(kind: JobKind, name: string, input: Packed<unknown>, shared: string | undefined): Promise<Packed<H>> {
    const data: JobData = { run: this.run, name, ...(shared === undefined ? {} : { shared }) };
    const jobId = `${this.run}-${name}`;
    const worked = new Promise<void>((done, fail) => this.waiting.set(jobId, { done, fail }));
    // It may fail before anybody waits for it.
    worked.catch(() => {});
    try {
      await this.put(inputKey(data), pack(input.header, input.parts));
      await this.queue.add(kind, data, { jobId, attempts: ATTEMPTS, removeOnComplete: true, removeOnFail: true });
      await worked;
      await this.drop(inputKey(data));
      const output = await this.redis.getdelBuffer(outputKey(data));
      if (output === null) throw lost();
      const { header, parts } = unpack<H | { readonly failure: Failure }>(output);
      if (typeof header === "object" && header !== null && "failure" in header) throw errorOf(header.failure);
      return { header: header as H, parts };
    } finally {
      this.waiting.delete(jobId);
    }
  }

  private failAll(error: KingletError): void {
    for (const end of this.ends) end(error);
    for (const { fail } of this.waiting.values()) fail(error);
  }

  /** Looks after what nobody tells: no worker, a Redis that was emptied, keys that would be forgotten. */
  private async watch(): Promise<void> {
    try {
      if ((await this.redis.exists(runKey(this.run))) === 0) this.failAll(lost());
      for (const key of this.keys) await this.redis.pexpire(key, FORGOTTEN_MS);
      const alone = this.waiting.size > 0 && (await this.queue.getWorkersCount()) === 0;
      if (alone && !this.alone) this.options.onNoWorker?.();
      this.alone = alone;
    } catch {
      // A connection that broke is made again.
    }
    if (this.redis.status !== "end") this.watching = setTimeout(() => this.watch(), WATCH_MS);
  }

  /** Takes back what was not worked, and removes all that lies in Redis of this run. */
  async close(): Promise<void> {
    clearTimeout(this.watching);
    this.options.signal?.removeEventListener("abort", this.stop);
    this.stop();
    try {
      if (this.redis.status === "ready") await this.clear();
    } finally {
      const closed = Promise.all([this.events.close(), this.queue.close()]);
      // Of a connection that is broken nothing tells that it is closed.
      if (this.redis.status === "ready") await closed;
      else closed.catch(() => {});
      this.redis.disconnect();
    }
  }

  private async clear(): Promise<void> {
    const jobs = [...this.keys].filter((key) => key.endsWith(":in")).map((key) => key.slice(runKey(this.run, "").length, -":in".length));
    for (const name of jobs) await this.queue.remove(`${this.run}-${name}`).catch(() => {});
    await this.redis.del(...this.keys, ...jobs.map((name) => outputKey({ run: this.run, name })));
    await this.redis.hdel(RUNS, this.run);
  }
}

function stopped(): KingletError {
  return new KingletError("interrupted", "the work was stopped");
}

function lost(): KingletError {
  return new KingletError("interrupted", "Redis has lost what lay there: it was emptied, started anew, or threw things away for want of memory");
}

function givenUp(why: string): KingletError {
  return new KingletError("interrupted", `a job was given up: ${why}`, {
    hint: "Workers ended again and again while they had it: for want of memory?",
  });
}
