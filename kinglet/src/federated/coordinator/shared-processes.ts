import type { Queue, Worker } from "bullmq";
import type { Redis } from "ioredis";
import { bullmq } from "../peers.ts";
import { again, connectRedis, noRedis, PREFIX } from "../redis.ts";
import type { Hooks } from "./hooks.ts";
import type { Join, Processes, Rounds } from "./processes.ts";
import { SharedPresence } from "./shared-presence.ts";

/** How often a process says who is with it. */
const SAY_MS = 1000;
/** How often each process wakes the rounds and reminds its clients, in case that Redis lost what was said. */
const REMIND_MS = 3000;
/** Whoever has not said for so long that it still looks at the rounds is dead, and another process looks; how often that is checked. */
const [DEAD_MS, CHECK_MS] = [4000, 1000];
const COMMAND_MS = 2000;
/** How long a stop waits for a Redis that does not answer. */
const PATIENCE_MS = 3000;
const LOOK = "look";
/** BullMQ's own notes of what became of looks. */
const KEPT_EVENTS = 100;

/** What one process has of Redis. */
interface Connections {
  readonly redis: Redis;
  /** Hears what others say. */
  readonly subscriber: Redis;
  readonly queue: Queue;
  readonly makeWorker: (look: () => Promise<void>) => Worker;
}

/** Where news of a federation are said. */
const channelOf = (federation: string): string => `${PREFIX}:${federation}`;

/** @throws KingletError what `connectRedis` throws, `missing-tool` without BullMQ. */
async function connect(url: string, federation: string): Promise<Connections> {
  const { Queue, Worker } = await bullmq();
  const redis = await connectRedis(url, { maxRetriesPerRequest: 1, commandTimeout: COMMAND_MS, enableAutoPipelining: true });
  const subscriber = await connectRedis(url).catch((error: unknown) => {
    redis.disconnect();
    throw error;
  });
  const common = { connection: { url, retryStrategy: again, maxRetriesPerRequest: null }, prefix: PREFIX };
  const name = `rounds-${federation}`;
  const defaultJobOptions = { removeOnComplete: true, removeOnFail: true };
  const queue = new Queue(name, { ...common, defaultJobOptions, streams: { events: { maxLen: KEPT_EVENTS } } });
  // A look that lost its lock is another process's by now; whatever it was, it is looked again.
  queue.on("error", () => {});
  const makeWorker = (look: () => Promise<void>): Worker => {
    const worker = new Worker(name, look, { ...common, lockDuration: DEAD_MS, stalledInterval: CHECK_MS, maxStalledCount: 1e6 });
    return worker.on("error", () => {});
  };
  return { redis, subscriber, queue, makeWorker };
}

/** Waits for something that Redis may not answer any more. */
async function inTime(work: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  await Promise.race([work.catch(() => {}), new Promise((done) => (timer = setTimeout(done, PATIENCE_MS)))]);
  clearTimeout(timer);
}

/** Ends connections. Where Redis is away BullMQ would try for ever to reach it. */
async function disconnect({ redis, subscriber, queue }: Connections): Promise<void> {
  await inTime(queue.close());
  queue.disconnect().catch(() => {});
  redis.disconnect();
  subscriber.disconnect();
}

/** One of several processes: presence and news over Redis, and looks as jobs of a queue, which any of them takes and only one at a time. */
class OneOfSeveral implements Processes {
  readonly presence: SharedPresence;
  readonly first: boolean;
  private readonly connections: Connections;
  private readonly hooks: Hooks;
  private timers: ReturnType<typeof setInterval>[] = [];
  private rounds: Rounds | undefined;
  private worker: Worker | undefined;
  private asking: Promise<void> | undefined;
  private again = false;
  private stopped = false;
  private isReached = true;

  constructor(connections: Connections, presence: SharedPresence, first: boolean, hooks: Hooks) {
    this.connections = connections;
    this.presence = presence;
    this.first = first;
    this.hooks = hooks;
    presence.onReady = () => this.wake();
    const { subscriber } = connections;
    subscriber.on("message", (_channel, text) => presence.hear(text));
    subscriber.on("error", (error) => this.lost(error));
    subscriber.on("close", () => this.lost(new Error("the connection was closed")));
    subscriber.on("ready", () => this.found());
  }

  start(rounds: Rounds): void {
    this.rounds = rounds;
    this.worker = this.connections.makeWorker(async () => {
      const next = await rounds.look();
      if (next !== null) await this.lookAt(next);
    });
    this.timers = [setInterval(() => void this.presence.say(), SAY_MS), setInterval(() => void this.remind(), REMIND_MS)];
    this.wake();
  }

  /** Told once until it is over. */
  private lost({ message }: Error): void {
    if (this.isReached && !this.stopped) this.hooks.log({ event: "redis lost", level: "warn", message });
    this.isReached = false;
  }

  private found(): void {
    if (!this.isReached) this.hooks.log({ event: "redis reached", level: "info" });
    this.isReached = true;
    void this.remind();
  }

  private async remind(): Promise<void> {
    if (this.stopped) return;
    this.wake();
    // Where the store cannot be reached, they hear it the next time.
    await this.rounds?.remind(this.presence.seats).catch(() => {});
  }

  /** However often it is called, one job waits at most, beside one that is done. */
  wake(): void {
    this.again = true;
    this.asking ??= this.ask().finally(() => (this.asking = undefined));
  }

  private async ask(): Promise<void> {
    const { queue } = this.connections;
    while (this.again && !this.stopped) {
      this.again = false;
      try {
        // Also after Redis has lost everything.
        await queue.setGlobalConcurrency(1);
        await queue.add(LOOK, null, { deduplication: { id: LOOK, keepLastIfActive: true } });
      } catch {
        // It is asked again soon.
      }
    }
  }

  /** Whoever asks for the same time asks for the same job. */
  private async lookAt(time: number): Promise<void> {
    const delay = Math.ceil(time - this.hooks.now());
    if (delay <= 0) this.wake();
    else await this.connections.queue.add(LOOK, null, { jobId: `at-${Math.ceil(time)}`, delay });
  }

  reached(): boolean {
    return this.isReached;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    for (const timer of this.timers) clearInterval(timer);
    await inTime(Promise.all([this.worker?.pause(), this.presence.leave()]));
    // By force: what was under way has ended, or waits for a Redis that is away.
    await inTime(Promise.resolve(this.worker?.close(true)));
    await disconnect(this.connections);
  }
}

/** Several processes over the Redis at an address, `redis://user:password@host:6379`. */
export function overRedis(url: string): Join {
  return async (federation, hooks) => {
    const connections = await connect(url, federation);
    const presence = new SharedPresence(connections.redis, channelOf(federation), hooks.now);
    try {
      await connections.subscriber.subscribe(channelOf(federation));
      const first = await presence.nobody();
      await presence.say();
      return new OneOfSeveral(connections, presence, first, hooks);
    } catch (error) {
      await disconnect(connections);
      throw noRedis(url, (error as Error).message);
    }
  };
}
