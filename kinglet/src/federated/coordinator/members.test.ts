import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { bytesOf } from "../../base/index.ts";
import { CREDENTIAL_MS, encodeUpdate, openSigned } from "../protocol/index.ts";
import { STRATEGIES } from "../strategy.ts";
import {
  adminToken,
  ALL_AT_ONCE,
  enrolAll,
  enrolmentToken,
  inventedFrame,
  KEYS,
  reasonOf,
  startFederation,
  statusOf,
  tasksOf,
  TestClient,
  tinyPlan,
} from "./coordinator-testing.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-members-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const place = (name: string): string => join(folder, `${name}.db`);
const PATIENTLY = { timeout: 20_000 };

async function ask(url: string, path: string, method = "POST"): Promise<{ readonly status: number; readonly body: unknown }> {
  const response = await fetch(`${url}/v1/${path}`, { method, headers: { authorization: `Bearer ${adminToken(KEYS)}` } });
  return { status: response.status, body: await response.json() };
}

test("who is shut out has declined, even with an update in the open round; the version is the others'", async () => {
  const path = place("expelled");
  const running = await startFederation(path, { rules: { ...ALL_AT_ONCE, ready: 3, rounds: 1 } });
  const clients = await enrolAll(running.url, 3);
  const tasks = await tasksOf(clients);
  const { length } = running.coordinator.model.form;
  const frame = (i: number): Uint8Array => inventedFrame(tasks[i]!, i + 1, length);
  await clients[0]!.submit(1, frame(0));
  expect((await ask(running.url, "clients", "GET")).body).toMatchObject({
    clients: [{ client: 1, lastAnswered: 1, answered: 1, declined: 0, expelled: null }, { client: 2, lastAnswered: null, answered: 0 }, {}],
    more: false,
  });
  expect(await ask(running.url, "clients/1/expel")).toMatchObject({ status: 200, body: { expelled: { client: 1, answered: 0, declined: 1 } } });
  expect(await ask(running.url, "clients/9/expel")).toMatchObject({ status: 404 });
  expect(await reasonOf(clients[0]!.submit(1, frame(0)))).toBe("expelled");
  expect(await reasonOf(clients[0]!.task(0))).toBe("expelled");
  await clients[1]!.submit(1, frame(1));
  await clients[2]!.submit(1, frame(2));
  expect(await clients[1]!.task(20)).toEqual({ finished: { version: 1 } });
  expect((await statusOf(running.url, KEYS)).rounds[0]).toMatchObject({ status: "closed", answered: 2, declined: 1 });
  const { body } = await running.coordinator.version(1);
  await running.stop();

  // The same where the first one declines.
  const calm = await startFederation(place("calm"), { rules: { ...ALL_AT_ONCE, ready: 3, rounds: 1 } });
  const others = await enrolAll(calm.url, 3);
  await tasksOf(others);
  await others[0]!.decline(1);
  for (const i of [1, 2]) await others[i]!.submit(1, frame(i));
  expect(await others[1]!.task(20)).toEqual({ finished: { version: 1 } });
  expect((await calm.coordinator.version(1)).body).toEqual(body);
  await calm.stop();

  // It holds after a restart.
  const again = await startFederation(path, { rules: { ...ALL_AT_ONCE, ready: 3, rounds: 1 } });
  clients[0]!.url = again.url;
  expect(await reasonOf(clients[0]!.task(0))).toBe("expelled");
  await again.stop();
});

test("nobody waits for whom a round began without: an open task, a long poll and a socket end", async () => {
  const running = await startFederation(place("told"), { rules: { ...ALL_AT_ONCE, ready: 4, rounds: 1 } });
  const clients = await enrolAll(running.url, 3);
  const [polling, listening] = clients as [TestClient, TestClient];
  const poll = reasonOf(polling.task(60));
  const socket = new WebSocket(`${running.url.replace("http", "ws")}/v1/socket`);
  const heard: string[] = [];
  socket.on("message", (data) => void heard.push(String(data)));
  const closed = new Promise<number>((done) => socket.on("close", done));
  await new Promise((done) => socket.on("open", done));
  socket.send(JSON.stringify({ type: "hello", credential: listening.credential }));
  socket.send(JSON.stringify({ type: "ready" }));
  await expect.poll(async () => (await statusOf(running.url, KEYS)).clients.ready, PATIENTLY).toBe(2);
  for (const { client } of [polling, listening]) await ask(running.url, `clients/${client}/expel`);
  expect(await poll).toBe("expelled");
  expect(await closed).toBe(1008);
  expect(heard.at(-1)).toMatch(/"code":"expelled","message":"client 2 was expelled from this federation"/);
  expect((await statusOf(running.url, KEYS)).clients).toEqual({ enrolled: 3, ready: 0, connections: 0 });
  await running.stop();
});

test("no round is begun with who was shut out and still has a seat", async () => {
  const running = await startFederation(place("grace"), { rules: { ...ALL_AT_ONCE, ready: 2, rounds: 1 } });
  const [a, b, c] = (await enrolAll(running.url, 3)) as [TestClient, TestClient, TestClient];
  // Between two polls it counts as there.
  expect(await a.task(0)).toBeNull();
  await ask(running.url, `clients/${a.client}/expel`);
  expect(await b.task(1)).toBeNull();
  expect((await statusOf(running.url, KEYS)).clients).toMatchObject({ enrolled: 3, ready: 1 });
  const tasks = await tasksOf([b, c]);
  for (const [i, client] of [b, c].entries()) await client.submit(1, inventedFrame(tasks[i]!, i, running.coordinator.model.form.length));
  expect(await b.task(20)).toEqual({ finished: { version: 1 } });
  expect((await statusOf(running.url, KEYS)).rounds).toMatchObject([{ ready: 2, selected: 2, answered: 2, declined: 0 }]);
  await running.stop();
});

test("SCAFFOLD's common control variate is that of the clients who are left", async () => {
  const plan = tinyPlan({ strategy: STRATEGIES.scaffold });
  const versionOf = async (name: string, expelled: readonly number[]): Promise<Uint8Array> => {
    const running = await startFederation(place(name), { plan, rules: { ...ALL_AT_ONCE, ready: 2, rounds: 1 } });
    const clients = await enrolAll(running.url, 2 + expelled.length);
    for (const client of expelled) await ask(running.url, `clients/${client}/expel`);
    const [task] = await tasksOf(clients.slice(0, 2));
    const delta = bytesOf(new Float32Array(running.coordinator.model.form.length).fill(0.5));
    const frame = encodeUpdate({ ...task!, samples: 10, steps: 2, delta, control: delta }, plan.compression);
    for (const client of clients.slice(0, 2)) await client.submit(1, frame);
    expect(await clients[0]!.task(20)).toEqual({ finished: { version: 1 } });
    const { body } = await running.coordinator.version(1);
    await running.stop();
    return body;
  };
  expect(await versionOf("left", [3, 4])).toEqual(await versionOf("never-more", []));
});

test("who is shut out between its hello and its seat hears so", async () => {
  const running = await startFederation(place("hello"));
  const [client] = (await enrolAll(running.url, 1)) as [TestClient];
  const { coordinator } = running;
  const identify = coordinator.identify.bind(coordinator);
  vi.spyOn(coordinator, "identify").mockImplementationOnce(async (credential) => {
    const known = await identify(credential);
    await coordinator.expel(known);
    return known;
  });
  const socket = new WebSocket(`${running.url.replace("http", "ws")}/v1/socket`);
  const heard: string[] = [];
  socket.on("message", (data) => void heard.push(String(data)));
  const closed = new Promise<number>((done) => socket.on("close", done));
  await new Promise((done) => socket.on("open", done));
  socket.send(JSON.stringify({ type: "hello", credential: client.credential }));
  expect(await closed).toBe(1008);
  expect(heard.at(-1)).toMatch(/"code":"expelled"/);
  expect(coordinator.connections).toBe(0);
  await running.stop();
});

test("a revoked token enrols nobody, and who came with it stays", async () => {
  const running = await startFederation(place("revoked"));
  const token = enrolmentToken(KEYS);
  const { id } = openSigned("enrolment", token, KEYS.publicKey);
  const nonce = "cd".repeat(16);
  const client = await TestClient.enrol(running.url, token, nonce);
  expect(await ask(running.url, `tokens/${id}/revoke`)).toEqual({ status: 200, body: { token: id, enrolled: 1 } });
  expect(await ask(running.url, `tokens/${"ee".repeat(16)}/revoke`)).toMatchObject({ status: 200, body: { enrolled: 0 } });
  expect(await ask(running.url, "tokens/all/revoke")).toMatchObject({ status: 400 });
  expect(await reasonOf(TestClient.enrol(running.url, token))).toBe("revoked");
  // It did not hear that it was enrolled, and asks again.
  expect((await TestClient.enrol(running.url, token, nonce)).client).toBe(client.client);
  expect((await client.request("/v1/project")).status).toBe(200);
  for (const path of ["clients/1/expel", `tokens/${id}/revoke`]) expect((await client.request(`/v1/${path}`, { method: "POST" })).status).toBe(400);
  await running.stop();
});

test("clients are listed by their numbers, after any of them", async () => {
  const running = await startFederation(place("listed"));
  await enrolAll(running.url, 5);
  const numbers = async (path: string): Promise<number[]> =>
    ((await ask(running.url, path, "GET")).body as { clients: { client: number }[] }).clients.map(({ client }) => client);
  expect(await numbers("clients")).toEqual([1, 2, 3, 4, 5]);
  expect(await numbers("clients?after=3")).toEqual([4, 5]);
  expect((await ask(running.url, "clients?after=x", "GET")).status).toBe(400);
  await running.stop();
});

test("a credential is renewed while it is valid; both are the same client's", async () => {
  let time = Date.now();
  const running = await startFederation(place("renewed"), { hooks: { now: () => time } });
  const [client] = (await enrolAll(running.url, 1)) as [TestClient];
  time += CREDENTIAL_MS - 1000;
  const { credential } = (await (await client.request("/v1/renew", { method: "POST" })).json()) as { credential: string };
  expect(openSigned("credential", credential, KEYS.publicKey)).toMatchObject({ client: 1, expires: time + CREDENTIAL_MS });
  expect((await client.request("/v1/project")).status).toBe(200);
  time += 2000;
  const refused = await client.request("/v1/renew", { method: "POST" });
  expect(await refused.json()).toMatchObject({
    error: { code: "expired", message: expect.stringMatching(/^the credential expired on .*: enrol again with a token$/) },
  });
  const renewed = await fetch(`${running.url}/v1/project`, { headers: { authorization: `Bearer ${credential}` } });
  expect(renewed.status).toBe(200);
  await running.coordinator.expel(1);
  const shutOut = await fetch(`${running.url}/v1/renew`, { method: "POST", headers: { authorization: `Bearer ${credential}` } });
  expect(await shutOut.json()).toMatchObject({ error: { code: "expelled" } });
  await running.stop();
});
