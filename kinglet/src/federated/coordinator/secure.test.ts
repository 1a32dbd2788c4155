import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fromBytes } from "../../base/index.ts";
import { SECURE_STEPS, type Task } from "../protocol/index.ts";
import { STRATEGIES } from "../strategy.ts";
import type { LogEvent } from "./hooks.ts";
import { ALL_AT_ONCE, enrolAll, KEYS, securePlan, startFederation, statusOf, tasksOf, tinyPlan, UNLIMITED } from "./coordinator-testing.ts";
import { FederatedModel } from "./model.ts";
import { freePort, startProcess } from "./process-testing.ts";
import { type Dropping, plainlyAfter, playRound, StepClient } from "./secure-testing.ts";
import { NUMBER } from "./rows.ts";
import { openSqlite } from "./sqlite.ts";
import { stepVerdict } from "./secure-round.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-secure-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const CLIENTS = 5;
const rules = { ...ALL_AT_ONCE, ready: CLIENTS, rounds: 99 };
const MODEL = new FederatedModel(securePlan(), KEYS);
const LENGTH = MODEL.form.length;

/** A federation whose time a test turns, and its five clients. */
async function begin(name: string) {
  const path = join(folder, `${name}.db`);
  let time = Date.now();
  const given: LogEvent[] = [];
  const closed: LogEvent[] = [];
  const log = (event: LogEvent): void => {
    if (event.event === "round given up") given.push(event);
    if (event.event === "round closed") closed.push(event);
  };
  const running = await startFederation(path, { plan: securePlan(), rules, hooks: { now: () => time, log }, limits: UNLIMITED });
  const players = (await enrolAll(running.url, CLIENTS)).map((client) => new StepClient(client, LENGTH));
  const deadlineComes = async ({ deadline }: Task): Promise<void> => {
    time = Math.max(time, deadline + 1);
    // Whoever is told to go on looks what time it is.
    await running.coordinator.resume();
  };
  return { path, running, players, deadlineComes, given, closed };
}

const at = (step: keyof Dropping, ...clients: number[]): [string, Dropping] => [
  `${clients.length} of five do not send their ${step}`,
  { [step]: clients },
];
const SCENARIOS: Readonly<Record<string, readonly [string, Dropping][]>> = {
  "at most one of five drops out": [["nobody drops out", {}], ...SECURE_STEPS.map((step) => at(step, 3))],
  "two of five drop out": [
    ...SECURE_STEPS.map((step) => at(step, 1, 5)),
    ["one drops out before its shares, one before its update", { shares: [2], update: [4] }],
  ],
};

test.each(Object.keys(SCENARIOS))("the sum is the plain one of fixed-point numbers where %s, at whichever step", async (which) => {
  const { running, players, deadlineComes, closed } = await begin(which);
  for (const [i, [name, dropping]] of SCENARIOS[which]!.entries()) {
    const base = await running.coordinator.version(i);
    const sent = await playRound(players, dropping, deadlineComes);
    await expect.poll(async () => (await statusOf(running.url, KEYS)).version, { timeout: 20_000, message: name }).toBe(i + 1);
    const { body } = await running.coordinator.version(i + 1);
    const group = CLIENTS - (dropping.keys?.length ?? 0);
    expect(sent, name).toHaveLength(group - (dropping.shares?.length ?? 0) - (dropping.update?.length ?? 0));
    expect(fromBytes("float32", body), name).toEqual(plainlyAfter(MODEL, base, i + 1, sent, group));
    expect((await statusOf(running.url, KEYS)).rounds[0], name).toMatchObject({ answered: sent.length, status: "closed" });
    await expect.poll(() => closed.at(-1), { message: name }).toMatchObject({ round: i + 1, updates: sent.length });
  }
  await running.stop();
});

test("with too few left at any step the round is given up, and what was sent is gone", async () => {
  const { running, path, players, deadlineComes, given } = await begin("too-few");
  for (const [i, step] of SECURE_STEPS.entries()) {
    await playRound(players, { [step]: [1, 3, 4] }, deadlineComes, step);
    await expect.poll(() => given.at(-1), { timeout: 20_000 }).toMatchObject({ round: i + 1, why: `2 clients answered with their ${step}, too few` });
  }
  expect((await statusOf(running.url, KEYS)).version).toBe(0);
  // Whoever answered some steps has no update in a version.
  const { clients } = await running.coordinator.clients(0);
  expect(clients.map(({ lastAnswered, answered }) => [lastAnswered, answered])).toEqual(players.map(() => [null, 0]));
  await running.stop();
  const database = await openSqlite(path);
  const sql = "SELECT COUNT(body) AS bodies, COUNT(*) AS answers FROM secure_answers WHERE round <= ?";
  expect(await database.all({ bodies: NUMBER, answers: NUMBER }, sql, [SECURE_STEPS.length])).toEqual([
    { bodies: 0, answers: 2 + 5 + 2 + 5 + 5 + 2 + 5 + 5 + 5 + 2 },
  ]);
  expect(await database.all({ client: NUMBER }, "SELECT client FROM secure_shares WHERE round <= ?", [SECURE_STEPS.length])).toEqual([]);
  await database.close();
});

/** A coordinator of this process or, to be killed, of one of its own. */
async function coordinatorAt(path: string, kind: "here" | "process"): Promise<{ readonly url: string; end(): Promise<unknown> }> {
  const oneRound = { ...rules, rounds: 1 };
  if (kind === "here") {
    const { url, stop } = await startFederation(path, { plan: securePlan(), rules: oneRound });
    return { url, end: stop };
  }
  const port = await freePort();
  const child = await startProcess({ store: path, port, keys: KEYS, rules: oneRound, secure: true });
  const end = (): Promise<unknown> => {
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    return ended;
  };
  return { url: `http://127.0.0.1:${port}`, end };
}

test("a coordinator that ends in the middle of each step, once killed, goes on, and nothing acknowledged is lost", async () => {
  const path = join(folder, "ends.db");
  let coordinator = await coordinatorAt(path, "here");
  const clients = await enrolAll(coordinator.url, CLIENTS);
  const players = clients.map((client) => new StepClient(client, LENGTH));
  for (const step of SECURE_STEPS) {
    const tasks = await tasksOf(clients);
    expect(tasks.map((task) => task.step)).toEqual(clients.map(() => step));
    const messages = await Promise.all(players.map((player, i) => player.message(tasks[i]!)));
    const send = (i: number): Promise<void> => clients[i]!.send(1, step, messages[i]!);
    await send(0);
    await coordinator.end();
    // The one that takes the first update is killed.
    coordinator = await coordinatorAt(path, step === "shares" ? "process" : "here");
    for (const client of clients) client.url = coordinator.url;
    // Whoever did not hear that its message came sends it again.
    await Promise.all(clients.map((_, i) => send(i)));
  }
  expect(await clients[0]!.task(20)).toEqual({ finished: { version: 1 } });
  expect(await clients[0]!.parameters(1)).toEqual(plainlyAfter(MODEL, MODEL.first(0), 1, [1, 2, 3, 4, 5], CLIENTS));
  await coordinator.end();
}, 300_000);

test("a step waits, goes on, closes or is given up", () => {
  const secure = { threshold: 0.5, minimum: 3 };
  const after = (step: Task["step"] & string, asked: number, answered: number, now: number): string =>
    stepVerdict({ step, deadline: 100, counts: { asked, answered }, group: 5 }, secure, now);
  expect(after("keys", 2, 3, 99)).toBe("wait");
  expect(after("keys", 0, 3, 0)).toBe("go on");
  expect(after("keys", 2, 3, 100)).toBe("go on");
  expect(after("keys", 2, 2, 100)).toBe("give up");
  expect(after("update", 2, 3, 99)).toBe("wait");
  expect(after("update", 2, 3, 100)).toBe("go on");
  // It cannot become enough any more.
  expect(after("update", 1, 1, 0)).toBe("give up");
  expect(after("revelation", 0, 3, 0)).toBe("close");
  expect(after("revelation", 2, 2, 100)).toBe("give up");
});

test("what cannot be added up unseen is refused, and so is another threshold later", async () => {
  const start = (more: Parameters<typeof securePlan>[0], name: string) =>
    startFederation(join(folder, `${name}.db`), { plan: securePlan(more), rules });
  await expect(start({ strategy: STRATEGIES.median }, "median")).rejects.toThrow(/for the mean of updates alone/);
  await expect(start({ strategy: STRATEGIES.scaffold }, "scaffold")).rejects.toThrow(/for the mean of updates alone/);
  await expect(start({ compression: { kind: "quantize", bits: 8 } }, "bits")).rejects.toThrow(/cannot be compressed/);
  await expect(start({ privacy: { clip: 1, noise: 1, delta: 1e-5 } }, "private")).rejects.toThrow(/one at a time/);
  const secure = securePlan().secure!;
  await expect(start({ secure: { ...secure, threshold: 0.4 } }, "low")).rejects.toThrow(/must stay is 0.4/);
  await (await start({}, "agreed")).stop();
  await expect(start({ secure: { ...secure, threshold: 0.7 } }, "agreed")).rejects.toThrow(/began with another secure/);
  await expect(startFederation(join(folder, "agreed.db"), { plan: tinyPlan(), rules })).rejects.toThrow(/began with another secure/);
});
