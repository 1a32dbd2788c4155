import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { afterAll, expect, test } from "vitest";
import { KingletError } from "../../base/index.ts";
import { datasetFromArrays, type SamplesInMemory } from "../../data/index.ts";
import { ALL_AT_ONCE, enrolmentToken, INPUTS, KEYS, startFederation, tinyPlan } from "../coordinator/coordinator-testing.ts";
import { Coordinator, openSqlite, serveFederation } from "../coordinator/index.ts";
import { LocalTrainer } from "../local.ts";
import { newProjectKeys, openSigned, projectOf, sign } from "../protocol/index.ts";
import { STRATEGIES } from "../strategy.ts";
import { type ClientEvent, type ClientOptions, type Platform, takePart } from "./client.ts";
import type { Learner } from "./learner.ts";
import { openSocket } from "./node.ts";
import type { Socket } from "./transport.ts";
import { join } from "./node.ts";
import { startThread } from "./node-thread.ts";
import { storeInMemory } from "./store-testing.ts";
import { WorkerLearner } from "./worker-learner.ts";

const folder = mkdtempSync(joinPath(tmpdir(), "kinglet-clients-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const place = (name: string): string => joinPath(folder, `${name}.db`);

const DATA: SamplesInMemory = {
  data: Float32Array.from({ length: 10 * INPUTS }, (_, i) => Math.abs(Math.sin(i))),
  shape: [INPUTS],
  labels: [0, 1, 2, 0, 1, 2, 0, 1, 2, 0],
  classes: ["a", "b", "c"],
};
const LENGTH = new LocalTrainer(tinyPlan().network, tinyPlan().local).length;

const PLATFORM: Platform = {
  openSocket,
  readings: { charging: async () => undefined, unmetered: async () => undefined, idle: async () => undefined },
};

/** Learns nothing much, at once. */
function quick(train: Learner["train"] = async () => ({ delta: new Float32Array(LENGTH).fill(0.01), samples: 4, steps: 1 })): Learner {
  return { length: LENGTH, samples: 4, memoryBytes: 0, train, close: async () => {} };
}

/** A client in this process, and what it tells. */
function run(url: string, learner: Learner, more: ClientOptions = {}, platform = PLATFORM) {
  const events: ClientEvent[] = [];
  const options = { token: enrolmentToken(KEYS), onEvent: (event: ClientEvent) => void events.push(event), ...more };
  return { events, end: takePart(url, async () => learner, options, platform) };
}

const DAY_MS = 24 * 3600 * 1000;
/** What of a kept identity is looked at here. */
interface Kept {
  readonly key: string;
  readonly credential: string;
}

const alone = { rules: { ...ALL_AT_ONCE, ready: 1 } };

test.each(["auto", "poll"] as const)("a client takes part until the federation has finished: %s", async (transport) => {
  const federation = await startFederation(place(transport), alone);
  const { events, end } = run(federation.url, quick(), { transport });
  expect(await end).toEqual({ client: 1, rounds: 3, version: 3 });
  expect(events.filter(({ event }) => event === "sent")).toHaveLength(3);
  expect(events.some(({ event }) => event === "disconnected")).toBe(false);
  await federation.stop();
});

test("where no socket opens it asks again and again", async () => {
  const federation = await startFederation(place("no-socket"), alone);
  const openSocket = async (): Promise<Socket> => Promise.reject(new Error("blocked"));
  expect(await run(federation.url, quick(), {}, { ...PLATFORM, openSocket }).end).toMatchObject({ rounds: 3 });
  await federation.stop();
});

test("clients correct each other by their control variates (SCAFFOLD)", async () => {
  const rules = { ...ALL_AT_ONCE, rounds: 2, ready: 2, minimum: 2 };
  const federation = await startFederation(place("scaffold"), { rules, plan: tinyPlan({ strategy: STRATEGIES.scaffold }) });
  const heard: number[][] = [[], []];
  const learner = (which: number, step: number): Learner =>
    quick(async ({ correction, round }) => {
      heard[which]![round] = correction![0]!;
      return { delta: new Float32Array(LENGTH).fill(step), samples: 4, steps: 2 };
    });
  await Promise.all([run(federation.url, learner(0, 0.1)).end, run(federation.url, learner(1, 0.3)).end]);
  // A client's own is −Δ/(K·η), with K = 2 and η = 0.1; the common one is their mean.
  const [first, second] = [-0.5, -1.5];
  expect([heard[0]![1], heard[1]![1]]).toEqual([0, 0]);
  expect(heard[0]![2]).toBeCloseTo((second - first) / 2, 6);
  expect(heard[1]![2]).toBeCloseTo((first - second) / 2, 6);
  await federation.stop();
});

test("it survives a coordinator's restart, and stays the client that it was", async () => {
  const path = place("restart");
  const begin = async (port: number) => {
    const coordinator = await Coordinator.open(await openSqlite(path), { plan: tinyPlan(), keys: KEYS, ...alone });
    const server = await serveFederation(coordinator, { host: "127.0.0.1", port });
    const stop = async (): Promise<void> => {
      await server.stop();
      await coordinator.close();
    };
    return { port: server.port, stop };
  };
  const first = await begin(0);
  const store = storeInMemory();
  let trained: () => void = () => {};
  const training = new Promise<void>((done) => (trained = done));
  const learner = quick(async ({ round }) => {
    if (round === 2) {
      trained();
      await restarted;
    }
    return { delta: new Float32Array(LENGTH).fill(0.01), samples: 4, steps: 1 };
  });
  const restarted = training.then(async () => {
    await first.stop();
    return await begin(first.port);
  });
  const { events, end } = run(`http://127.0.0.1:${first.port}/`, learner, { store });
  expect(await end).toEqual({ client: 1, rounds: 3, version: 3 });
  expect(events.filter(({ event }) => event === "enrolled")).toHaveLength(1);
  // Without a token: it is enrolled already.
  const again = takePart(`http://127.0.0.1:${first.port}`, async () => quick(), { store }, PLATFORM);
  expect(await again).toEqual({ client: 1, rounds: 0, version: 3 });
  await (await restarted).stop();
});

test("a learner that fails declines; after three times in a row the client ends", async () => {
  const federation = await startFederation(place("failing"), alone);
  const failing = quick(async () => {
    throw new KingletError("check-failed", "the loss is not a number any more");
  });
  const { events, end } = run(federation.url, failing);
  await expect(end).rejects.toThrow(/loss is not a number/);
  expect(events.filter(({ event }) => event === "left out")).toHaveLength(2);
  await federation.stop();
});

test("it trains only when the machine may, and says what it waits for", async () => {
  const federation = await startFederation(place("conditions"), alone);
  const stop = new AbortController();
  const charging = async (): Promise<boolean> => {
    // Once it has said so.
    setTimeout(() => stop.abort());
    return false;
  };
  const readings = { ...PLATFORM.readings, charging };
  const { events, end } = run(federation.url, quick(), { when: { charging: true, idle: true }, signal: stop.signal }, { ...PLATFORM, readings });
  await expect(end).rejects.toMatchObject({ code: "interrupted" });
  expect(events.at(-1)).toEqual({ event: "waiting", for: "charging" });
  expect(events.some(({ event }) => event === "training")).toBe(false);
  await federation.stop();
});

test("a stop ends a training that goes on", async () => {
  const federation = await startFederation(place("stop"), alone);
  const stop = new AbortController();
  const endless = quick((_, signal) => {
    stop.abort();
    return new Promise((_done, fail) => {
      if (signal!.aborted) fail(new KingletError("interrupted", "given up"));
    });
  });
  await expect(run(federation.url, endless, { signal: stop.signal }).end).rejects.toMatchObject({ code: "interrupted" });
  await federation.stop();
});

test("another project's token, its identity, and no token are refused", async () => {
  const federation = await startFederation(place("keys"), alone);
  const other = newProjectKeys();
  const kept = JSON.stringify({ client: 1, credential: "x", project: projectOf(other.publicKey), key: other.publicKey, newest: 0 });
  const store = storeInMemory(kept);
  await expect(run(federation.url, quick(), { store }).end).rejects.toMatchObject({ reason: "wrong-project" });
  await expect(run(federation.url, quick(), { token: enrolmentToken(other) }).end).rejects.toMatchObject({ reason: "wrong-project" });
  await expect(takePart(federation.url, async () => quick(), {}, PLATFORM)).rejects.toMatchObject({ code: "misuse" });
  await federation.stop();
});

/** Stands between a client and its coordinator, and changes what is not signed. */
async function spoiler(target: string, change: Change) {
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { authorization } = request.headers;
    const answer = await fetch(`${target}${request.url}`, {
      method: request.method!,
      headers: authorization === undefined ? {} : { authorization },
      ...(request.method === "POST" ? { body: Buffer.concat(parts) } : {}),
    });
    const headers = new Headers(answer.headers);
    const body = change(request.url!, new Uint8Array(await answer.arrayBuffer()), headers);
    headers.delete("content-length");
    response.writeHead(answer.status, Object.fromEntries(headers)).end(body);
  };
  const server = createServer((request, response) => void pass(request, response));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}

/** Changes an answer's bytes or its headers. */
type Change = (path: string, body: Uint8Array, headers: Headers) => Uint8Array;

const flipped = (body: Uint8Array): Uint8Array => body.map((byte, i) => (i === 5 ? byte ^ 1 : byte));
const unsigned: Change = (_, body, headers) => {
  headers.delete("kinglet-manifest");
  return body;
};
const otherVersion: Change = (_, body, headers) => {
  const manifest = { project: projectOf(KEYS.publicKey), version: 7, length: LENGTH, control: false, sha256: "00".repeat(32), time: 1 };
  headers.set("kinglet-manifest", sign("manifest", manifest, KEYS.secretKey));
  return body;
};

const otherKeys = newProjectKeys();
const otherProject: Change = (path, body) => {
  if (path !== "/v1/enrol") return body;
  const answer = JSON.parse(new TextDecoder().decode(body)) as object;
  return new TextEncoder().encode(JSON.stringify({ ...answer, project: projectOf(otherKeys.publicKey), key: otherKeys.publicKey }));
};

test.each<[string, RegExp, Change]>([
  ["key", /enrolment is of another project/, otherProject],
  ["network", /network is not the one/, (path, body) => (path === "/v1/network" ? flipped(body) : body)],
  ["parameters", /model is not the one/, (path, body) => (path.startsWith("/v1/parameters") ? flipped(body) : body)],
  ["unsigned", /no signed manifest/, unsigned],
  ["another version", /of version 7, not 0/, otherVersion],
  ["longer", /more than the/, (path, body) => (path.startsWith("/v1/parameters") ? new Uint8Array([...body, 1]) : body)],
])("what its project did not sign is refused: %s", async (name, message, change) => {
  const federation = await startFederation(place(`spoiled ${name}`), alone);
  const between = await spoiler(federation.url, change);
  await expect(run(between.url, quick(), { transport: "poll" }).end).rejects.toThrow(message);
  between.close();
  await federation.stop();
});

test("whoever cannot keep who it is has not used its token up, and whoever was cut off while it enrolled is one client", async () => {
  const federation = await startFederation(place("keeps"), alone);
  const token = enrolmentToken(KEYS, { uses: 1 });
  const store = storeInMemory();
  const full = new Error("the disk is full");
  await expect(run(federation.url, quick(), { token, store: { ...store, save: () => Promise.reject(full) } }).end).rejects.toBe(full);
  // The place is full only once its answer came.
  let saves = 0;
  const save: typeof store.save = (what, bytes) => (++saves === 2 ? Promise.reject(full) : store.save(what, bytes));
  await expect(run(federation.url, quick(), { token, store: { ...store, save } }).end).rejects.toBe(full);
  expect(await run(federation.url, quick(), { token, store }).end).toMatchObject({ client: 1, rounds: 3 });
  await federation.stop();
});

test("whoever cannot learn from its samples has not used its token up", async () => {
  const federation = await startFederation(place("looks"), alone);
  const options = { token: enrolmentToken(KEYS, { uses: 1 }), store: storeInMemory() };
  const looked: string[] = [];
  const wrong = takePart(
    federation.url,
    async (_, { classes }) => {
      looked.push(...classes);
      throw new KingletError("bad-input", "dog is not among the classes");
    },
    options,
    PLATFORM,
  );
  await expect(wrong).rejects.toThrow(/dog/);
  expect([looked, options.store.identity]).toEqual([["a", "b", "c"], undefined]);
  expect(await run(federation.url, quick(), options).end).toMatchObject({ client: 1, rounds: 3 });
  await federation.stop();
});

test("a credential is renewed in its last quarter; one that has expired asks for a token", async () => {
  const federation = await startFederation(place("renewal"), alone);
  const store = storeInMemory();
  await run(federation.url, quick(), { store }).end;
  const { key, credential, ...kept } = JSON.parse(store.identity!) as Kept;
  const { project, client, nonce } = openSigned("credential", credential, key);
  const begin = (days: number): void => {
    const claims = { project, client, nonce, expires: Date.now() + days * DAY_MS };
    store.identity = JSON.stringify({ ...kept, key, credential: sign("credential", claims, KEYS.secretKey) });
  };
  const daysLeft = (): number => (openSigned("credential", (JSON.parse(store.identity!) as Kept).credential, key).expires - Date.now()) / DAY_MS;
  const again = () => takePart(federation.url, async () => quick(), { store }, PLATFORM);
  begin(100);
  await again();
  expect(daysLeft()).toBeLessThan(100);
  begin(90);
  expect(await again()).toMatchObject({ client: 1, version: 3 });
  expect(daysLeft()).toBeGreaterThan(364);
  begin(-1);
  await expect(again()).rejects.toThrow(/the credential expired on .*: enrol again with a token/);
  expect(await run(federation.url, quick(), { store }).end).toMatchObject({ client: 2 });
  expect(daysLeft()).toBeGreaterThan(364);
  await federation.stop();
});

test("a coordinator that goes back to an older version is refused", async () => {
  const federation = await startFederation(place("older"), alone);
  const store = storeInMemory();
  const stop = new AbortController();
  const first = run(
    federation.url,
    quick(async () => Promise.reject(new Error("gone"))),
    { store, signal: stop.signal },
  );
  await expect(first.end).rejects.toThrow("gone");
  store.identity = store.identity!.replace(/"newest":\d+/, '"newest":9');
  await expect(run(federation.url, quick(), { store }).end).rejects.toThrow(/goes back to version 0, and this client has seen 9/);
  await federation.stop();
});

/** Workers load what they train with; on a busy machine that takes a while for each. */
const WORKERS_MS = 300_000;

test(
  "a Node client's worker trains as this thread does; memory beyond the limit and strange classes are refused",
  async () => {
    const federation = await startFederation(place("worker"), alone);
    const { description } = federation.coordinator.model;
    const { network } = federation.coordinator.model;
    const order = { network, description, data: DATA };
    const steps: number[] = [];
    const learner = await WorkerLearner.open(startThread, order, (done) => steps.push(done));
    const trainer = new LocalTrainer(tinyPlan().network, tinyPlan().local);
    expect(learner).toMatchObject({ length: LENGTH, samples: 10, memoryBytes: trainer.memoryBytes });
    const start = { parameters: trainer.initialParameters(), seed: 3, round: 1 };
    const positions = Int32Array.from({ length: 10 }, (_, i) => i);
    const expected = await trainer.train(datasetFromArrays(DATA), positions, 8, start);
    expect({ client: 8, ...(await learner.train(start)) }).toEqual(expected);
    expect(steps).toEqual([1, 2, 3, 4]);
    await expect(learner.train(start, AbortSignal.abort())).rejects.toMatchObject({ code: "interrupted" });
    const stop = new AbortController();
    const given = learner.train(start, stop.signal);
    stop.abort();
    await expect(given).rejects.toMatchObject({ code: "interrupted" });
    expect({ client: 8, ...(await learner.train(start)) }).toEqual(expected);
    await learner.close();
    const open = (more: object) => WorkerLearner.open(startThread, { ...order, ...more });
    await expect(open({ memoryLimit: 1000 })).rejects.toMatchObject({ code: "does-not-fit" });
    await expect(open({ data: { ...DATA, classes: ["a", "b", "dog"] } })).rejects.toThrow(/"dog" is not among the classes a, b, c/);
    const narrow = { ...DATA, data: DATA.data.slice(0, 20), shape: [2] };
    await expect(open({ data: narrow })).rejects.toThrow(/samples of 2 numbers do not fit the federation's network, which takes 6/);
    expect(await join(federation.url, { token: enrolmentToken(KEYS), data: DATA })).toMatchObject({ rounds: 3, version: 3 });
    await federation.stop();
  },
  WORKERS_MS,
);
