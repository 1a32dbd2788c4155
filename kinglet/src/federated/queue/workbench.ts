import type { Redis } from "ioredis";
import type { Dataset } from "../../data/index.ts";
import { failureOf } from "../failure.ts";
import { type ClientsHeader, ClientsWorker } from "./client-jobs.ts";
import { inputKey, type JobData, type JobKind, outputKey } from "./job-queue.ts";
import { pack, type Packed, unpack } from "./packed.ts";
import { FORGOTTEN_MS, runKey } from "./keys.ts";
import { simulateTask, unpackTask } from "./task.ts";
import { turns } from "./turns.ts";

/** Between looks whether a job is still wanted. */
const LOOK_MS = 5000;
/** Runs whose compiled step is kept. */
const KEPT_RUNS = 2;

/** Writes an output only where its input is still there: late ones are wanted by nobody. */
const KEEP_OUTPUT = `if redis.call("exists", KEYS[1]) == 1 then redis.call("set", KEYS[2], ARGV[1], "PX", ARGV[2]) end`;

/** Does jobs on one data set. */
export class Workbench {
  private readonly redis: Redis;
  private readonly dataset: Dataset;
  private readonly clients = new Map<string, ClientsWorker>();

  constructor(redis: Redis, dataset: Dataset) {
    this.redis = redis;
    this.dataset = dataset;
  }

  private async clientsOf(run: string): Promise<ClientsWorker | null> {
    const known = this.clients.get(run);
    if (known !== undefined) return known;
    const common = await this.redis.getBuffer(runKey(run));
    if (common === null) return null;
    if (this.clients.size === KEPT_RUNS) this.clients.delete([...this.clients.keys()][0]!);
    const made = new ClientsWorker(unpack<ClientsHeader>(common), this.dataset);
    this.clients.set(run, made);
    return made;
  }

  private async output(kind: JobKind, { run, shared = "" }: JobData, input: Packed<unknown>, signal: AbortSignal): Promise<Packed<unknown> | null> {
    if (kind === "simulation") return { header: (await simulateTask(unpackTask(input), this.dataset, { signal })).reports, parts: [] };
    const clients = await this.clientsOf(run);
    return clients === null ? null : await clients.work(input, shared, () => this.redis.getBuffer(runKey(run, shared)), turns(signal));
  }

  /** Works a job, unless nobody wants it any more. @throws KingletError `interrupted` where `signal` says so. */
  async work(kind: JobKind, data: JobData, signal: AbortSignal): Promise<void> {
    const input = await this.redis.getBuffer(inputKey(data));
    if (input === null) return;
    const unwanted = new AbortController();
    const looking = setInterval(async () => {
      if ((await this.redis.exists(inputKey(data)).catch(() => 1)) === 0) unwanted.abort();
    }, LOOK_MS);
    let output: Packed<unknown> | null;
    try {
      output = await this.output(kind, data, unpack(input), AbortSignal.any([signal, unwanted.signal]));
    } catch (error) {
      if (signal.aborted) throw error;
      output = { header: { failure: failureOf(error) }, parts: [] };
    } finally {
      clearInterval(looking);
    }
    if (output === null) return;
    await this.redis.eval(KEEP_OUTPUT, 2, inputKey(data), outputKey(data), pack(output.header, output.parts), FORGOTTEN_MS);
  }
}
