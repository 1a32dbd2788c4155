import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { reasonOf, sleep } from "./coordinator-testing.ts";
import type { Database } from "./database.ts";
import { Members } from "./members.ts";
import type { SecureStep } from "../protocol/index.ts";
import { openPostgres } from "./postgres.ts";
import { BYTES, NUMBER, TEXT } from "./rows.ts";
import type { KeptShares } from "./secure-store.ts";
import { hasServers, needServers, newPostgres, type TestServer } from "./servers-testing.ts";
import { openSqlite } from "./sqlite.ts";
import { Store, type StoredModel, type StoredRound } from "./store.ts";

let folder = "";
let postgres: TestServer | undefined;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-database-"));
  if (hasServers()) postgres = await newPostgres();
});
afterAll(async () => {
  await postgres?.end();
  await rm(folder, { recursive: true, force: true });
});

let names = 0;
const nextName = (): string => `t${names++}`;

const MODEL: StoredModel = { version: 0, manifest: "signed", body: Uint8Array.of(1, 2, 3, 255) };
const NEXT = { model: { ...MODEL, version: 1 }, memory: new Map() };

/** Two stores over new tables, as two processes have them; a file has one process, so there both have one database. */
interface Two {
  readonly databases: readonly Database[];
  readonly stores: readonly [Store, Store];
  close(): Promise<void>;
}

async function twoOver(databases: readonly Database[]): Promise<Two> {
  const [a, b] = await Promise.all([Store.open(databases[0]!), Store.open(databases.at(-1)!)]);
  await Promise.all([a, b].map((store) => store.begin("{}", MODEL)));
  return { databases, stores: [a, b], close: async () => void (await Promise.all(databases.map((database) => database.close()))) };
}

const KINDS = {
  SQLite: async (): Promise<Two> => await twoOver([await openSqlite(join(folder, `${nextName()}.db`))]),
  PostgreSQL: async (): Promise<Two> => {
    const address = `${postgres!.url}?schema=${nextName()}`;
    return await twoOver(await Promise.all([openPostgres(address), openPostgres(address)]));
  },
} as const;

/** A round that asks the clients from 1 to `count`. */
async function openRound({ stores: [store] }: Two, count: number, isSecure = false): Promise<StoredRound> {
  const clients = Array.from({ length: count }, (_, i) => i + 1);
  const about = { version: 0, opened: 0, deadline: 1000, wanted: count, selected: count, ready: count, clients, isSecure };
  return (await store.beginRound(about))!;
}

const submission = (client: number): Parameters<Store["accept"]>[0] => ({
  round: 1,
  client,
  version: 0,
  digest: `digest ${client}`,
  frame: Uint8Array.of(client, 0, 255),
});

async function clientsOf(frames: AsyncIterable<{ readonly client: number }>): Promise<number[]> {
  const clients: number[] = [];
  for await (const { client } of frames) clients.push(client);
  return clients;
}

describe.each(["SQLite", "PostgreSQL"] as const)("%s", (kind) => {
  beforeEach((context) => {
    if (kind === "PostgreSQL") needServers(context);
  });

  test("clients are listed and shut out while their updates come, and tokens revoked", async () => {
    const two = await KINDS[kind]();
    const [store] = two.stores;
    const members = new Members(two.databases.at(-1)!);
    const token = { id: "aa".repeat(16), uses: 9 };
    for (const nonce of ["n1", "n2", "n3"]) await store.enrol(token, nonce, 7);
    const round = await openRound(two, 3);
    await Promise.all([1, 2, 3].map((client) => store.accept(submission(client), 5)));
    const [shutOut] = await Promise.all([members.expel(2, 8), reasonOf(store.accept(submission(2), 5))]);
    expect(shutOut).toEqual({ client: 2, token: token.id, enrolled: 7, expelled: 8, lastAnswered: null, answered: 0, declined: 1 });
    expect((await members.list(0)).clients.map(({ lastAnswered, declined }) => [lastAnswered, declined])).toEqual([
      [1, 0],
      [null, 1],
      [1, 0],
    ]);
    expect((await members.expel(2, 9)).expelled).toBe(8);
    expect(await reasonOf(members.check({ client: 2, nonce: "n2" }))).toBe("expelled");
    expect(await reasonOf(members.check({ client: 3, nonce: "n3" }))).toBeNull();
    expect(await store.closeRound(round, 3, 10, async () => NEXT)).toBe(false);
    let counted: number[] = [];
    await store.closeRound(round, 2, 10, async (frames) => {
      counted = await clientsOf(frames);
      return NEXT;
    });
    expect(counted).toEqual([1, 3]);
    expect(await members.revoke(token.id, 11)).toBe(3);
    expect(await reasonOf(store.enrol(token, "n4", 12))).toBe("revoked");
    const next = await store.beginRound({ version: 1, opened: 12, deadline: 99, wanted: 2, selected: 2, ready: 2, isSecure: false, clients: [2, 3] });
    expect(await store.counts(next!.round)).toMatchObject({ asked: 1, declined: 1 });
    await two.close();
  });

  test("once a token is revoked nobody enrols with it any more, also who was about to", async () => {
    const two = await KINDS[kind]();
    const enrol = (i: number): Promise<number> => sleep(i).then(() => two.stores[i % 2]!.enrol({ id: "t", uses: 99 }, `n${i}`, 0));
    const revoked = sleep(15).then(() => new Members(two.databases.at(-1)!).revoke("t", 1));
    const reasons = await Promise.all(Array.from({ length: 40 }, (_, i) => reasonOf(enrol(i))));
    expect(reasons.filter((reason) => reason === null)).toHaveLength(await revoked);
    await two.close();
  });

  test("of whom is shut out a masked update is left out until the survivors are named", async () => {
    const two = await KINDS[kind]();
    const [store] = two.stores;
    const database = two.databases[0]!;
    const members = new Members(database);
    for (const nonce of ["n1", "n2", "n3"]) await store.enrol({ id: "token", uses: 9 }, nonce, 0);
    const about = { version: 0, opened: 0, deadline: 9, wanted: 3, selected: 3, ready: 3 };
    const { round } = (await store.beginRound({ ...about, isSecure: true, clients: [1, 2, 3] }))!;
    for (const client of [1, 2, 3])
      for (const step of ["keys", "update"])
        await database.run("INSERT INTO secure_answers (round, step, client, digest) VALUES (?, ?, ?, 'd')", [round, step, client]);
    const of = async (step: string): Promise<unknown[]> =>
      (await database.all({ client: NUMBER }, "SELECT client FROM secure_answers WHERE step = ? ORDER BY client", [step])).map(
        ({ client }) => client,
      );
    await database.run("UPDATE secure_rounds SET step = 'update'");
    await members.expel(1, 1);
    await database.run("UPDATE secure_rounds SET step = 'revelation'");
    await members.expel(2, 1);
    expect([await of("keys"), await of("update")]).toEqual([
      [1, 2, 3],
      [2, 3],
    ]);
    await two.close();
  });

  test("a transaction happens whole or not at all; numbers and bytes are kept", async () => {
    const two = await KINDS[kind]();
    const [database] = two.databases as [Database];
    await database.run(`CREATE TABLE t (a BIGINT, b ${database.bytesType})`);
    const failing = database.transaction(async (queries) => {
      await queries.run("INSERT INTO t VALUES (1, NULL)");
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    const columns = { a: NUMBER, b: BYTES };
    expect(await database.all(columns, "SELECT * FROM t")).toEqual([]);
    expect(await database.run("INSERT INTO t VALUES (?, ?)", [2 ** 52 + 1, Uint8Array.of(1, 0, 255)])).toBe(1);
    expect(await database.all(columns, "SELECT * FROM t")).toEqual([{ a: 2 ** 52 + 1, b: Uint8Array.of(1, 0, 255) }]);
    expect((await two.stores[1].model(0))!.body).toEqual(MODEL.body);
    await two.close();
  });

  test("two processes that begin at once begin one federation", async () => {
    const two = await KINDS[kind]();
    const [a, b] = two.stores;
    expect(await two.databases[0]!.all({ count: NUMBER }, "SELECT COUNT(*) AS count FROM models")).toEqual([{ count: 1 }]);
    expect(new Set(await Promise.all([a.federation(), b.federation(), a.federation()])).size).toBe(1);
    const about = { version: 0, opened: 0, deadline: 9, wanted: 1, selected: 1, ready: 1, clients: [1], isSecure: false };
    const begun = await Promise.all([a, b, a, b].map((store) => store.beginRound(about)));
    expect(begun.filter((round) => round !== null)).toMatchObject([{ round: 1 }]);
    await two.close();
  });

  test("clients that enrol with different tokens at once have different numbers, and a token counts in all processes", async () => {
    const two = await KINDS[kind]();
    const enrolments = Array.from({ length: 60 }, async (_, i) => {
      // Not all in one commit.
      if (i % 3 > 0) await sleep(i);
      return await two.stores[i % 2]!.enrol({ id: `token ${i % 4}`, uses: 14 }, `nonce ${i}`, 0).catch((error: unknown) =>
        reasonOf(Promise.reject(error)),
      );
    });
    const results = await Promise.all(enrolments);
    const numbers = results.filter((result) => typeof result === "number").sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 56 }, (_, i) => i + 1));
    expect(results.filter((result) => result === "used-up")).toHaveLength(4);
    const known = results.findIndex((result) => typeof result === "number");
    expect(await two.stores[1].enrol({ id: `token ${known % 4}`, uses: 14 }, `nonce ${known}`, 0)).toBe(results[known]);
    await two.close();
  });

  test("an update is in the version that closes its round, or was refused", async () => {
    const two = await KINDS[kind]();
    const [a, b] = two.stores;
    const round = await openRound(two, 40);
    await a.accept(submission(1), 0);
    const accepted = new Set([1]);
    const late: number[] = [];
    const sending = Array.from({ length: 30 }, async (_, i) => {
      await sleep(i);
      const reason = await reasonOf(two.stores[i % 2]!.accept(submission(i + 2), 0));
      if (reason === null) accepted.add(i + 2);
      else late.push(i + 2);
    });
    await sleep(10);
    const closes = await Promise.all(
      two.stores.map(async (store) => {
        let counted: number[] = [];
        const closed = await store.closeRound(round, 1, 1, async (frames) => {
          counted = await clientsOf(frames);
          await sleep(20);
          return NEXT;
        });
        return closed ? counted : null;
      }),
    );
    await Promise.all(sending);
    const [counted] = closes.filter((each) => each !== null);
    expect(closes.filter((each) => each !== null)).toHaveLength(1);
    expect(counted).toEqual([...accepted].sort((x, y) => x - y));
    // Whoever sends again hears the same.
    expect(await reasonOf(b.accept(submission(1), 0))).toBeNull();
    expect(await reasonOf(b.accept(submission(40), 0))).toBe("late");
    expect(await a.newestVersion()).toBe(1);
    await two.close();
  });

  test("a step of secure aggregation ends once, and only those who answered it are asked for the next", async () => {
    const two = await KINDS[kind]();
    const [a, b] = two.stores;
    const round = await openRound(two, 4, true);
    expect(round.step).toBe("keys");
    const answer = (step: SecureStep, client: number, shares: readonly KeptShares[] = []): Promise<void> =>
      two.stores[client % 2]!.secure.accept(
        { round: 1, client, step, digest: `${step} ${client}`, body: Uint8Array.of(client, 255) },
        shares,
        async () => undefined,
        0,
      );
    await Promise.all([1, 2, 3].map((client) => answer("keys", client)));
    expect(await reasonOf(answer("shares", 4))).toBe("malformed");
    const ends = await Promise.all(two.stores.map((store) => store.secure.goOn(1, "keys", "shares", 2000)));
    expect(ends.sort()).toEqual([false, true]);
    expect(await a.openRound()).toMatchObject({ step: "shares", deadline: 2000 });
    expect(await b.askedClients(1)).toEqual([1, 2, 3]);
    expect(await b.taskOf(3)).toMatchObject({ step: "shares" });
    // One that came in time is told so again; the fourth is out.
    expect(await reasonOf(answer("keys", 1))).toBeNull();
    expect(await reasonOf(answer("keys", 4))).toBe("late");
    const others = (client: number): KeptShares[] => [1, 2, 3].filter((to) => to !== client).map((to) => ({ to, sealed: `${client} to ${to}` }));
    await Promise.all([1, 2, 3].map((client) => answer("shares", client, others(client))));
    expect(await a.secure.read(1).sharesFor(2)).toEqual([
      { from: 1, sealed: "1 to 2" },
      { from: 3, sealed: "3 to 2" },
    ]);
    expect((await b.secure.read(1).answers("keys")).map(({ client, body }) => [client, ...body])).toEqual(
      [1, 2, 3].map((client) => [client, client, 255]),
    );
    expect(await a.counts(1)).toEqual({ asked: 0, answered: 3, declined: 0, bytes: 12 });
    // Whoever still sees the step before does not end the round.
    expect(await b.giveUp(round, 1, 4)).toBe(false);
    expect(await b.giveUp({ ...round, step: "shares" }, 1, 3)).toBe(true);
    expect(await a.secure.goOn(1, "shares", "update", 3000)).toBe(false);
    expect(await a.secure.read(1).sharesFor(2)).toEqual([]);
    expect(await a.secure.read(1).answers("keys")).toEqual([]);
    const left = "SELECT COUNT(*) AS answers, COUNT(body) AS bodies FROM secure_answers WHERE step = 'keys'";
    expect(await two.databases[0]!.all({ answers: NUMBER, bodies: NUMBER }, left)).toEqual([{ answers: 3, bodies: 0 }]);
    await two.close();
  });

  test("a round is not given up where an update came meanwhile", async () => {
    const two = await KINDS[kind]();
    const [a, b] = two.stores;
    const round = await openRound(two, 2);
    await b.accept(submission(1), 0);
    expect(await a.giveUp(round, 1, 0)).toBe(false);
    expect(await b.openRound()).toMatchObject({ round: 1, status: "open" });
    expect(await b.giveUp(round, 1, 1)).toBe(true);
    expect(await a.giveUp(round, 2, 1)).toBe(false);
    expect(await a.rounds(1)).toMatchObject([{ status: "given up", ended: 1 }]);
    await two.close();
  });
});

/** Stands between a driver and its server, and may cut the line behind a commit: it is done, and nobody hears of it. */
async function cutter(target: string): Promise<{ url: string; cutNext(): void; end(): void }> {
  const address = new URL(target);
  const { hostname, port } = address;
  let cuts = false;
  const sockets: Socket[] = [];
  const proxy = createServer((near) => {
    const far = connect(Number(port), hostname);
    sockets.push(near, far);
    for (const socket of [near, far]) socket.on("error", () => {});
    near.on("data", (data) => {
      if (cuts && data.includes("COMMIT\0")) {
        cuts = false;
        far.unpipe(near);
        far.once("data", () => near.destroy()).resume();
      }
      far.write(data);
    });
    far.pipe(near);
  });
  await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done));
  address.port = String((proxy.address() as AddressInfo).port);
  return {
    url: address.href,
    cutNext: () => (cuts = true),
    end: () => {
      for (const socket of sockets) socket.destroy();
      proxy.close();
    },
  };
}

test("a commit whose acknowledgement is lost is told again, and counts once", async (context) => {
  needServers(context);
  const line = await cutter(`${postgres!.url}?schema=${nextName()}`);
  const two = await twoOver([await openPostgres(line.url)]);
  const [store] = two.stores;
  await openRound(two, 2);
  line.cutNext();
  await expect(store.accept(submission(1), 0)).rejects.toThrow();
  expect(await store.counts(1)).toMatchObject({ asked: 1, answered: 1 });
  await store.accept(submission(1), 0);
  line.cutNext();
  await expect(store.enrol({ id: "token", uses: 1 }, "nonce", 0)).rejects.toThrow();
  expect(await store.enrol({ id: "token", uses: 1 }, "nonce", 0)).toBe(1);
  await two.close();
  line.end();
});

test("a server that is killed and comes back keeps what it acknowledged, and connections are made anew", async (context) => {
  needServers(context);
  const two = await KINDS.PostgreSQL();
  const [store] = two.stores;
  await openRound(two, 2);
  await store.accept(submission(1), 0);
  await postgres!.kill();
  await expect(store.accept(submission(2), 0)).rejects.toThrow();
  await expect(store.newestVersion()).rejects.toThrow();
  await postgres!.start();
  await store.accept(submission(2), 0);
  expect(await store.counts(1)).toMatchObject({ asked: 0, answered: 2 });
  await two.close();
});

/** Two connections of which the second one waits for a row that the first one has changed, while `wait` goes on. */
async function whileHeld(timeouts: string, wait: (database: Database, store: Store) => Promise<void>): Promise<string | null> {
  const url = `${postgres!.url}?schema=${nextName()}`;
  const two = await twoOver([await openPostgres(url), await openPostgres(`${url}&${timeouts}`)]);
  const [holder, waiting] = two.databases;
  const [, store] = two.stores;
  await store.set("paused", "false");
  await holder!.transaction(async (queries) => {
    await queries.run("UPDATE settings SET value = 'held' WHERE name = 'paused'");
    await wait(waiting!, store);
    // Its connection was given up, and a new one serves.
    expect(await store.setting("paused")).toBe("false");
  });
  const after = await store.setting("paused");
  await store.set("paused", "true");
  await two.close();
  return after;
}

test("a server that says nothing counts as away, for a statement and for a transaction", async (context) => {
  needServers(context);
  await whileHeld("query_timeout=300", async (database, store) => {
    await expect(store.set("paused", "true")).rejects.toThrow(/read timeout/);
    const change = database.transaction((queries) => queries.run("UPDATE settings SET value = 'true' WHERE name = 'paused'"));
    await expect(change).rejects.toThrow(/read timeout/);
  });
});

test("what a server could not do in time it does not do later", async (context) => {
  needServers(context);
  const after = await whileHeld("statement_timeout=300", async (_database, store) => {
    await expect(store.set("paused", "true")).rejects.toThrow(/statement timeout/);
  });
  expect(after).toBe("held");
  // Without a word in the address, too.
  const database = await openPostgres(postgres!.url);
  expect(await database.all({ statement_timeout: TEXT }, "SHOW statement_timeout")).toEqual([{ statement_timeout: "110s" }]);
  await database.close();
});

test("addresses that are none are refused by name", async (context) => {
  needServers(context);
  await expect(openPostgres("postgres://")).rejects.toThrow(/cannot be used|no address/);
  await expect(openPostgres(`${postgres!.url}?schema=No"`)).rejects.toThrow(/schema is named No"/);
  await expect(openPostgres("postgres://kinglet@127.0.0.1:1/none")).rejects.toThrow(/cannot be used: .*ECONNREFUSED/);
});
