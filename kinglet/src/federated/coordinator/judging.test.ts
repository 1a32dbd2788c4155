import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Xorshift32 } from "../../base/index.ts";
import { datasetFromArrays } from "../../data/index.ts";
import { readKinglet } from "../../formats/index.ts";
import { evaluateOn } from "../../train/index.ts";
import { STRATEGIES } from "../strategy.ts";
import {
  adminToken,
  ALL_AT_ONCE,
  CLASSES,
  enrolAll,
  INPUTS,
  inventedFrame,
  KEYS,
  type Running,
  startFederation,
  statusOf,
  tasksOf,
  tinyPlan,
} from "./coordinator-testing.ts";
import type { JudgedOn } from "./judging.ts";
import { hasServers, needServers, newPostgres, newRedis, type TestServer } from "./servers-testing.ts";

let folder = "";
let [postgres, redis]: (TestServer | undefined)[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-judging-"));
  if (hasServers()) [postgres, redis] = await Promise.all([newPostgres(), newRedis()]);
});
afterAll(async () => {
  await Promise.all([postgres?.end(), redis?.end()]);
  await rm(folder, { recursive: true, force: true });
});

const SAMPLES = 90;
const random = new Xorshift32(3);
const samples = {
  data: Float32Array.from({ length: SAMPLES * INPUTS }, () => random.float()),
  shape: [INPUTS],
  labels: Array.from({ length: SAMPLES }, (_, i) => i % CLASSES),
  classes: ["a", "b", "c"],
};
const positions = Int32Array.from({ length: SAMPLES / 2 }, (_, i) => 2 * i);
const judgedOn: JudgedOn = { data: samples, positions };

/** Waits for a version to be judged. */
async function judged({ url, events }: Running, version: number): Promise<number> {
  await vi.waitFor(async () => expect((await statusOf(url, KEYS)).judged?.version).toBe(version), { timeout: 60_000, interval: 50 });
  return events.findLast((event) => event.event === "judged" && event["version"] === version)!["accuracy"] as number;
}

async function learn({ url, coordinator }: Running, clients: Awaited<ReturnType<typeof enrolAll>>): Promise<void> {
  const tasks = await tasksOf(clients);
  const { length } = coordinator.model.form;
  await Promise.all(
    clients.map((each, i) => {
      each.url = url;
      return each.submit(tasks[i]!.round, inventedFrame(tasks[i]!, each.client, length));
    }),
  );
}

for (const where of ["in a file", "over PostgreSQL and Redis"])
  test(`versions are judged as an evaluation of what is exported does, also after a restart: ${where}`, async (context) => {
    if (where !== "in a file") needServers(context);
    const store = where === "in a file" ? join(folder, "judged.db") : `${postgres!.url}?schema=judged`;
    const plan = tinyPlan({ strategy: { ...STRATEGIES.fedavg, averageDecay: 0.9 } });
    const rules = { ...ALL_AT_ONCE, ready: 2, rounds: 2 };
    const options = { plan, rules, ...(where === "in a file" ? {} : { queue: redis!.url }) };
    const first = await startFederation(store, { ...options, judgedOn });
    const expected = async ({ coordinator }: Running): Promise<number> =>
      (await evaluateOn(readKinglet(await coordinator.export(), "exported"), datasetFromArrays(samples), positions)).accuracy;
    expect(await judged(first, 0)).toBe(await expected(first));
    const clients = await enrolAll(first.url, 2);
    await learn(first, clients);
    const accuracyOfOne = await judged(first, 1);
    expect(accuracyOfOne).toBe(await expected(first));
    await first.stop();

    const silent = await startFederation(store, options);
    for (const each of clients) each.url = silent.url;
    await learn(silent, clients);
    await vi.waitFor(async () => expect((await statusOf(silent.url, KEYS)).version).toBe(2), { timeout: 60_000 });
    expect((await statusOf(silent.url, KEYS)).judged!.version).toBe(1);
    await silent.stop();

    const last = await startFederation(store, { ...options, judgedOn });
    const accuracy = await judged(last, 2);
    expect(accuracy).toBe(await expected(last));
    const { rounds } = await statusOf(last.url, KEYS);
    expect(rounds.map((round) => round.accuracy)).toEqual([accuracy, accuracyOfOne]);
    const metrics = await fetch(`${last.url}/metrics`, { headers: { authorization: `Bearer ${adminToken(KEYS)}` } });
    expect(await metrics.text()).toContain(`kinglet_accuracy ${accuracy}\n`);
    await last.stop();
  });

test("samples that do not fit are refused before anything begins", async () => {
  const other = { ...judgedOn, data: { ...samples, shape: [INPUTS / 2], data: samples.data.subarray(0, (SAMPLES * INPUTS) / 2) } };
  await expect(startFederation(join(folder, "other.db"), { judgedOn: other })).rejects.toThrow(/do not fit the federation's network/);
  // Nothing of it is left: the same store works.
  const again = await startFederation(join(folder, "other.db"), {});
  await again.stop();
});
