import { randomBytes } from "node:crypto";
import { KingletError } from "../../base/index.ts";
import { type Enrolment, SECURE_STEPS, type SecureStep } from "../protocol/index.ts";
import { accept, decline, enrol, lockFederation, lockRound, type Submission } from "./client-requests.ts";
import type { Database, Queries } from "./database.ts";
import { GroupCommit } from "./group-commit.ts";
import { declineForExpelled } from "./members.ts";
import { BYTES, type Columns, NUMBER, oneOf, orNull, type Row, type SqlValue, TEXT } from "./rows.ts";
import { createTables, ROUND, TASK } from "./schema.ts";
import { beginSteps, endSteps, SecureStore } from "./secure-store.ts";

/** A version of the model as clients get it. */
export interface StoredModel {
  readonly version: number;
  /** Signed. */
  readonly manifest: string;
  /** Parameters, float32 little-endian; for SCAFFOLD the common control variate behind them. */
  readonly body: Uint8Array;
}

/** The share of right answers of a version. */
export interface Judgement {
  readonly version: number;
  readonly accuracy: number;
}

/** A round's updates as they came, in the order of the clients' numbers. */
export type Frames = AsyncIterable<{ readonly client: number; readonly frame: Uint8Array }>;

/** What the coordinator remembers for its newest version, by name. */
export type Memory = ReadonlyMap<string, Uint8Array>;

export type RoundStatus = (typeof ROUND)[number];

/** A round: `wanted` updates of `selected` clients out of those who were `ready`. With privacy `selected` is how many are asked on average. */
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
  /** The step that a round of secure aggregation is at, whose deadline it has; null without. */
  readonly step: SecureStep | null;
}

/** How many clients of a round did what. */
export interface RoundCounts {
  readonly asked: number;
  readonly answered: number;
  readonly declined: number;
  /** All that was sent. */
  readonly bytes: number;
}

export interface NewRound extends Pick<StoredRound, "version" | "opened" | "deadline" | "wanted" | "selected" | "ready"> {
  readonly clients: readonly number[];
  /** Whether it is one of secure aggregation. */
  readonly isSecure: boolean;
}

const COLUMNS = {
  round: NUMBER,
  version: NUMBER,
  status: oneOf(ROUND),
  opened: NUMBER,
  deadline: NUMBER,
  ended: orNull(NUMBER),
  wanted: NUMBER,
  selected: NUMBER,
  ready: NUMBER,
  step: orNull(oneOf(SECURE_STEPS)),
};
const ROUNDS = "SELECT rounds.*, step FROM rounds LEFT JOIN secure_rounds ON secure_rounds.round = rounds.round";

const MODEL = { version: NUMBER, manifest: TEXT, body: BYTES };

/** Versions whose parameters are kept: clients may still be reading the one before. */
const KEPT_VERSIONS = 4;

/** The state of a federation in a database. Each method is one transaction; what it has given back is durable. */
export class Store {
  readonly secure: SecureStore;
  private readonly database: Database;
  private readonly groups: GroupCommit;
  private asked: { readonly version: number; readonly model: Promise<StoredModel | null> } | undefined;

  private constructor(database: Database) {
    this.database = database;
    this.groups = new GroupCommit(database);
    this.secure = new SecureStore(database, this.groups);
  }

  static async open(database: Database): Promise<Store> {
    await createTables(database);
    return new Store(database);
  }

  close(): Promise<void> {
    return this.database.close();
  }

  private async one<C extends Columns>(columns: C, sql: string, values: readonly SqlValue[] = []): Promise<Row<C> | undefined> {
    return (await this.database.all(columns, sql, values))[0];
  }

  async setting(name: string): Promise<string | null> {
    return (await this.one({ value: TEXT }, "SELECT value FROM settings WHERE name = ?", [name]))?.value ?? null;
  }

  async set(name: string, value: string): Promise<void> {
    const sql = "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    await this.database.run(sql, [name, value]);
  }

  /** A name of the federation in this store, unlike all others'. */
  async federation(): Promise<string> {
    const id = randomBytes(8).toString("hex");
    await this.database.run("INSERT INTO settings (name, value) VALUES ('federation', ?) ON CONFLICT (name) DO NOTHING", [id]);
    return (await this.setting("federation"))!;
  }

  async forget(name: string): Promise<void> {
    await this.database.run("DELETE FROM settings WHERE name = ?", [name]);
  }

  /** Begins with a model, unless there is one: then it must have begun in the same way. @throws KingletError `misuse` where it has not. */
  async begin(agreed: string, first: StoredModel): Promise<void> {
    const then = await this.database.transaction(async (queries) => {
      const isNew = await queries.run("INSERT INTO settings (name, value) VALUES ('agreed', ?) ON CONFLICT (name) DO NOTHING", [agreed]);
      if (isNew === 1) await addModel(queries, first);
      const [row] = await queries.all({ value: TEXT }, "SELECT value FROM settings WHERE name = 'agreed'");
      return row!.value;
    });
    if (then === agreed) return;
    const [before, now] = [JSON.parse(then), JSON.parse(agreed)] as Record<string, unknown>[];
    const changed = Object.keys({ ...before, ...now }).filter((key) => JSON.stringify(before![key]) !== JSON.stringify(now![key]));
    throw new KingletError("misuse", `the federation in this store began with another ${changed.join(", ")}`, {
      hint: "Go on with what it began with, or name another store.",
    });
  }

  /** The client of a nonce, a new one where it is new. @throws Refusal `used-up` where the token has enrolled `uses` clients. */
  enrol(token: Pick<Enrolment, "id" | "uses">, nonce: string, now: number): Promise<number> {
    return this.groups.add((queries) => enrol(queries, token, nonce, now));
  }

  /** Those of these clients that were not shut out. */
  async welcome(clients: readonly number[]): Promise<number[]> {
    const expelled = new Set((await this.database.all({ client: NUMBER }, "SELECT client FROM expelled")).map(({ client }) => client));
    return clients.filter((client) => !expelled.has(client));
  }

  /** How many have enrolled, and how many of them were not shut out. */
  async clientCounts(): Promise<{ readonly enrolled: number; readonly members: number }> {
    const sql = "SELECT (SELECT COUNT(*) FROM clients) AS enrolled, (SELECT COUNT(*) FROM expelled) AS expelled";
    const { enrolled, expelled } = (await this.one({ enrolled: NUMBER, expelled: NUMBER }, sql))!;
    return { enrolled, members: enrolled - expelled };
  }

  async newestVersion(): Promise<number> {
    return (await this.one({ version: NUMBER }, "SELECT MAX(version) AS version FROM models"))!.version;
  }

  /** A version never changes, and all clients of a round want the same one: the last that was asked for is read once. */
  model(version: number): Promise<StoredModel | null> {
    if (this.asked?.version === version) return this.asked.model;
    const asked = { version, model: this.readModel(version) };
    this.asked = asked;
    const forget = (): void => {
      if (this.asked === asked) this.asked = undefined;
    };
    asked.model.then((model) => (model === null ? forget() : undefined), forget);
    return asked.model;
  }

  private async readModel(version: number): Promise<StoredModel | null> {
    return (await this.one(MODEL, "SELECT version, manifest, body FROM models WHERE version = ?", [version])) ?? null;
  }

  /** The newest version, and what is remembered for it under this name. */
  async newest(name: string): Promise<{ readonly model: StoredModel; readonly remembered: Uint8Array | null }> {
    // One statement, since between two a round may close.
    const sql = `SELECT version, manifest, body, (SELECT data FROM memory WHERE name = ?) AS remembered FROM models ORDER BY version DESC LIMIT 1`;
    const { remembered, ...model } = (await this.one({ ...MODEL, remembered: orNull(BYTES) }, sql, [name]))!;
    return { model, remembered };
  }

  /** Keeps how a version was judged. */
  async judged(version: number, accuracy: number): Promise<void> {
    await this.database.run("INSERT INTO judgements (version, accuracy) VALUES (?, ?) ON CONFLICT (version) DO NOTHING", [version, accuracy]);
  }

  /** The newest versions that were judged, newest first. */
  async judgements(most: number): Promise<Judgement[]> {
    const columns = { version: NUMBER, accuracy: NUMBER };
    return await this.database.all(columns, "SELECT version, accuracy FROM judgements ORDER BY version DESC LIMIT ?", [most]);
  }

  async memory(): Promise<Memory> {
    const rows = await this.database.all({ name: TEXT, data: BYTES }, "SELECT name, data FROM memory");
    return new Map(rows.map(({ name, data }) => [name, data]));
  }

  async openRound(): Promise<StoredRound | null> {
    return (await this.one(COLUMNS, `${ROUNDS} WHERE status = 'open'`)) ?? null;
  }

  /** The last rounds, newest first. */
  async rounds(most: number): Promise<StoredRound[]> {
    return await this.database.all(COLUMNS, `${ROUNDS} ORDER BY rounds.round DESC LIMIT ?`, [most]);
  }

  /** Rounds that gave a version, and the largest share of the ready clients that one of them asked. */
  async closedRounds(): Promise<{ readonly count: number; readonly share: number }> {
    const sql = "SELECT COUNT(*) AS count, COALESCE(MAX(CAST(selected AS DOUBLE PRECISION) / ready), 0) AS share FROM rounds WHERE status = 'closed'";
    return (await this.one({ count: NUMBER, share: NUMBER }, sql))!;
  }

  async counts(round: number): Promise<RoundCounts> {
    const sql = "SELECT status, COUNT(*) AS count, CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes FROM tasks WHERE round = ? GROUP BY status";
    const rows = await this.database.all({ status: oneOf(TASK), count: NUMBER, bytes: NUMBER }, sql, [round]);
    const of = (status: (typeof TASK)[number]): number => rows.find((row) => row.status === status)?.count ?? 0;
    const sent = rows.reduce((sum, { bytes }) => sum + bytes, 0);
    return { asked: of("asked"), answered: of("answered"), declined: of("declined"), bytes: sent };
  }

  /** Clients of a round that have not answered yet. */
  async askedClients(round: number): Promise<number[]> {
    const sql = "SELECT client FROM tasks WHERE round = ? AND status = 'asked' ORDER BY client";
    return (await this.database.all({ client: NUMBER }, sql, [round])).map(({ client }) => client);
  }

  /** What a client is asked for now. */
  async taskOf(client: number): Promise<StoredRound | null> {
    const sql = `${ROUNDS} JOIN tasks ON tasks.round = rounds.round
      WHERE rounds.status = 'open' AND tasks.client = ? AND tasks.status = 'asked'`;
    return (await this.one(COLUMNS, sql, [client])) ?? null;
  }

  /** Opens the next round; null where one is open, or there is another version by now. */
  async beginRound({ version, opened, deadline, wanted, selected, ready, clients, isSecure }: NewRound): Promise<StoredRound | null> {
    return await this.database.transaction(async (queries) => {
      await lockFederation(queries);
      const [open] = await queries.all({ round: NUMBER }, "SELECT round FROM rounds WHERE status = 'open'");
      const [newest] = await queries.all({ version: NUMBER }, "SELECT MAX(version) AS version FROM models");
      if (open !== undefined || newest!.version !== version) return null;
      const [last] = await queries.all({ round: NUMBER }, "SELECT COALESCE(MAX(round), 0) AS round FROM rounds");
      const round = last!.round + 1;
      const step = isSecure ? SECURE_STEPS[0] : null;
      const stored: StoredRound = { round, version, status: "open", opened, deadline, ended: null, wanted, selected, ready, step };
      await queries.run(
        "INSERT INTO rounds (round, version, status, opened, deadline, ended, wanted, selected, ready) VALUES (?, ?, 'open', ?, ?, NULL, ?, ?, ?)",
        [round, version, opened, deadline, wanted, selected, ready],
      );
      if (isSecure) await beginSteps(queries, round);
      for (const client of clients) await queries.run("INSERT INTO tasks (round, client, status) VALUES (?, ?, 'asked')", [round, client]);
      await declineForExpelled(queries, round);
      return stored;
    });
  }

  /** Gives an open round time until then. */
  async setDeadline(round: number, deadline: number): Promise<void> {
    await this.database.run("UPDATE rounds SET deadline = ? WHERE round = ? AND status = 'open'", [deadline, round]);
  }

  /**
   * Keeps an update, once; whoever sends the same again hears the same.
   * @throws Refusal `not-selected`, `already-answered`, `late` or `malformed`.
   */
  accept(submission: Submission, now: number): Promise<void> {
    return this.groups.add((queries) => accept(queries, submission, now));
  }

  /** @throws Refusal `not-selected`, `already-answered` or `late`. */
  decline(client: number, round: number, now: number): Promise<void> {
    return this.groups.add((queries) => decline(queries, client, round, now));
  }

  /**
   * Closes an open round: `work` makes the next version of its updates, which come in the order of the clients' numbers.
   * Gives false, and changes nothing, where it is over already, or fewer than `least` answers are there by now: whoever is shut out has none any more.
   */
  async closeRound(
    { round }: StoredRound,
    least: number,
    now: number,
    work: (frames: Frames) => Promise<{ readonly model: StoredModel; readonly memory: Memory }>,
  ): Promise<boolean> {
    return await this.database.transaction(async (queries) => {
      await lockRound(queries, round);
      const sql = `UPDATE rounds SET status = 'closed', ended = ? WHERE round = ? AND status = 'open'
        AND (SELECT COUNT(*) FROM tasks WHERE tasks.round = rounds.round AND tasks.status = 'answered') >= ?`;
      if ((await queries.run(sql, [now, round, least])) === 0) return false;
      const { model, memory } = await work(framesOf(queries, round));
      await addModel(queries, model);
      for (const [name, data] of memory)
        await queries.run("INSERT INTO memory (name, data) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET data = excluded.data", [name, data]);
      await forgetUpdates(queries, round);
      return true;
    });
  }

  /**
   * Ends a round without a new version. Gives false, and changes nothing, where it is over already, is at another step, or more than `answered` have
   * answered it.
   */
  async giveUp({ round, step }: StoredRound, now: number, answered: number): Promise<boolean> {
    return await this.database.transaction(async (queries) => {
      await lockRound(queries, round);
      const sql = `UPDATE rounds SET status = 'given up', ended = ? WHERE round = ? AND status = 'open'
        AND (SELECT COUNT(*) FROM tasks WHERE tasks.round = rounds.round AND tasks.status = 'answered') <= ?
        AND NOT EXISTS (SELECT step FROM secure_rounds WHERE secure_rounds.round = rounds.round AND step <> ?)`;
      if ((await queries.run(sql, [now, round, answered, step ?? ""])) === 0) return false;
      await forgetUpdates(queries, round);
      return true;
    });
  }
}

/** Of a round that is over. */
async function forgetUpdates(queries: Queries, round: number): Promise<void> {
  await queries.run("UPDATE tasks SET frame = NULL WHERE round = ?", [round]);
  await endSteps(queries, round);
}

async function addModel(queries: Queries, { version, manifest, body }: StoredModel): Promise<void> {
  await queries.run("INSERT INTO models (version, manifest, body) VALUES (?, ?, ?)", [version, manifest, body]);
  await queries.run("DELETE FROM models WHERE version <= ?", [version - KEPT_VERSIONS]);
}

async function* framesOf(queries: Queries, round: number): Frames {
  const sql = "SELECT client FROM tasks WHERE round = ? AND status = 'answered' ORDER BY client";
  const clients = await queries.all({ client: NUMBER }, sql, [round]);
  for (const { client } of clients) {
    // Reading and adding an update takes milliseconds: others are served between two.
    await new Promise((done) => setImmediate(done));
    const [row] = await queries.all({ frame: BYTES }, "SELECT frame FROM tasks WHERE round = ? AND client = ?", [round, client]);
    yield { client, frame: row!.frame };
  }
}
