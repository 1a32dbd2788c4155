import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Dataset } from "../../data/index.ts";
import type { Simulation } from "../simulate.ts";
import { STRATEGIES } from "../strategy.ts";
import { packClients, QueuedClients } from "./client-jobs.ts";
import { JobQueue, type JobQueueOptions } from "./job-queue.ts";
import { clouds, slowClouds, tinyTask } from "./queue-testing.ts";
import { connectRedis } from "../redis.ts";
import { needRedis, newRedis, newRedisIfThere, type TestServer } from "../coordinator/servers-testing.ts";
import { samplesId } from "./samples.ts";
import { packTask, type SimulationPlan, simulateTask } from "./task.ts";
import { work, type WorkEvent, type WorkOptions } from "./worker.ts";

let redis: TestServer | null;
beforeAll(async () => {
  redis = await newRedisIfThere();
});
afterAll(() => redis?.end());

const dataset = clouds(5);
const never = new AbortController().signal;
const here = (plan: Partial<SimulationPlan>): Promise<Simulation> => simulateTask(tinyTask(dataset, plan), dataset, { signal: never });

async function queued(url: string, plan: Partial<SimulationPlan>, options: JobQueueOptions = {}): Promise<Simulation> {
  const task = tinyTask(dataset, plan);
  const queue = await JobQueue.open(url, await samplesId(dataset, "clouds"), packClients(task), options);
  try {
    return await simulateTask(task, dataset, { training: new QueuedClients(queue), signal: options.signal ?? never });
  } finally {
    await queue.close();
  }
}

/** Workers in this process while `use` runs; gives what they told. */
async function withWorkers(
  url: string,
  datasets: readonly Dataset[],
  use: (events: readonly WorkEvent[]) => Promise<void>,
  more: Partial<WorkOptions> = {},
): Promise<WorkEvent[]> {
  const stop = new AbortController();
  const events: WorkEvent[] = [];
  const options = { ...more, name: "clouds", signal: stop.signal, onEvent: (event: WorkEvent) => void events.push(event) };
  const workers = datasets.map((each) => work(url, each, options));
  try {
    await use(events);
  } finally {
    stop.abort();
    await Promise.all(workers);
  }
  return events;
}

/** Keys of runs that lie in the Redis. */
async function leftKeys(url: string): Promise<string[]> {
  const client = await connectRedis(url);
  const keys = await client.keys("kinglet:run*");
  const jobs = (await client.keys("kinglet:samples-*")).filter((key) => /:(wait|active|failed|completed|[0-9a-f]{12}-.*)$/.test(key));
  client.disconnect();
  return [...keys, ...jobs];
}

const clients = (events: readonly WorkEvent[]): number => events.filter((event) => event.event === "worked" && event.kind === "client").length;

/** Waits until something is so. */
async function until(so: () => boolean): Promise<void> {
  while (!so()) await new Promise((done) => setTimeout(done, 20));
}

describe("a simulation with workers has the bits of one process, and leaves nothing in Redis", () => {
  test.for<[string, number, Partial<SimulationPlan>]>([
    ["FedAvg, one worker", 1, {}],
    ["FedAvg, two", 2, { seed: 3 }],
    ["FedProx with 4 bits, three", 3, { strategy: STRATEGIES.fedprox, compression: { kind: "quantize", bits: 4 } }],
    ["SCAFFOLD's control variates, three", 3, { strategy: STRATEGIES.scaffold, rounds: 4 }],
    ["what top-k left, two", 2, { compression: { kind: "topK", share: 0.1 }, rounds: 4 }],
    ["privacy, two", 2, { privacy: { clip: 0.5, noise: 0.3, delta: 1e-3 } }],
    ["secure aggregation, two", 2, { secure: {}, rounds: 1 }],
  ])("%s", async ([_name, workers, plan], context) => {
    const { url } = needRedis(context, redis);
    const alone = await here(plan);
    const told = ({ reports }: Simulation): unknown => reports.map(({ clients: asked, bytes, accuracy }) => ({ asked, bytes, accuracy }));
    const events = await withWorkers(url, Array(workers).fill(dataset), async () => {
      const together = await queued(url, plan);
      expect(together.parameters).toEqual(alone.parameters);
      expect(told(together)).toEqual(told(alone));
    });
    expect(clients(events)).toBe(alone.reports.reduce((sum, report) => sum + report.clients, 0));
    expect(await leftKeys(url)).toEqual([]);
  });
});

/** A process loads what it trains with; on a busy machine that takes a while. */
const PROCESS_MS = 300_000;

test("what a killed worker had at hand is another one's, with the same bits", { timeout: PROCESS_MS }, async (context) => {
  const { url } = needRedis(context, redis);
  const plan = { strategy: STRATEGIES.scaffold, compression: { kind: "topK", share: 0.2 } } as const;
  const alone = await here(plan);
  const script = fileURLToPath(new URL("./worker-process-testing.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", script, url, "5", "700"], { stdio: ["ignore", "pipe", "inherit"] });
  let told = "";
  child.stdout.on("data", (data: Buffer) => (told += data.toString()));
  const simulation = queued(url, plan);
  // It has done one job, and is in the middle of the next.
  await until(() => /worked\n.*reading/s.test(told));
  child.kill("SIGKILL");
  await once(child, "exit");
  const client = await connectRedis(url);
  expect(await client.llen(`kinglet:samples-${(await samplesId(dataset, "")).digest}:active`)).toBe(1);
  client.disconnect();
  const use = async (): Promise<void> => expect((await simulation).parameters).toEqual(alone.parameters);
  await withWorkers(url, [dataset], use, { patienceMs: 1000 });
  expect(await leftKeys(url)).toEqual([]);
});

test("simulations over one Redis do not mix, and a worker with other samples refuses by name", async (context) => {
  const { url } = needRedis(context, redis);
  const events = await withWorkers(url, [clouds(6), dataset, dataset], async () => {
    const [first, second] = await Promise.all([
      queued(url, { seed: 1 }),
      queued(url, { seed: 2, local: { ...tinyTask(dataset).plan.local, rate: 0.2 } }),
    ]);
    expect(first.parameters).toEqual((await here({ seed: 1 })).parameters);
    expect(second.parameters).toEqual((await here({ seed: 2, local: { ...tinyTask(dataset).plan.local, rate: 0.2 } })).parameters);
  });
  expect(clients(events)).toBe(2 * 3 * 6);
  const other = new AbortController();
  const waiting = queued(url, {}, { signal: other.signal });
  const refusals = await withWorkers(url, [clouds(6)], async (events) => await until(() => events.some(({ event }) => event === "refused")));
  other.abort();
  await expect(waiting).rejects.toMatchObject({ code: "interrupted" });
  expect(refusals).toContainEqual({ event: "refused", run: expect.stringMatching(/^[0-9a-f]{12}$/), samples: await samplesId(dataset, "clouds") });
  expect(clients(refusals)).toBe(0);
});

test("without a worker that is told, and stopping leaves nothing behind", async (context) => {
  const { url } = needRedis(context, redis);
  const stop = new AbortController();
  let told = 0;
  const waiting = queued(url, {}, { signal: stop.signal, onNoWorker: () => told++ });
  await until(() => told > 0);
  expect((await leftKeys(url)).length).toBeGreaterThan(6);
  stop.abort();
  await expect(waiting).rejects.toMatchObject({ code: "interrupted" });
  expect(await leftKeys(url)).toEqual([]);
});

test("who was stopped before the first job waits for none", async (context) => {
  const { url } = needRedis(context, redis);
  await expect(queued(url, {}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "interrupted" });
  const queue = await JobQueue.open(url, await samplesId(dataset, "clouds"), { header: {}, parts: [] }, { signal: AbortSignal.abort() });
  await expect(queue.submit("simulation", "0", packTask(tinyTask(dataset)))).rejects.toMatchObject({ code: "interrupted" });
  await queue.close();
  expect(await leftKeys(url)).toEqual([]);
});

test("who is stopped while Redis is away waits for it no more", async (context) => {
  needRedis(context, redis);
  const own = await newRedis();
  try {
    const [stop, sharing] = [new AbortController(), new AbortController()];
    const queue = await JobQueue.open(own.url, await samplesId(dataset, "clouds"), { header: {}, parts: [] }, { signal: sharing.signal });
    let told = 0;
    const waiting = queued(own.url, {}, { signal: stop.signal, onNoWorker: () => told++ });
    await until(() => told > 0);
    await own.kill();
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ code: "interrupted" });
    const shared = queue.share("round-1", new Uint8Array(8));
    sharing.abort();
    await expect(shared).rejects.toMatchObject({ code: "interrupted" });
    await queue.close();
  } finally {
    await own.end();
  }
});

test("a worker that is stopped while Redis is away ends at once, and tells once that it is", async (context) => {
  needRedis(context, redis);
  const own = await newRedis();
  try {
    const stop = new AbortController();
    const events: string[] = [];
    const onEvent = ({ event }: WorkEvent): void => void events.push(event);
    const working = work(own.url, dataset, { name: "clouds", signal: stop.signal, onEvent });
    await until(() => events.includes("ready"));
    await own.kill();
    await until(() => events.includes("lost"));
    await own.start();
    await until(() => events.includes("found"));
    await own.kill();
    await until(() => events.at(-1) === "lost");
    stop.abort();
    expect(await working).toBe(0);
    expect(events).toEqual(["ready", "lost", "found", "lost"]);
  } finally {
    await own.end();
  }
});

test("who fails after connecting stays connected no more", async (context) => {
  const { url } = needRedis(context, redis);
  const client = await connectRedis(url);
  const others = async (): Promise<number> => ((await client.client("LIST")) as string).trim().split("\n").length - 1;
  const gone = async (): Promise<void> => {
    while ((await others()) > 0) await new Promise((done) => setTimeout(done, 20));
  };
  await gone();
  await client.acl("SETUSER", "reader", "on", ">word", "~*", "&*", "+@all", "-set");
  const opening = JobQueue.open(url.replace("//", "//reader:word@"), await samplesId(dataset, "clouds"), { header: {}, parts: [] });
  await expect(opening).rejects.toThrow(/NOPERM/);
  await gone();
  const fail = (): Promise<void> => Promise.reject(new Error("unreadable"));
  const unreadable = new Dataset(dataset.info, dataset.index, { read: fail, close: async () => {} });
  await expect(work(url, unreadable, { name: "clouds", signal: never })).rejects.toThrow(/unreadable/);
  await gone();
  client.disconnect();
});

test("a Redis that was emptied ends a run with words", async (context) => {
  const { url } = needRedis(context, redis);
  const waiting = queued(url, {});
  const ended = expect(waiting).rejects.toThrow(/Redis has lost what lay there/);
  const client = await connectRedis(url);
  while ((await client.exists("kinglet:runs")) === 0) await new Promise((done) => setTimeout(done, 20));
  await client.flushall();
  client.disconnect();
  await ended;
});

test("what fails in a worker fails as it does here", async (context) => {
  const { url } = needRedis(context, redis);
  const plan = { local: { ...tinyTask(dataset).plan.local, rate: 1e38 } };
  const error = await here(plan).catch((thrown: Error) => thrown);
  expect(error).toMatchObject({ code: "check-failed", message: expect.stringMatching(/no client of round 1 could learn/) });
  await withWorkers(url, [dataset], async () => {
    await expect(queued(url, plan)).rejects.toMatchObject({ code: "check-failed", message: (error as Error).message });
  });
});

test("a whole simulation is a job, too; a worker that is stopped gives it back", async (context) => {
  const { url } = needRedis(context, redis);
  const task = tinyTask(dataset, { rounds: 5 });
  const queue = await JobQueue.open(url, await samplesId(dataset, "clouds"), { header: {}, parts: [] });
  const reports = queue.submit<Simulation["reports"]>("simulation", "0", packTask(task));
  // Far too slow to finish.
  await withWorkers(url, [slowClouds(5, 500)], async () => {
    await new Promise((done) => setTimeout(done, 700));
  });
  await withWorkers(url, [dataset], async () => {
    const expected = (await here({ rounds: 5 })).reports.map(({ seconds: _seconds, ...report }) => report);
    expect((await reports).header.map(({ seconds: _seconds, ...report }) => report)).toEqual(expected);
  });
  await queue.close();
  expect(await leftKeys(url)).toEqual([]);
});
