import { createServer } from "node:http";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ALL_AT_ONCE, enrolmentToken, KEYS, startFederation, statusOf, tinyPlan } from "../coordinator/coordinator-testing.ts";
import type { FederationPlan } from "../coordinator/index.ts";
import { LocalTrainer } from "../local.ts";
import { STRATEGIES } from "../strategy.ts";
import { type ClientEvent, type Platform, takePart } from "./client.ts";
import type { Learner } from "./learner.ts";
import { decodeMemory, encodeMemory, type Remembered } from "./memory-file.ts";
import { fileStore } from "./node.ts";
import { RoundMemory } from "./round-memory.ts";
import type { ClientStore } from "./store.ts";
import { storeInMemory } from "./store-testing.ts";

const folder = mkdtempSync(join(tmpdir(), "kinglet-memory-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const LENGTH = new LocalTrainer(tinyPlan().network, tinyPlan().local).length;
const ROUNDS = 4;
const RULES = { ...ALL_AT_ONCE, ready: 1, rounds: ROUNDS };

const PLATFORM: Platform = {
  openSocket: async () => Promise.reject(new Error("none here")),
  readings: { charging: async () => undefined, unmetered: async () => undefined, idle: async () => undefined },
};

/** What it learns follows from what it is given and from the round. */
function learner(): Learner {
  return {
    length: LENGTH,
    samples: 4,
    memoryBytes: 0,
    train: async ({ parameters, correction, round }) => ({
      delta: parameters.map((x, i) => 0.1 * Math.sin(i + round) - 0.05 * x - 0.1 * (correction?.[i] ?? 0)),
      samples: 4,
      steps: 2,
    }),
    close: async () => {},
  };
}

/** A life of a client: until the federation has finished, or it is stopped by what it tells. */
async function live(url: string, store: ClientStore, ends: (event: ClientEvent) => boolean = () => false): Promise<ClientEvent[]> {
  const stop = new AbortController();
  const events: ClientEvent[] = [];
  const onEvent = (event: ClientEvent): void => {
    events.push(event);
    if (ends(event)) stop.abort();
  };
  await takePart(url, async () => learner(), { token: enrolmentToken(KEYS), store, onEvent, signal: stop.signal }, PLATFORM).catch(
    (error: unknown) => {
      if (!stop.signal.aborted) throw error;
    },
  );
  return events;
}

/**
 * Stands before a coordinator, and loses what belongs to the first update of a round: the update itself, or its acknowledgement.
 * @param onLost called then.
 */
async function lossy(target: string, loses: "update" | "acknowledgement", round: number, onLost: () => void) {
  let lost = false;
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const losing = !lost && request.url === `/v1/rounds/${round}/update`;
    lost ||= losing;
    const { authorization } = request.headers;
    const init = {
      method: request.method!,
      headers: authorization === undefined ? {} : { authorization },
      ...(request.method === "POST" ? { body: Buffer.concat(parts) } : {}),
    };
    if (losing && loses === "update") return onLost();
    const answer = await fetch(`${target}${request.url}`, init);
    const body = new Uint8Array(await answer.arrayBuffer());
    if (losing) return onLost();
    const headers = new Headers(answer.headers);
    headers.delete("content-length");
    response.writeHead(answer.status, Object.fromEntries(headers)).end(body);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.closeAllConnections() };
}

const PLANS: readonly (readonly [name: string, plan: FederationPlan])[] = [
  ["top-k", tinyPlan({ compression: { kind: "topK", share: 0.1 } })],
  ["SCAFFOLD", tinyPlan({ strategy: STRATEGIES.scaffold })],
];

describe.each(PLANS)("%s", (name, plan) => {
  const learned = async (what: string, lives: (url: string, store: ClientStore) => Promise<void>): Promise<Uint8Array> => {
    const federation = await startFederation(join(folder, `${name} ${what}.db`), { plan, rules: RULES });
    await lives(federation.url, fileStore(join(folder, `${name} ${what}.json`)));
    expect((await statusOf(federation.url, KEYS)).rounds.map(({ answered }) => answered)).toEqual(Array.from({ length: ROUNDS }, () => 1));
    const { body } = await federation.coordinator.version(ROUNDS);
    await federation.stop();
    return body;
  };
  const whole = learned("whole", async (url, store) => void (await live(url, store)));

  test("a client that is started again after each round goes on as if it never ended", async () => {
    const body = await learned("restarted", async (url, store) => {
      for (let round = 1; round < ROUNDS; round++) {
        const events = await live(url, store, ({ event }) => event === "sent");
        expect(events.filter(({ event }) => event === "sent")).toEqual([expect.objectContaining({ round })]);
      }
      await live(url, store);
    });
    expect(body).toEqual(await whole);
  });

  test.each(["update", "acknowledgement"] as const)("an %s that is lost while the client dies is neither lost nor counted twice", async (loses) => {
    const body = await learned(loses, async (url, store) => {
      let dead = false;
      const between = await lossy(url, loses, 2, () => {
        dead = true;
        between.close();
      });
      // It dies before it tries again.
      await live(between.url, store, ({ event }) => dead && event === "disconnected");
      const events = await live(url, store);
      expect(events.filter(({ event }) => event === "sent")[0]).toMatchObject({ round: 2 });
    });
    expect(body).toEqual(await whole);
  });
});

test("what was refused changes nothing; what is another enrolment's is nobody's", async () => {
  const store = storeInMemory();
  const first = await RoundMemory.open("a", store);
  await first.sending({ round: 1, frame: Uint8Array.of(1), memory: { rest: Float32Array.of(1) } });
  await first.arrived();
  await first.sending({ round: 2, frame: Uint8Array.of(2), memory: { rest: Float32Array.of(2) } });
  const again = await RoundMemory.open("a", store);
  expect(again).toMatchObject({ memory: { rest: Float32Array.of(1) }, unheard: { round: 2, frame: Uint8Array.of(2) } });
  await again.refused();
  const third = await RoundMemory.open("a", store);
  expect([third.memory, third.unheard]).toEqual([{ rest: Float32Array.of(1) }, undefined]);
  expect((await RoundMemory.open("b", store)).memory).toEqual({});
});

test("who remembers nothing writes nothing", async () => {
  const store = storeInMemory();
  const memory = await RoundMemory.open("a", store);
  await memory.sending({ round: 1, frame: Uint8Array.of(1), memory: {} });
  await memory.arrived();
  expect(store.memory).toBeUndefined();
});

test("a file is read as it was written, and no other one", () => {
  const control = Float32Array.of(1.5, -2, 1e-30);
  const remembered: Remembered = {
    owner: "ab".repeat(16),
    memory: { rest: Float32Array.of(3), control },
    unheard: { round: 7, frame: Uint8Array.of(1, 2, 3), memory: { control } },
  };
  expect(decodeMemory(encodeMemory(remembered))).toEqual(remembered);
  const bytes = encodeMemory(remembered);
  for (let at = 0; at < bytes.length; at++) {
    const damaged = bytes.slice();
    damaged[at]! ^= 0x10;
    expect(() => decodeMemory(damaged)).toThrow(/is damaged/);
    expect(() => decodeMemory(bytes.subarray(0, at))).toThrow(/is damaged/);
  }
});

test("files are their owner's alone, and nothing else is left beside them", async () => {
  const place = join(folder, "own", "client.json");
  const store = fileStore(place);
  expect(await store.load("identity")).toBeNull();
  await store.save("identity", Uint8Array.of(1));
  await store.save("memory", Uint8Array.of(2));
  await store.save("memory", Uint8Array.of(3));
  expect([...(await store.load("identity"))!, ...(await store.load("memory"))!]).toEqual([1, 3]);
  expect((await readdir(join(folder, "own"))).sort()).toEqual(["client.json", "client.json.memory"]);
  if (process.platform !== "win32") expect(statSync(`${place}.memory`).mode & 0o777).toBe(0o600);
});
