import { mkdtemp, rm } from "node:fs/promises";
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ConnectionPlaces } from "./connection-places.ts";
import { enrolAll, enrolmentToken, KEYS, type Running, sleep, startFederation, TestClient } from "./coordinator-testing.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-places-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const PATIENTLY = { timeout: 20_000 };

test("a network has so many connections, fewer of strangers, and gets them back", () => {
  const places = new ConnectionPlaces({ networkConnections: 3, strangerConnections: 2 });
  const [a, b] = [places.take("x")!, places.take("x")!];
  expect([places.take("x"), places.take("y") === null]).toEqual([null, false]);
  a.setKnown();
  a.setKnown();
  const c = places.take("x")!;
  expect(places.take("x")).toBeNull();
  // A known one more would be the fourth.
  b.setKnown();
  c.setKnown();
  expect(places.take("x")).toBeNull();
  a.leave();
  expect(places.take("x")).not.toBeNull();
});

/** A connection that says nothing, and whether it was ended. */
function silent({ url }: Running): { readonly socket: Socket; readonly gone: () => boolean } {
  const socket = connect(Number(new URL(url).port), "127.0.0.1").on("error", () => {});
  let gone = false;
  socket.on("close", () => (gone = true));
  return { socket, gone: () => gone };
}

const goneOf = (connections: readonly { readonly gone: () => boolean }[]): number => connections.filter(({ gone }) => gone()).length;

/** What a GET answers, on a connection of the agent's. */
function textOf(url: string, agent: Agent, credential: string): Promise<string> {
  return new Promise((done, fail) => {
    request(url, { agent, headers: { authorization: `Bearer ${credential}` } }, (response) => {
      let text = "";
      response.on("data", (part: Buffer) => (text += part.toString()));
      response.on("end", () => done(text));
    })
      .on("error", fail)
      .end();
  });
}

test("strangers of one network do not take everybody's connections", async () => {
  const running = await startFederation(join(folder, "strangers.db"), { limits: { strangerConnections: 5, networkConnections: 9 } });
  const [client] = await enrolAll(running.url, 1);
  const known = new Agent({ keepAlive: true, maxSockets: 1 });
  const get = (path: string): Promise<string> => textOf(`${running.url}${path}`, known, client!.credential);
  expect(await get("/v1/project")).toMatch(/description/);
  const strangers = Array.from({ length: 8 }, () => silent(running));
  await expect.poll(() => goneOf(strangers), PATIENTLY).toBe(3);
  // Whoever is known goes on, on the connection that it has.
  expect(await get("/v1/project")).toMatch(/description/);
  expect(await get("/metrics")).toMatch(/^kinglet_connections_refused_total 3$/m);
  for (const { socket } of strangers) socket.destroy();
  await expect.poll(() => goneOf(strangers), PATIENTLY).toBe(8);
  await expect
    .poll(async () => {
      const { socket, gone } = silent(running);
      await sleep(100);
      const refused = gone();
      socket.destroy();
      return refused;
    }, PATIENTLY)
    .toBe(false);
  known.destroy();
  await running.stop();
});

/** A request that never comes to its end, behind a proxy that says where it is from. Gives its status, or null while it waits. */
function endless({ url }: Running, address: string): { readonly status: () => number | null; readonly end: () => void } {
  let status: number | null = null;
  const headers = { "x-forwarded-for": `somebody, ${address}`, "content-length": 100 };
  const sending = request(`${url}/v1/enrol`, { method: "POST", headers }, (response) => (status = response.statusCode ?? null));
  sending.on("error", () => {}).write("{");
  return { status: () => status, end: () => sending.destroy() };
}

test("behind a proxy requests count for whom the proxy names, and sockets, too", async () => {
  const running = await startFederation(join(folder, "proxy.db"), { behindProxy: true, limits: { strangerConnections: 4 } });
  const requests = Array.from({ length: 6 }, () => endless(running, "10.0.0.7"));
  const refused = (): number => requests.filter(({ status }) => status() === 429).length;
  await expect.poll(refused, PATIENTLY).toBe(2);
  const upgrade = { "x-forwarded-for": "10.0.0.7", connection: "upgrade", upgrade: "websocket" };
  const status = await new Promise<number>((done) =>
    request(`${running.url}/v1/socket`, { headers: upgrade }, (response) => done(response.statusCode!))
      .on("error", () => {})
      .end(),
  );
  expect(status).toBe(429);
  const other = endless(running, "10.0.0.8");
  expect((await TestClient.enrol(running.url, enrolmentToken(KEYS))).client).toBe(1);
  expect(other.status()).toBeNull();
  for (const { end } of [...requests, other]) end();
  const next = endless(running, "10.0.0.7");
  await sleep(300);
  expect(next.status()).toBeNull();
  next.end();
  await running.stop();
});
