import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ServerMessage } from "../protocol/index.ts";
import { ioredis } from "../peers.ts";
import { reasonOf, sleep } from "./coordinator-testing.ts";
import { oneProcess, type Processes, type Rounds } from "./processes.ts";
import { overRedis } from "./shared-processes.ts";
import { hasServers, needServers, newRedis, type TestServer } from "./servers-testing.ts";

/** Machines may be busy. */
const PATIENTLY = { timeout: 30_000 };

let redis: TestServer | undefined;
beforeAll(async () => {
  if (hasServers()) redis = await newRedis();
});
afterAll(() => redis?.end());

let federations = 0;
const hooks = { now: Date.now, log: () => {} };
const task = (round: number): ServerMessage => ({ type: "task", task: { round, version: 0, deadline: 9, seed: 1 } });

/** Rounds of which nothing is known but how often somebody looked, and whether two looks were ever under way. */
class Looks implements Rounds {
  count = 0;
  underWay = 0;
  most = 0;
  next: number | null = null;
  reminded = 0;

  async look(): Promise<number | null> {
    this.count++;
    this.most = Math.max(this.most, ++this.underWay);
    await sleep(5);
    this.underWay--;
    const { next } = this;
    this.next = null;
    return next;
  }

  async remind(): Promise<void> {
    this.reminded++;
  }
}

/** Two processes; one where there is but one. */
const KINDS = {
  "one process": async (): Promise<[Processes, Processes]> => {
    const one = await oneProcess("one", hooks);
    return [one, one];
  },
  "several over Redis": async (): Promise<[Processes, Processes]> => {
    const join = overRedis(redis!.url);
    const name = `federation${federations++}`;
    return [await join(name, hooks), await join(name, hooks)];
  },
} as const;

describe.each(["one process", "several over Redis"] as const)("%s", (kind) => {
  beforeEach((context) => {
    if (kind === "several over Redis") needServers(context);
  });

  test("who is ready is known everywhere, and hears what is said to it wherever it sits", async () => {
    const [a, b] = await KINDS[kind]();
    const heard: string[] = [];
    const seats = [1, 2, 3].map((client) => (client === 2 ? b : a).presence.sit(client, (message) => heard.push(`${client} ${message.type}`)));
    const ready = async (): Promise<readonly number[]> => (await a.presence.everybody()).ready;
    expect(await ready()).toEqual([]);
    for (const seat of seats) seat.setReady(true);
    await expect.poll(ready, PATIENTLY).toEqual([1, 2, 3]);
    expect((await b.presence.everybody()).connections).toBe(3);
    a.presence.tell(2, task(1));
    b.presence.tell(1, task(1));
    // Told again in case that it was missed.
    b.presence.tell(1, task(1));
    await expect.poll(() => [...heard].sort(), PATIENTLY).toEqual(["1 task", "2 task"]);
    a.presence.tellAll({ type: "finished", version: 1 });
    await expect.poll(() => [...heard].sort(), PATIENTLY).toEqual(["1 finished", "1 task", "2 finished", "2 task", "3 finished"]);
    seats[0]!.leave();
    seats[1]!.setReady(false);
    await expect.poll(ready, PATIENTLY).toEqual([3]);
    // It asks again and again.
    seats[2]!.leave(400);
    expect(await ready()).toEqual([3]);
    await expect.poll(ready, PATIENTLY).toEqual([]);
    await Promise.all([a.stop(), b.stop()]);
  });

  test("a client has so many connections and no more", async () => {
    const [a, b] = await KINDS[kind]();
    const sit = async (): Promise<void> => void a.presence.sit(7, () => {});
    for (let i = 0; i < 8; i++) await sit();
    expect(await reasonOf(sit())).toBe("rate-limited");
    expect(a.presence.here()).toEqual({ ready: [], connections: 8 });
    await Promise.all([a.stop(), b.stop()]);
  });

  test("whoever wakes is served by a look that begins afterwards, one at a time, and looks are made when they are due", async () => {
    const [a, b] = await KINDS[kind]();
    const looks = new Looks();
    for (const each of new Set([a, b])) each.start(looks);
    await expect.poll(() => looks.count, PATIENTLY).toBeGreaterThan(0);
    await sleep(100);
    for (let i = 0; i < 20; i++) {
      const before = looks.count;
      (i % 2 === 0 ? a : b).wake();
      await expect.poll(() => looks.count, { ...PATIENTLY, interval: 1 }).toBeGreaterThan(before);
    }
    await sleep(100);
    const before = looks.count;
    looks.next = Date.now() + 300;
    a.wake();
    await expect.poll(() => looks.count, PATIENTLY).toBe(before + 1);
    await expect.poll(() => looks.count, PATIENTLY).toBe(before + 2);
    expect(looks.most).toBe(1);
    await Promise.all([a.stop(), b.stop()]);
  });
});

test("a Redis that forgets everything, or is gone for a while, is told everything again", async (context) => {
  needServers(context);
  const [a, b] = await KINDS["several over Redis"]();
  expect([a.first, b.first]).toEqual([true, false]);
  const looks = new Looks();
  for (const each of [a, b]) each.start(looks);
  a.presence.sit(1, () => {}).setReady(true);
  const ready = (): Promise<readonly number[]> =>
    b.presence.everybody().then(
      (all) => all.ready,
      () => [],
    );
  await expect.poll(ready, PATIENTLY).toEqual([1]);
  await redis!.kill();
  await expect(b.presence.everybody()).rejects.toThrow();
  await expect.poll(() => [a.reached(), b.reached()], PATIENTLY).toEqual([false, false]);
  await redis!.start();
  await expect.poll(ready, PATIENTLY).toEqual([1]);
  await expect.poll(() => [a.reached(), b.reached()], PATIENTLY).toEqual([true, true]);
  const [count, { reminded }] = [looks.count, looks];
  await expect.poll(() => looks.count > count && looks.reminded > reminded, PATIENTLY).toBe(true);
  await Promise.all([a.stop(), b.stop()]);
});

test("a process stops while Redis is away, and nothing of it comes back with it", async (context) => {
  needServers(context);
  const own = await newRedis();
  const left = await overRedis(own.url)("left", hooks);
  left.start(new Looks());
  await own.kill();
  await expect.poll(() => left.reached(), PATIENTLY).toBe(false);
  await left.stop();
  await own.start();
  // A connection is tried again each second.
  await sleep(3000);
  const { Redis } = await ioredis();
  const asking = new Redis(own.url);
  expect(
    String(await asking.client("LIST"))
      .trim()
      .split("\n"),
  ).toHaveLength(1);
  asking.disconnect();
  await own.end();
});

test("a Redis that cannot be used is refused with the cause", async (context) => {
  needServers(context);
  await expect(overRedis("redis://127.0.0.1:1")("none", hooks)).rejects.toThrow(/cannot be used: .*ECONNREFUSED/);
  await expect(overRedis(redis!.url.replace("//", "//nobody:wrong@"))("none", hooks)).rejects.toThrow(/cannot be used: .*(AUTH|WRONGPASS)/);
});
