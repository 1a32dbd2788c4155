import { KingletError } from "../../base/index.ts";
import { Refusal } from "../protocol/index.ts";
import type { Database, Queries, Row, SqlValue } from "./database.ts";
import { createTables } from "./schema.ts";

/** A version of the model as clients get it. */
export interface StoredModel {
  readonly version: number;
  /** Signed. */
  readonly manifest: string;
  /** Parameters, float32 little-endian; for SCAFFOLD the common control variate behind them. */
  readonly body: Uint8Array;
}

/** What the coordinator remembers for its newest version, by name. */
export type Memory = ReadonlyMap<string, Uint8Array>;

export type RoundStatus = "open" | "closed" | "given up";

/** A round: `wanted` updates of `selected` clients out of those who were `ready`. */
export interface StoredRound {
  readonly round: number;
  /** The version that clients begin with. */
  readonly version: number;
  readonly status: RoundStatus;
  readonly opened: number;
  readonly deadline: number;
  readonly ended: number | null;
  readonly wanted: number;
  readonly selected: number;
  readonly ready: number;
}

/** How many clients of a round did what. */
export interface RoundCounts {
  readonly asked: number;
  readonly answered: number;
  readonly declined: number;
  /** All that was sent. */
  readonly bytes: number;
}

export interface NewRound extends Pick<StoredRound, "version" | "opened" | "deadline" | "wanted" | "ready"> {
  readonly clients: readonly number[];
}

/** An update as it came. */
export interface Submission {
  readonly round: number;
  readonly client: number;
  readonly version: number;
  readonly digest: string;
  readonly frame: Uint8Array;
}

const toRound = (row: Row): StoredRound => row as unknown as StoredRound;

/** Versions whose parameters are kept: clients may still be reading the one before. */
const KEPT_VERSIONS = 4;

/** The state of a federation in a database. Each method is one transaction; what it has given back is durable. */
export class Store {
  private readonly database: Database;
  private waiting: { readonly submission: Submission; readonly now: number; readonly done: (error?: unknown) => void }[] = [];

  private constructor(database: Database) {
    this.database = database;
  }

  static async open(database: Database): Promise<Store> {
    await createTables(database);
    return new Store(database);
  }

  close(): Promise<void> {
    return this.database.close();
  }

  private async one(sql: string, values: readonly SqlValue[] = []): Promise<Row | undefined> {
    return (await this.database.all(sql, values))[0];
  }

  async setting(name: string): Promise<string | null> {
    return ((await this.one("SELECT value FROM settings WHERE name = ?", [name]))?.["value"] as string | undefined) ?? null;
  }

  async set(name: string, value: string): Promise<void> {
    const sql = "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    await this.database.run(sql, [name, value]);
  }

  async forget(name: string): Promise<void> {
    await this.database.run("DELETE FROM settings WHERE name = ?", [name]);
  }

  /** Begins with a model, unless there is one: then it must have begun in the same way. @throws KingletError `misuse` where it has not. */
  async begin(agreed: string, first: StoredModel): Promise<void> {
    const then = await this.database.transaction(async (queries) => {
      const [row] = await queries.all("SELECT value FROM settings WHERE name = 'agreed'");
      if (row !== undefined) return row["value"] as string;
      await queries.run("INSERT INTO settings (name, value) VALUES ('agreed', ?)", [agreed]);
      await addModel(queries, first);
      return agreed;
    });
    if (then === agreed) return;
    const [before, now] = [JSON.parse(then), JSON.parse(agreed)] as Record<string, unknown>[];
    const changed = Object.keys(now!).filter((key) => JSON.stringify(before![key]) !== JSON.stringify(now![key]));
    throw new KingletError("misuse", `the federation in this store began with another ${changed.join(", ")}`, {
      hint: "Go on with what it began with, or name another store.",
    });
  }

  /** The client of a nonce, a new one where it is new. @throws Refusal `used-up` where the token has enrolled `uses` clients. */
  async enrol({ id, uses }: { readonly id: string; readonly uses: number }, nonce: string, now: number): Promise<number> {
    return await this.database.transaction(async (queries) => {
      await queries.run("INSERT INTO tokens (id, used) VALUES (?, 0) ON CONFLICT (id) DO NOTHING", [id]);
      // The first change of the transaction: enrolments by the same token wait here for each other.
      const free = await queries.run("UPDATE tokens SET used = used + 1 WHERE id = ? AND used < ?", [id, uses]);
      const [known] = await queries.all("SELECT client FROM clients WHERE nonce = ? AND token = ?", [nonce, id]);
      if (known !== undefined) {
        if (free === 1) await queries.run("UPDATE tokens SET used = used - 1 WHERE id = ?", [id]);
        return known["client"] as number;
      }
      if (free === 0) throw new Refusal("used-up", `this token has enrolled ${uses} ${uses === 1 ? "client" : "clients"}, as many as it may`);
      const [last] = await queries.all("SELECT COALESCE(MAX(client), 0) AS client FROM clients");
      const client = (last!["client"] as number) + 1;
      await queries.run("INSERT INTO clients (client, nonce, token, enrolled) VALUES (?, ?, ?, ?)", [client, nonce, id, now]);
      return client;
    });
  }

  async clientCount(): Promise<number> {
    return (await this.one("SELECT COUNT(*) AS count FROM clients"))!["count"] as number;
  }

  async hasClient(client: number): Promise<boolean> {
    return (await this.one("SELECT client FROM clients WHERE client = ?", [client])) !== undefined;
  }

  async newestVersion(): Promise<number> {
    return (await this.one("SELECT MAX(version) AS version FROM models"))!["version"] as number;
  }

  async model(version: number): Promise<StoredModel | null> {
    const row = await this.one("SELECT version, manifest, body FROM models WHERE version = ?", [version]);
    return row === undefined ? null : (row as unknown as StoredModel);
  }

  async memory(): Promise<Memory> {
    const rows = await this.database.all("SELECT name, data FROM memory");
    return new Map(rows.map(({ name, data }) => [name as string, data as Uint8Array]));
  }

  async openRound(): Promise<StoredRound | null> {
    const row = await this.one("SELECT * FROM rounds WHERE status = 'open'");
    return row === undefined ? null : toRound(row);
  }

  /** The last rounds, newest first. */
  async rounds(most: number): Promise<StoredRound[]> {
    return (await this.database.all("SELECT * FROM rounds ORDER BY round DESC LIMIT ?", [most])).map(toRound);
  }

  /** Rounds that gave a version, and the largest share of the ready clients that one of them asked. */
  async closedRounds(): Promise<{ readonly count: number; readonly share: number }> {
    const sql = "SELECT COUNT(*) AS count, COALESCE(MAX(selected * 1.0 / ready), 0) AS share FROM rounds WHERE status = 'closed'";
    const row = (await this.one(sql))!;
    return { count: row["count"] as number, share: Number(row["share"]) };
  }

  async counts(round: number): Promise<RoundCounts> {
    const sql = "SELECT status, COUNT(*) AS count, COALESCE(SUM(bytes), 0) AS bytes FROM tasks WHERE round = ? GROUP BY status";
    const rows = await this.database.all(sql, [round]);
    const of = (status: string): number => (rows.find((row) => row["status"] === status)?.["count"] as number | undefined) ?? 0;
    const bytes = rows.reduce((sum, row) => sum + Number(row["bytes"]), 0);
    return { asked: of("asked"), answered: of("answered"), declined: of("declined"), bytes };
  }

  /** Clients of a round that have not answered yet. */
  async askedClients(round: number): Promise<number[]> {
    const rows = await this.database.all("SELECT client FROM tasks WHERE round = ? AND status = 'asked' ORDER BY client", [round]);
    return rows.map(({ client }) => client as number);
  }

  /** What a client is asked for now. */
  async taskOf(client: number): Promise<StoredRound | null> {
    const sql = `SELECT rounds.* FROM rounds JOIN tasks ON tasks.round = rounds.round
      WHERE rounds.status = 'open' AND tasks.client = ? AND tasks.status = 'asked'`;
    const row = await this.one(sql, [client]);
    return row === undefined ? null : toRound(row);
  }

  /** Opens the next round; null where one is open, or there is another version by now. */
  async beginRound({ version, opened, deadline, wanted, ready, clients }: NewRound): Promise<StoredRound | null> {
    return await this.database.transaction(async (queries) => {
      const [open] = await queries.all("SELECT round FROM rounds WHERE status = 'open'");
      const [newest] = await queries.all("SELECT MAX(version) AS version FROM models");
      if (open !== undefined || newest!["version"] !== version) return null;
      const [last] = await queries.all("SELECT COALESCE(MAX(round), 0) AS round FROM rounds");
      const round = (last!["round"] as number) + 1;
      const stored: StoredRound = { round, version, status: "open", opened, deadline, ended: null, wanted, selected: clients.length, ready };
      await queries.run(
        "INSERT INTO rounds (round, version, status, opened, deadline, ended, wanted, selected, ready) VALUES (?, ?, 'open', ?, ?, NULL, ?, ?, ?)",
        [round, version, opened, deadline, wanted, clients.length, ready],
      );
      for (const client of clients) await queries.run("INSERT INTO tasks (round, client, status) VALUES (?, ?, 'asked')", [round, client]);
      return stored;
    });
  }

  /** Gives an open round time until then. */
  async extend(round: number, deadline: number): Promise<void> {
    await this.database.run("UPDATE rounds SET deadline = ? WHERE round = ? AND status = 'open' AND deadline < ?", [deadline, round, deadline]);
  }

  /**
   * Keeps an update, once; whoever sends the same again hears the same. Updates that come together share one commit.
   * @throws Refusal `not-selected`, `already-answered`, `late` or `malformed`.
   */
  async accept(submission: Submission, now: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.waiting.push({ submission, now, done: (error) => (error === undefined ? resolve() : reject(error)) });
      if (this.waiting.length === 1) setImmediate(() => void this.acceptWaiting());
    });
  }

  private async acceptWaiting(): Promise<void> {
    const together = this.waiting;
    this.waiting = [];
    try {
      const refusals = await this.database.transaction(async (queries) => {
        const found: (Refusal | undefined)[] = [];
        for (const { submission, now } of together) found.push(await accept(queries, submission, now));
        return found;
      });
      together.forEach(({ done }, i) => done(refusals[i]));
    } catch (error) {
      for (const { done } of together) done(error);
    }
  }

  /** @throws Refusal `not-selected`, `already-answered` or `late`. */
  async decline(client: number, round: number, now: number): Promise<void> {
    const refusal = await this.database.transaction(async (queries) => {
      const reason = await refusalFor(queries, client, round, now);
      if (reason === "declined") return undefined;
      if (reason !== undefined) return reason;
      await queries.run("UPDATE tasks SET status = 'declined' WHERE round = ? AND client = ?", [round, client]);
      return undefined;
    });
    if (refusal !== undefined) throw refusal;
  }

  /**
   * Closes an open round: `work` makes the next version of its updates, which come in the order of the clients' numbers.
   * Gives false where somebody else has closed it.
   */
  async closeRound(
    { round }: StoredRound,
    now: number,
    work: (
      frames: AsyncIterable<{ readonly client: number; readonly frame: Uint8Array }>,
    ) => Promise<{ readonly model: StoredModel; readonly memory: Memory }>,
  ): Promise<boolean> {
    return await this.database.transaction(async (queries) => {
      if ((await queries.run("UPDATE rounds SET status = 'closed', ended = ? WHERE round = ? AND status = 'open'", [now, round])) === 0) return false;
      const { model, memory } = await work(framesOf(queries, round));
      await addModel(queries, model);
      for (const [name, data] of memory)
        await queries.run("INSERT INTO memory (name, data) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET data = excluded.data", [name, data]);
      await queries.run("UPDATE tasks SET frame = NULL WHERE round = ?", [round]);
      return true;
    });
  }

  /** Ends a round without a new version. */
  async giveUp({ round }: StoredRound, now: number): Promise<void> {
    await this.database.transaction(async (queries) => {
      await queries.run("UPDATE rounds SET status = 'given up', ended = ? WHERE round = ? AND status = 'open'", [now, round]);
      await queries.run("UPDATE tasks SET frame = NULL WHERE round = ?", [round]);
    });
  }
}

async function addModel(queries: Queries, { version, manifest, body }: StoredModel): Promise<void> {
  await queries.run("INSERT INTO models (version, manifest, body) VALUES (?, ?, ?)", [version, manifest, body]);
  await queries.run("DELETE FROM models WHERE version <= ?", [version - KEPT_VERSIONS]);
}

async function* framesOf(queries: Queries, round: number): AsyncIterable<{ readonly client: number; readonly frame: Uint8Array }> {
  const clients = await queries.all("SELECT client FROM tasks WHERE round = ? AND status = 'answered' ORDER BY client", [round]);
  for (const { client } of clients) {
    const [row] = await queries.all("SELECT frame FROM tasks WHERE round = ? AND client = ?", [round, client!]);
    yield { client: client as number, frame: row!["frame"] as Uint8Array };
  }
}

/** What a client's task says to a message about it; undefined where it may come. Locks the round until the transaction ends. */
async function refusalFor(queries: Queries, client: number, round: number, now: number): Promise<Refusal | "declined" | undefined> {
  await queries.run("UPDATE rounds SET status = status WHERE round = ?", [round]);
  const sql = `SELECT tasks.status AS task, rounds.status AS round, deadline FROM tasks JOIN rounds ON tasks.round = rounds.round
    WHERE tasks.round = ? AND client = ?`;
  const [row] = await queries.all(sql, [round, client]);
  if (row === undefined) return new Refusal("not-selected", `client ${client} was not asked for an update in round ${round}`);
  if (row["task"] === "answered") return new Refusal("already-answered", `client ${client} has answered round ${round}`);
  if (row["task"] === "declined") return "declined";
  if (row["round"] !== "open" || now >= (row["deadline"] as number)) return new Refusal("late", `round ${round} is closed`);
  return undefined;
}

async function accept(queries: Queries, { round, client, version, digest, frame }: Submission, now: number): Promise<Refusal | undefined> {
  const [known] = await queries.all("SELECT digest FROM tasks WHERE round = ? AND client = ? AND status = 'answered'", [round, client]);
  if (known?.["digest"] === digest) return undefined;
  const refusal = await refusalFor(queries, client, round, now);
  if (refusal === "declined") return new Refusal("already-answered", `client ${client} has declined round ${round}`);
  if (refusal !== undefined) return refusal;
  const [base] = await queries.all("SELECT version FROM rounds WHERE round = ?", [round]);
  if (base!["version"] !== version) return new Refusal("malformed", `round ${round} begins with version ${base!["version"]}, not ${version}`);
  await queries.run("UPDATE tasks SET status = 'answered', digest = ?, bytes = ?, frame = ? WHERE round = ? AND client = ?", [
    digest,
    frame.length,
    frame,
    round,
    client,
  ]);
  return undefined;
}
