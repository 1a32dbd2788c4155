import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { Xorshift32 } from "../../base/index.ts";
import { datasetFromArrays } from "../../data/index.ts";
import { readKinglet } from "../../formats/index.ts";
import { LocalTrainer, newProjectKeys, partition, type ServerMessage, simulate, STRATEGIES, type Task } from "../index.ts";
import type { LogEvent } from "./hooks.ts";
import { openSqlite } from "./sqlite.ts";
import {
  adminToken,
  ALL_AT_ONCE,
  CLASSES,
  enrolAll,
  enrolmentToken,
  frameOf,
  INPUTS,
  inventedFrame,
  KEYS,
  type Place,
  reasonOf,
  startFederation,
  statusOf,
  tasksOf,
  TestClient,
  tinyPlan,
} from "./coordinator-testing.ts";
import { hasServers, needServers, newPostgres, newRedis, type TestServer } from "./servers-testing.ts";

/** Machines may be busy. */
const PATIENTLY = { timeout: 60_000 };

let folder = "";
let [postgres, redis]: (TestServer | undefined)[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-coordinator-"));
  if (hasServers()) [postgres, redis] = await Promise.all([newPostgres(), newRedis()]);
});
afterAll(async () => {
  await Promise.all([postgres?.end(), redis?.end()]);
  await rm(folder, { recursive: true, force: true });
});

let stores = 0;
const inFiles: Place = {
  newStore: () => join(folder, `${stores++}.db`),
  start: (options = {}, store = inFiles.newStore()) => startFederation(store, options),
};
const inServers: Place = {
  newStore: () => `${postgres!.url}?schema=t${stores++}`,
  start: (options = {}, store = inServers.newStore()) => startFederation(store, { queue: redis!.url, ...options }),
};

/** The same for one process with a file and for one of several. */
function testBoth(name: string, work: (place: Place) => Promise<void>): void {
  test(name, () => work(inFiles));
  test(`${name}, over PostgreSQL and Redis`, async (context) => {
    needServers(context);
    await work(inServers);
  });
}

for (const name of ["fedavg", "fedadam", "median"] as const)
  testBoth(`${name} over HTTP gives the simulation's model, bit for bit`, async ({ start }) => {
    const random = new Xorshift32(5);
    const labels = Array.from({ length: 60 }, (_, i) => i % CLASSES);
    const data = Float32Array.from({ length: 60 * INPUTS }, () => random.float());
    const dataset = datasetFromArrays({ data, shape: [INPUTS], labels, classes: ["a", "b", "c"] });
    const positions = Int32Array.from({ length: 60 }, (_, i) => i);
    const parts = partition({ positions, labels: dataset.index.labels, groups: dataset.index.groups }, { kind: "iid", clients: 3 });
    const plan = tinyPlan({ strategy: STRATEGIES[name] });
    const options = { strategy: plan.strategy, local: plan.local, rounds: 3, share: 1, test: positions };
    const expected = await simulate(plan.network, dataset, parts, options);

    const running = await start({ plan, rules: { ...ALL_AT_ONCE, ready: 3 } });
    const clients = await enrolAll(running.url, 3);
    const network = readKinglet(new Uint8Array(await (await clients[0]!.request("/v1/network")).arrayBuffer()), "network");
    await Promise.all(
      clients.map(async (client, i) => {
        const trainer = new LocalTrainer(network, plan.local);
        for (let answer = await client.task(20); answer !== null && "task" in answer; answer = await client.task(20)) {
          const { round, version, seed } = answer.task;
          // A simulation counts its clients from 0.
          const begin = { parameters: await client.parameters(version), seed: seed - 1, round };
          const { delta, samples, steps } = await trainer.train(dataset, parts[i]!, client.client, begin);
          await client.submit(round, frameOf(answer.task, delta, samples, steps));
        }
      }),
    );
    expect(await clients[0]!.task(0)).toEqual({ finished: { version: 3 } });
    expect(await clients[0]!.parameters(3)).toEqual(expected.parameters);
    const exported = await fetch(`${running.url}/v1/export`, { headers: { authorization: `Bearer ${adminToken(KEYS)}` } });
    expect(new Uint8Array(await exported.arrayBuffer())).toEqual(await running.coordinator.export());
    expect(await statusOf(running.url, KEYS)).toMatchObject({
      state: "finished",
      version: 3,
      rounds: [{ round: 3, answered: 3, status: "closed" }, {}, {}],
    });
    await running.stop();
  });

testBoth("a coordinator that comes back in the middle of a round goes on with it", async ({ start, newStore }) => {
  const rules = { ...ALL_AT_ONCE, ready: 3, rounds: 1 };
  const store = newStore();
  const first = await start({ rules }, store);
  const clients = await enrolAll(first.url, 3);
  const tasks = await tasksOf(clients);
  const { length } = first.coordinator.model.form;
  const frames = clients.map(({ client }, i) => inventedFrame(tasks[i]!, client, length));
  await Promise.all([0, 1].map((i) => clients[i]!.submit(1, frames[i]!)));
  await first.stop();

  const second = await start({ rules }, store);
  for (const client of clients) client.url = second.url;
  expect((await clients[2]!.task(0)) as object).toMatchObject({ task: { round: 1, version: 0 } });
  // Whoever did not hear the answer sends again, and is counted once.
  await clients[0]!.submit(1, frames[0]!);
  await clients[2]!.submit(1, frames[2]!);
  expect(await clients[0]!.task(20)).toEqual({ finished: { version: 1 } });
  await clients[2]!.submit(1, frames[2]!);

  const whole = await start({ rules });
  const others = await enrolAll(whole.url, 3);
  await tasksOf(others);
  await Promise.all(others.map((client, i) => client.submit(1, frames[i]!)));
  expect(await others[0]!.task(20)).toEqual({ finished: { version: 1 } });
  expect(await clients[1]!.parameters(1)).toEqual(await others[1]!.parameters(1));
  await second.stop();
  await whole.stop();

  await expect(start({ plan: tinyPlan({ seed: 9, strategy: STRATEGIES.fedadam }) }, store)).rejects.toThrow(/began with another strategy, seed/);
  await expect(start({ keys: newProjectKeys() }, store)).rejects.toThrow(/began with another project/);
  // More rounds are no other federation.
  const longer = await start({ rules: { ...rules, rounds: 2 } }, store);
  expect((await statusOf(longer.url, KEYS)).state).toBe("learning");
  await longer.stop();
});

testBoth("rounds end with enough updates, at their deadline, or without a version", async ({ start }) => {
  let time = Date.now();
  const events: LogEvent[] = [];
  const hooks = { now: () => time, log: (event: LogEvent) => void events.push(event) };
  const running = await start({ rules: { ...ALL_AT_ONCE, ready: 4, share: 0.5, spare: 1.5, minimum: 2, rounds: 9 }, hooks });
  const clients = await enrolAll(running.url, 4);
  const { length } = running.coordinator.model.form;
  /** Three of the four are asked, once all are there. */
  const begin = async (): Promise<{ asked: TestClient[]; task: Task }> => {
    for (;;) {
      const answers = await Promise.all(clients.map(async (client) => ({ client, answer: await client.task(0.2) })));
      const asked = answers.filter(({ answer }) => answer !== null);
      const [first] = asked;
      if (asked.length === 3 && first!.answer !== null && "task" in first!.answer)
        return { asked: asked.map(({ client }) => client), task: first!.answer.task };
    }
  };
  const submit = ({ client }: TestClient, task: Task): Uint8Array => inventedFrame(task, client, length);

  // Two of four are wanted, three asked; the third is late.
  const one = await begin();
  const [a, b, c] = one.asked as [TestClient, TestClient, TestClient];
  const idle = clients.find((client) => !one.asked.includes(client))!;
  expect(await reasonOf(idle.submit(1, submit(idle, one.task)))).toBe("not-selected");
  await a.submit(1, submit(a, one.task));
  expect(await reasonOf(a.submit(1, inventedFrame(one.task, 99, length)))).toBe("already-answered");
  await b.submit(1, submit(b, one.task));
  await expect.poll(async () => (await statusOf(running.url, KEYS)).version, PATIENTLY).toBe(1);
  expect(await reasonOf(c.submit(1, submit(c, one.task)))).toBe("late");
  expect(await reasonOf(c.decline(1))).toBe("late");

  // One answers, two decline: too few, at once.
  const two = await begin();
  await two.asked[0]!.submit(two.task.round, submit(two.asked[0]!, two.task));
  await two.asked[1]!.decline(two.task.round);
  await two.asked[1]!.decline(two.task.round);
  expect(await reasonOf(two.asked[1]!.submit(two.task.round, submit(two.asked[1]!, two.task)))).toBe("already-answered");
  expect(await reasonOf(two.asked[0]!.decline(two.task.round))).toBe("already-answered");
  await two.asked[2]!.decline(two.task.round);
  await expect.poll(async () => (await statusOf(running.url, KEYS)).rounds.find(({ round }) => round === 2)?.status, PATIENTLY).toBe("given up");

  // One answers, nobody else: too few at the deadline.
  const three = await begin();
  await three.asked[0]!.submit(three.task.round, submit(three.asked[0]!, three.task));
  const statusOfThree = async (): Promise<string | undefined> =>
    (await statusOf(running.url, KEYS)).rounds.find(({ round }) => round === three.task.round)?.status;
  time += 61_000;
  // Somebody comes, and so the coordinator looks at its clock.
  await Promise.all(clients.map((client) => client.task(0)));
  await expect.poll(statusOfThree, PATIENTLY).toBe("given up");
  expect((await statusOf(running.url, KEYS)).version).toBe(1);
  expect(events.filter(({ event }) => event === "round given up").map(({ why }) => why)).toEqual([
    "1 of at least 2 updates came",
    "1 of at least 2 updates came",
  ]);
  await running.stop();
});

testBoth("a clock that is set back makes no round longer", async ({ start }) => {
  let time = Date.now();
  const running = await start({ rules: { ...ALL_AT_ONCE, ready: 2, rounds: 1 }, hooks: { now: () => time } });
  const clients = await enrolAll(running.url, 2);
  const [task] = await tasksOf(clients);
  await clients[0]!.submit(1, inventedFrame(task!, 1, running.coordinator.model.form.length));
  time -= 1_800_000;
  await running.coordinator.resume();
  await expect.poll(async () => (await statusOf(running.url, KEYS)).rounds[0]!.deadline, PATIENTLY).toBe(time + 60_000);
  time += 60_000;
  await running.coordinator.resume();
  await expect.poll(async () => (await statusOf(running.url, KEYS)).rounds[0]!.status, PATIENTLY).toBe("closed");
  await running.stop();
});

testBoth("paused, no round begins; the privacy budget ends the federation", async ({ start }) => {
  const privacy = { clip: 1, noise: 1, delta: 1e-3, budget: 12 };
  const running = await start({ plan: tinyPlan({ privacy }), rules: { ...ALL_AT_ONCE, ready: 2, rounds: 50 } });
  const clients = await enrolAll(running.url, 2);
  const { length } = running.coordinator.model.form;
  await running.coordinator.pause();
  expect(await Promise.all(clients.map((client) => client.task(0.3)))).toEqual([null, null]);
  // Processes tell each other who is ready every second.
  const paused = { state: "paused", epsilon: 0, clients: { enrolled: 2, ready: 2 } };
  await expect.poll(async () => await statusOf(running.url, KEYS), PATIENTLY).toMatchObject(paused);
  await running.coordinator.resume();
  for (;;) {
    const answers = await Promise.all(clients.map((client) => client.task(20)));
    const tasks = answers.flatMap((answer) => (answer !== null && "task" in answer ? [answer.task] : []));
    if (tasks.length === 0) break;
    await Promise.all(tasks.map((task, i) => clients[i]!.submit(task.round, inventedFrame(task, i, length))));
  }
  const { state, version, epsilon } = await statusOf(running.url, KEYS);
  expect(state).toBe("finished");
  expect(version).toBeGreaterThan(1);
  expect(epsilon).toBeLessThanOrEqual(12);
  expect(running.events.at(-1)).toMatchObject({ event: "finished", why: "the privacy budget is spent" });
  await running.stop();
  await expect(start({ plan: tinyPlan({ privacy, strategy: STRATEGIES.median }) })).rejects.toThrow(/for the mean of updates alone/);
});

testBoth("a credential of one store is none in another of the same project", async ({ start }) => {
  const before = await start();
  const [old] = await enrolAll(before.url, 1);
  expect((await old!.request("/v1/project")).status).toBe(200);
  await before.stop();
  const running = await start();
  const [own] = await enrolAll(running.url, 1);
  expect(own!.client).toBe(old!.client);
  old!.url = running.url;
  expect(await reasonOf(old!.task(0))).toBe("unauthorized");
  expect((await own!.request("/v1/project")).status).toBe(200);
  await running.stop();
});

/** A socket, and what it has heard. */
async function socket(url: string, ...said: readonly object[]): Promise<{ heard: ServerMessage[]; socket: WebSocket; closed: Promise<number> }> {
  const opened = new WebSocket(`${url.replace("http", "ws")}/v1/socket`);
  const heard: ServerMessage[] = [];
  opened.onmessage = ({ data }) => void heard.push(JSON.parse(data as string) as ServerMessage);
  const closed = new Promise<number>((done) => (opened.onclose = ({ code }) => done(code)));
  await new Promise<void>((done, fail) => {
    opened.onopen = () => done();
    opened.onerror = () => fail(new Error("the socket did not open"));
  });
  for (const message of said) opened.send(JSON.stringify(message));
  return { heard, socket: opened, closed };
}

testBoth("tasks are pushed to sockets, also to one that comes back, and who is not needed any more is told", async ({ start }) => {
  const running = await start({ rules: { ...ALL_AT_ONCE, ready: 2, share: 0.5, spare: 2, rounds: 1 } });
  const clients = await enrolAll(running.url, 2);
  const hello = ({ credential }: TestClient): object => ({ type: "hello", credential });
  const [a, b] = [await socket(running.url, hello(clients[0]!), { type: "ready" }), await socket(running.url, hello(clients[1]!), { type: "ready" })];
  await expect.poll(() => a.heard.map(({ type }) => type), PATIENTLY).toEqual(["welcome", "task"]);
  b.socket.close();
  await b.closed;
  const again = await socket(running.url, hello(clients[1]!), { type: "ready" });
  await expect.poll(() => again.heard.map(({ type }) => type), PATIENTLY).toEqual(["welcome", "task"]);
  const task = a.heard.flatMap((message) => (message.type === "task" ? [message.task] : []))[0]!;
  await clients[0]!.submit(1, inventedFrame(task, 1, running.coordinator.model.form.length));
  await expect
    .poll(() => again.heard.slice(2))
    .toEqual([
      { type: "closed", round: 1 },
      { type: "finished", version: 1 },
    ]);
  await running.stop();
  expect(await a.closed).toBe(1012);
});

testBoth("sockets that say anything else are closed", async ({ start }) => {
  const running = await start();
  const [client] = await enrolAll(running.url, 1);
  const hello = { type: "hello", credential: client!.credential };
  const wrong: [object[], string][] = [
    [[{ type: "ready" }], "unauthorized"],
    [[{ type: "hello", credential: "no" }], "malformed"],
    [[{ type: "hello", credential: enrolmentToken(newProjectKeys()) }], "malformed"],
    [[hello, hello], "malformed"],
    [[hello, { type: "shutdown" }], "malformed"],
    [[hello, ...Array.from({ length: 60 }, () => ({ type: "unready" }))], "rate-limited"],
  ];
  for (const [said, reason] of wrong) {
    const { heard, closed } = await socket(running.url, ...said);
    expect(await closed).toBe(1008);
    expect(heard.at(-1)).toMatchObject({ type: "refused", error: { code: reason } });
  }
  const large = await socket(running.url, { type: "hello", credential: "a".repeat(20_000) });
  expect(await large.closed).toBe(1009);
  await expect.poll(() => running.coordinator.connections, PATIENTLY).toBe(0);
  await running.stop();
});

testBoth("health and metrics are open; the rest asks for a token of the right kind", async ({ start }) => {
  const running = await start();
  const token = enrolmentToken(KEYS, { uses: 1 });
  const nonce = "ab".repeat(16);
  const client = await TestClient.enrol(running.url, token, nonce);
  expect((await TestClient.enrol(running.url, token, nonce)).client).toBe(client.client);
  // Somebody else's nonce is nobody's who has another token.
  expect((await TestClient.enrol(running.url, enrolmentToken(KEYS), nonce)).client).toBe(2);
  expect(await reasonOf(TestClient.enrol(running.url, token))).toBe("used-up");
  expect(await reasonOf(TestClient.enrol(running.url, enrolmentToken(KEYS, { expires: Date.now() - 1 })))).toBe("expired");
  expect(await reasonOf(TestClient.enrol(running.url, enrolmentToken(newProjectKeys())))).toBe("wrong-project");
  expect(await (await fetch(`${running.url}/healthz`)).json()).toMatchObject({ healthy: true });
  const metrics = await (await fetch(`${running.url}/metrics`)).text();
  expect(metrics).toMatch(/^kinglet_clients_enrolled 2$/m);
  expect(metrics).toMatch(/^kinglet_messages_total\{kind="enrol",result="used-up"\} 1$/m);
  for (const path of ["/v1/status", "/v1/export"]) expect((await client.request(path)).status).toBe(400);
  expect((await fetch(`${running.url}/v1/pause`, { method: "POST" })).status).toBe(401);
  expect((await fetch(`${running.url}/v1/task`, { headers: { authorization: `Bearer ${adminToken(KEYS)}` } })).status).toBe(400);
  expect(await (await fetch(`${running.url}/nothing`)).json()).toMatchObject({ error: { code: "not-found" } });
  // A page of another origin may ask.
  const preflight = await fetch(`${running.url}/v1/task`, {
    method: "OPTIONS",
    headers: { origin: "http://elsewhere", "access-control-request-method": "GET" },
  });
  expect(preflight.headers.get("access-control-allow-origin")).toBe("*");
  await running.stop();
});

test("a store that something else has changed ends no round: what was acknowledged is there for another try", async () => {
  const store = inFiles.newStore();
  const running = await inFiles.start({ rules: { ...ALL_AT_ONCE, ready: 2, rounds: 1 } }, store);
  const clients = await enrolAll(running.url, 2);
  const tasks = await tasksOf(clients);
  const { length } = running.coordinator.model.form;
  const frames = clients.map(({ client }, i) => inventedFrame(tasks[i]!, client, length));
  await clients[0]!.submit(1, frames[0]!);
  await running.stop();
  const database = await openSqlite(store);
  await database.run("INSERT INTO memory (name, data) VALUES ('clip', 'text')");
  await database.close();
  const again = await inFiles.start({ rules: { ...ALL_AT_ONCE, ready: 2, rounds: 1 } }, store);
  for (const client of clients) client.url = again.url;
  await clients[1]!.submit(1, frames[1]!);
  await vi.waitFor(() => expect(again.events).toContainEqual(expect.objectContaining({ event: "round failed" })), PATIENTLY);
  expect((await statusOf(again.url, KEYS)).rounds).toMatchObject([{ round: 1, status: "open", answered: 2 }]);
  await again.stop();
  const mended = await openSqlite(store);
  await mended.run("DELETE FROM memory WHERE name = 'clip'");
  await mended.close();
  const last = await inFiles.start({ rules: { ...ALL_AT_ONCE, ready: 2, rounds: 1 } }, store);
  clients[0]!.url = last.url;
  expect(await clients[0]!.task(20)).toEqual({ finished: { version: 1 } });
  await last.stop();
});
