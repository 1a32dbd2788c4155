import { Refusal, SECURE_STEPS, type SecureStep } from "../protocol/index.ts";
import { lockRound, refusalFor, type TaskRefusal, taskRefusal } from "./client-requests.ts";
import type { Database, Queries } from "./database.ts";
import type { GroupCommit } from "./group-commit.ts";
import { BYTES, NUMBER, oneOf, type SqlValue, TEXT } from "./rows.ts";

/** A client's answer to a step of secure aggregation. */
export interface StepAnswer {
  readonly round: number;
  readonly client: number;
  readonly step: SecureStep;
  readonly digest: string;
  /** As it came. */
  readonly body: Uint8Array;
}

/** Shares that only their recipient can read, in hexadecimal. */
export interface KeptShares {
  readonly to: number;
  readonly sealed: string;
}

/** A client's message, as it came. */
export interface Kept {
  readonly client: number;
  readonly body: Uint8Array;
}

/** Looks into an answer that came in time; a refusal changes nothing. */
export type Check = (read: SecureRead) => Promise<Refusal | undefined>;

/** What of a round's answers is read. */
export class SecureRead {
  private readonly queries: Queries;
  private readonly round: number;

  constructor(queries: Queries, round: number) {
    this.queries = queries;
    this.round = round;
  }

  /** The version that clients began with. */
  async version(): Promise<number> {
    return (await this.queries.all({ version: NUMBER }, "SELECT version FROM rounds WHERE round = ?", [this.round]))[0]!.version;
  }

  /** Clients whose answer to a step came in time. */
  async clients(step: SecureStep): Promise<number[]> {
    const sql = "SELECT client FROM secure_answers WHERE round = ? AND step = ? ORDER BY client";
    return (await this.queries.all({ client: NUMBER }, sql, [this.round, step])).map(({ client }) => client);
  }

  /** None once the round is over. */
  async answers(step: "keys" | "revelation"): Promise<Kept[]> {
    const sql = "SELECT client, body FROM secure_answers WHERE round = ? AND step = ? AND body IS NOT NULL ORDER BY client";
    return await this.queries.all({ client: NUMBER, body: BYTES }, sql, [this.round, step]);
  }

  /** A client's masked update, as it came: all of them at once may be too many. */
  async update(client: number): Promise<Uint8Array> {
    const sql = "SELECT body FROM secure_answers WHERE round = ? AND step = 'update' AND client = ?";
    return (await this.queries.all({ body: BYTES }, sql, [this.round, client]))[0]!.body;
  }

  /** What others have for a client. */
  async sharesFor(client: number): Promise<{ readonly from: number; readonly sealed: string }[]> {
    const sql = "SELECT client, sealed FROM secure_shares WHERE round = ? AND recipient = ? ORDER BY client";
    const rows = await this.queries.all({ client: NUMBER, sealed: TEXT }, sql, [this.round, client]);
    return rows.map((row) => ({ from: row.client, sealed: row.sealed }));
  }
}

const STEP = { step: oneOf(SECURE_STEPS) };

/** Why a client's part in a step is refused now; undefined where it is not. */
async function stepRefusal(
  queries: Queries,
  { client, round, step }: Pick<StepAnswer, "client" | "round" | "step">,
  task: TaskRefusal,
): Promise<Refusal | undefined> {
  if (task === "declined") return new Refusal("already-answered", `client ${client} has declined round ${round}`);
  if (task !== undefined) return task;
  const now = (await queries.all(STEP, "SELECT step FROM secure_rounds WHERE round = ?", [round]))[0]!.step;
  if (now === step) return undefined;
  const passed = SECURE_STEPS.indexOf(step) < SECURE_STEPS.indexOf(now);
  return new Refusal(passed ? "late" : "malformed", `round ${round} asks for ${now}, not for ${step}`);
}

async function keep(queries: Queries, { round, client, step, digest, body }: StepAnswer, shares: readonly KeptShares[]): Promise<void> {
  const kept = step === "shares" ? null : body;
  await queries.run("INSERT INTO secure_answers (round, step, client, digest, body) VALUES (?, ?, ?, ?, ?)", [round, step, client, digest, kept]);
  if (shares.length > 0) {
    const values = shares.flatMap(({ to, sealed }): SqlValue[] => [round, to, client, sealed]);
    const places = shares.map(() => "(?, ?, ?, ?)").join(", ");
    await queries.run(`INSERT INTO secure_shares (round, recipient, client, sealed) VALUES ${places}`, values);
  }
  const sql = "UPDATE tasks SET status = 'answered', bytes = COALESCE(bytes, 0) + ? WHERE round = ? AND client = ?";
  await queries.run(sql, [body.length, round, client]);
}

async function accept(queries: Queries, answer: StepAnswer, shares: readonly KeptShares[], check: Check, now: number): Promise<Refusal | undefined> {
  const { round, client, step, digest } = answer;
  const sql = "SELECT digest FROM secure_answers WHERE round = ? AND step = ? AND client = ?";
  const [known] = await queries.all({ digest: TEXT }, sql, [round, step, client]);
  if (known?.digest === digest) return undefined;
  if (known !== undefined) return new Refusal("already-answered", `client ${client} has sent its ${step} of round ${round}`);
  const refusal = await stepRefusal(queries, answer, await refusalFor(queries, client, round, now));
  if (refusal !== undefined) return refusal;
  const wrong = await check(new SecureRead(queries, round));
  if (wrong === undefined) await keep(queries, answer, shares);
  return wrong;
}

/** Opens a round's first step. */
export async function beginSteps(queries: Queries, round: number): Promise<void> {
  await queries.run("INSERT INTO secure_rounds (round, step) VALUES (?, ?)", [round, SECURE_STEPS[0]]);
}

/**
 * What a round that is over does not need: nobody shall add it up otherwise. Whoever was asked to reveal has its update in the version; where there is
 * none, nobody has answered more than a step.
 */
export async function endSteps(queries: Queries, round: number): Promise<void> {
  await queries.run(
    `UPDATE tasks SET status = CASE WHEN EXISTS (SELECT round FROM rounds WHERE round = ? AND status = 'closed') THEN 'answered' ELSE 'out' END
      WHERE round = ? AND status IN ('asked', 'answered') AND EXISTS (SELECT round FROM secure_rounds WHERE round = ?)`,
    [round, round, round],
  );
  await queries.run("UPDATE secure_answers SET body = NULL WHERE round = ?", [round]);
  await queries.run("DELETE FROM secure_shares WHERE round = ?", [round]);
}

/** What the store knows of rounds of secure aggregation. */
export class SecureStore {
  private readonly database: Database;
  private readonly groups: GroupCommit;

  constructor(database: Database, groups: GroupCommit) {
    this.database = database;
    this.groups = groups;
  }

  read(round: number): SecureRead {
    return new SecureRead(this.database, round);
  }

  /** Keeps an answer, once; whoever sends the same again hears the same. @throws Refusal where the client is not asked for it, and of `check`. */
  accept(answer: StepAnswer, shares: readonly KeptShares[], check: Check, now: number): Promise<void> {
    return this.groups.add((queries) => accept(queries, answer, shares, check, now));
  }

  /** @throws Refusal where a client is not asked for this step now. */
  async checkAsked(client: number, round: number, step: SecureStep, now: number): Promise<void> {
    const refusal = await stepRefusal(this.database, { client, round, step }, await taskRefusal(this.database, client, round, now));
    if (refusal !== undefined) throw refusal;
  }

  /** Ends a step: whoever did not answer is out, the others are asked for the next. Gives false where somebody else has ended it. */
  async goOn(round: number, step: SecureStep, next: SecureStep, deadline: number): Promise<boolean> {
    return await this.database.transaction(async (queries) => {
      await lockRound(queries, round);
      const sql = "SELECT step FROM secure_rounds JOIN rounds ON rounds.round = secure_rounds.round WHERE rounds.round = ? AND status = 'open'";
      const [now] = await queries.all(STEP, sql, [round]);
      if (now?.step !== step) return false;
      await queries.run("UPDATE secure_rounds SET step = ? WHERE round = ?", [next, round]);
      await queries.run("UPDATE rounds SET deadline = ? WHERE round = ?", [deadline, round]);
      await queries.run("UPDATE tasks SET status = 'out' WHERE round = ? AND status = 'asked'", [round]);
      await queries.run("UPDATE tasks SET status = 'asked' WHERE round = ? AND status = 'answered'", [round]);
      return true;
    });
  }
}
