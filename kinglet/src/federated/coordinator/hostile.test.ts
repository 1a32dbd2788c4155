import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Xorshift32 } from "../../base/index.ts";
import { newProjectKeys, projectOf, sign, type Task } from "../index.ts";
import {
  ALL_AT_ONCE,
  enrolAll,
  enrolmentToken,
  frameOf,
  inventedFrame,
  KEYS,
  largePlan,
  reasonOf,
  type Running,
  sleep,
  startFederation,
  statusOf,
  tasksOf,
  UNLIMITED,
} from "./coordinator-testing.ts";
import { type Attack, flipped, noise, refused, said } from "./hostile-testing.ts";
import { networkOf } from "./limits.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-hostile-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The round lasts longer than any attack on it. */
const RULES = { ...ALL_AT_ONCE, ready: 3, rounds: 1, seconds: 3600 };

/** Messages of every kind that a coordinator must refuse, from somebody who may hold a client's credential. */
function attacks({
  task,
  length,
  credential,
}: {
  readonly task: Task;
  readonly length: number;
  readonly credential: string;
}): ((random: Xorshift32) => Attack)[] {
  const good = inventedFrame(task, 2, length);
  const other = newProjectKeys();
  const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
  const update = (body: Uint8Array, token = credential, round = task.round): Attack => said(`${round}/update`, token, body);
  const numbers = (value: number): Uint8Array => frameOf(task, new Float32Array(length).fill(value), 1, 1);
  const enrol = (body: string): Attack => ({ path: "/v1/enrol", init: { method: "POST", body } });
  const claims = { project: projectOf(KEYS.publicKey), client: 2, nonce: "ab".repeat(16), expires: Date.now() + 1e6 };
  const text = (random: Xorshift32): string => new TextDecoder().decode(noise(random, random.int(0, 60)));
  return [
    // Malformed: a bit elsewhere, cut short, anything at all.
    (random) => update(flipped(good, random)),
    (random) => update(good.subarray(0, random.int(0, good.length - 1))),
    (random) => update(noise(random, random.int(0, good.length))),
    // Oversized.
    (random) => update(noise(random, good.length + random.int(1, 100_000))),
    // Not finite.
    (random) => update(numbers([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY][random.int(0, 2)]!)),
    // Of another round or version: replayed.
    (random) => update(inventedFrame({ ...task, round: task.round + random.int(1, 9) }, 2, length)),
    (random) => update(inventedFrame({ ...task, version: task.version + random.int(1, 9) }, 2, length)),
    (random) => update(good, credential, task.round + random.int(1, 1e6)),
    // By somebody else: expired, of another project, signed by another key, a token of another kind, none.
    () => update(good, sign("credential", { ...claims, expires: Date.now() - 1 }, KEYS.secretKey)),
    () => update(good, sign("credential", { ...claims, project: projectOf(other.publicKey) }, other.secretKey)),
    () => update(good, sign("credential", claims, other.secretKey)),
    (random) => update(good, sign("credential", { ...claims, client: random.int(1000, 1e6) }, KEYS.secretKey)),
    () => update(good, enrolmentToken(KEYS)),
    (random) => update(good, encodeURIComponent(text(random)) || "-"),
    // Enrolments.
    (random) => enrol(text(random)),
    (random) => enrol(JSON.stringify({ token: enrolmentToken(KEYS).slice(0, random.int(0, 100)), nonce: "ab".repeat(16) })),
    () => enrol(JSON.stringify({ token: enrolmentToken(KEYS), nonce: "ab".repeat(16), more: 1 })),
    () => enrol(JSON.stringify({ token: enrolmentToken(KEYS, { expires: 5 }), nonce: "ab".repeat(16) })),
    () => enrol(JSON.stringify({ token: enrolmentToken(other), nonce: "ab".repeat(16) })),
    () => enrol("[".repeat(16_000)),
    // Paths.
    (random) => said(`${encodeURIComponent(text(random))}x/update`, credential, good),
    (random) => ({ path: `/v1/parameters/${random.int(1, 1e6)}`, init: { headers: bearer(credential) } }),
    () => ({ path: "/v1/pause", init: { method: "POST", headers: bearer(credential) } }),
    (random) => ({ path: `/v1/clients/${random.int(1, 3)}/expel`, init: { method: "POST", headers: bearer(credential) } }),
    () => ({ path: `/v1/tokens/${"ab".repeat(16)}/revoke`, init: { method: "POST", headers: bearer(credential) } }),
    () => ({ path: "/v1/renew", init: { method: "POST", headers: bearer(sign("credential", claims, other.secretKey)) } }),
    // A token lets its holder look at the project, and at nothing else.
    () => ({ path: "/v1/parameters/0", init: { headers: { authorization: `Enrolment ${enrolmentToken(KEYS)}` } } }),
    () => ({ path: "/v1/network", init: { headers: { authorization: `Enrolment ${enrolmentToken(other)}` } } }),
  ];
}

test("thousands of hostile messages change nothing of a round", async () => {
  const running = await startFederation(join(folder, "hostile.db"), { rules: RULES, limits: UNLIMITED });
  const clients = await enrolAll(running.url, 3);
  const [task] = await tasksOf(clients);
  const { length } = running.coordinator.model.form;
  await clients[0]!.submit(1, inventedFrame(task!, 1, length));
  const before = await statusOf(running.url, KEYS);
  const kinds = attacks({ task: task!, length, credential: clients[1]!.credential });
  const random = new Xorshift32(7);
  const statuses = new Set<number>();
  for (let i = 0; i < 2000; i += kinds.length) {
    const attacked = kinds.map((kind) => kind(random));
    for (const status of await refused(running, attacked)) statuses.add(status);
  }
  expect([...statuses].sort((a, b) => a - b)).toEqual([400, 401, 403, 404, 413]);
  expect(await statusOf(running.url, KEYS)).toEqual(before);
  // The attacked client's own update still counts.
  for (const i of [1, 2]) await clients[i]!.submit(1, inventedFrame(task!, i + 1, length));
  expect(await clients[0]!.task(20)).toEqual({ finished: { version: 1 } });
  const attacked = (await running.coordinator.version(1)).body;
  await running.stop();

  const calm = await startFederation(join(folder, "calm.db"), { rules: RULES });
  const others = await enrolAll(calm.url, 3);
  const tasks = await tasksOf(others);
  for (const [i, client] of others.entries()) await client.submit(1, inventedFrame(tasks[i]!, i + 1, length));
  expect(await others[0]!.task(20)).toEqual({ finished: { version: 1 } });
  expect((await calm.coordinator.version(1)).body).toEqual(attacked);
  await calm.stop();
});

/** Unlike `once` it does not fail where the other end hung up with a reset. */
const closed = (socket: Socket): Promise<void> => new Promise((done) => socket.once("close", () => done()));

/** Sends a part of a request and then a byte now and then. Gives what was answered before the server hung up. */
async function drip({ url }: Running, head: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  let heard = "";
  socket.on("data", (data) => (heard += data.toString()));
  socket.on("error", () => {});
  socket.write(head);
  const timer = setInterval(() => socket.write("a"), 50);
  await closed(socket);
  clearInterval(timer);
  return heard;
}

test("who sends byte by byte is cut off, and holds nobody up", async () => {
  const running = await startFederation(join(folder, "slow.db"), { rules: RULES, limits: { requestSeconds: 1, helloSeconds: 0.5 } });
  const [slowOne, ...clients] = await enrolAll(running.url, 4);
  const { credential } = slowOne!;
  const post = `POST /v1/rounds/1/update HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${credential}\r\ncontent-length: 300\r\n\r\n`;
  const upgrade =
    "GET /v1/socket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n";
  const slow = Array.from({ length: 60 }, (_, i) => drip(running, ["POST /v1/enrol HT", post, upgrade][i % 3]!));
  const { length } = running.coordinator.model.form;
  const tasks = await tasksOf(clients);
  for (const [i, client] of clients.entries()) await client.submit(1, inventedFrame(tasks[i]!, i, length));
  expect(await clients[0]!.task(20)).toEqual({ finished: { version: 1 } });
  const heard = await Promise.all(slow);
  expect(heard.filter((text) => text.startsWith("HTTP/1.1 2"))).toEqual([]);
  expect(heard.filter((text) => text.includes("408")).length).toBeGreaterThan(0);
  await running.stop();
});

test("who sends too much waits, and others do not", async () => {
  const running = await startFederation(join(folder, "many.db"), { rules: RULES, limits: { client: { perSecond: 0.001, burst: 5 } } });
  const [loud, calm] = await enrolAll(running.url, 2);
  const answers = await Promise.all(Array.from({ length: 20 }, () => loud!.request("/v1/project")));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(5);
  expect(answers.filter(({ status }) => status === 429)).toHaveLength(15);
  expect((await calm!.request("/v1/project")).status).toBe(200);
  await running.stop();
  const narrow = await startFederation(join(folder, "narrow.db"), { rules: RULES, limits: { address: { perSecond: 0.001, burst: 3 } } });
  const health = await Promise.all(Array.from({ length: 10 }, () => fetch(`${narrow.url}/healthz`)));
  expect(health.filter(({ status }) => status === 429)).toHaveLength(7);
  // Counted, and not written down each time.
  expect(narrow.events).toEqual([]);
  await narrow.stop();
});

test("one client does not take everybody's connections", async () => {
  const running = await startFederation(join(folder, "seats.db"), { rules: RULES });
  const [greedy, ...others] = await enrolAll(running.url, 3);
  const statuses: number[] = [];
  const polls = Array.from({ length: 12 }, async () => statuses.push((await greedy!.request("/v1/task?wait=60")).status));
  await expect.poll(() => statuses, { timeout: 20_000 }).toEqual([429, 429, 429, 429]);
  expect(running.coordinator.connections).toBe(8);
  // The others make the round whole: all hear of it, and make place.
  await tasksOf(others);
  await Promise.all(polls);
  await tasksOf([greedy!]);
  await running.stop();
});

test("one client does not fill the memory with updates that never end", async () => {
  const running = await startFederation(join(folder, "bodies.db"), { rules: { ...RULES, ready: 1 } });
  const [client] = await enrolAll(running.url, 1);
  const [task] = await tasksOf([client!]);
  const frame = inventedFrame(task!, 1, running.coordinator.model.form.length);
  const headers = { authorization: `Bearer ${client!.credential}`, "content-length": frame.length };
  const begun = Array.from({ length: 5 }, () => {
    const sending = request(`${running.url}/v1/rounds/1/update`, { method: "POST", headers }).on("error", () => {});
    sending.write(frame.subarray(0, 1));
    return { sending, status: once(sending, "response").then(([{ statusCode }]) => statusCode as number) };
  });
  const refused: number[] = [];
  for (const { status } of begun) void status.then((code) => refused.push(code)).catch(() => {});
  await expect.poll(() => refused, { timeout: 20_000 }).toEqual([429, 429, 429]);
  // Those that were given up make place.
  for (const { sending } of begun) sending.destroy();
  await expect.poll(() => reasonOf(client!.submit(1, frame)), { timeout: 20_000 }).toBeNull();
  await running.stop();
});

test("who asks for models and does not read them is cut off", async () => {
  const running = await startFederation(join(folder, "quiet.db"), { rules: RULES, plan: largePlan(), limits: { quietSeconds: 0.5 } });
  const [client] = await enrolAll(running.url, 1);
  const socket = connect(Number(new URL(running.url).port), "127.0.0.1").on("error", () => {});
  const asked = 40;
  socket.pause();
  socket.write(`GET /v1/network HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${client!.credential}\r\n\r\n`.repeat(asked));
  await sleep(3000);
  let bytes = 0;
  socket.on("data", (data) => (bytes += data.length));
  socket.resume();
  await closed(socket);
  expect(bytes).toBeLessThan(asked * running.coordinator.model.network.length);
  await running.stop();
});

test("metrics, which are open, are read from the store once a second", async () => {
  const running = await startFederation(join(folder, "metrics.db"), { rules: RULES });
  const status = vi.spyOn(running.coordinator, "status");
  const answers = await Promise.all(Array.from({ length: 30 }, () => fetch(`${running.url}/metrics`)));
  expect(answers.every(({ ok }) => ok)).toBe(true);
  // A slow machine may need more than one second.
  expect(status.mock.calls.length).toBeLessThan(15);
  await running.stop();
});

test("addresses of one network are one", () => {
  for (const [address, network] of [
    ["10.0.0.7", "10.0.0.7"],
    ["::ffff:10.0.0.7", "10.0.0.7"],
    ["2001:db8:0:7:1:2:3:4", "2001:db8:0:7::/64"],
    ["2001:0db8::7:ffff:2:3:4", "2001:db8:0:7::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["a proxy's word", "a proxy's word"],
  ] as const)
    expect(networkOf(address)).toBe(network);
});
