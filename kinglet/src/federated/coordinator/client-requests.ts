import { type Enrolment, Refusal } from "../protocol/index.ts";
import type { Queries } from "./database.ts";
import { NUMBER, oneOf, orNull, TEXT } from "./rows.ts";
import { ROUND, TASK } from "./schema.ts";

// What clients may change in the store. Each is a part of a transaction that others are in, too, and that holds the federation's lock: where it
// gives a refusal it has changed nothing.

/** An update as it came. */
export interface Submission {
  readonly round: number;
  readonly client: number;
  readonly version: number;
  readonly digest: string;
  readonly frame: Uint8Array;
}

/** Until the transaction ends, no client of another process changes anything, and no round begins. Locked before a round, so that nobody waits in a circle. */
export async function lockFederation(queries: Queries): Promise<void> {
  await queries.run("UPDATE settings SET value = value WHERE name = 'agreed'");
}

/** Until the transaction ends, nobody else answers a round or ends it: what is read of it from now on stays so. */
export async function lockRound(queries: Queries, round: number): Promise<void> {
  await queries.run("UPDATE rounds SET status = status WHERE round = ?", [round]);
}

/** What is heard by who shows a token that was revoked. */
export function revocation(): Refusal {
  return new Refusal("revoked", "this token was revoked: it enrols nobody any more");
}

export async function isRevoked(queries: Queries, id: string): Promise<boolean> {
  return (await queries.all({ id: TEXT }, "SELECT id FROM revoked WHERE id = ?", [id])).length > 0;
}

/** The client of a nonce, a new one where it is new. */
export async function enrol(queries: Queries, { id, uses }: Pick<Enrolment, "id" | "uses">, nonce: string, now: number): Promise<number | Refusal> {
  await queries.run("INSERT INTO tokens (id, used) VALUES (?, 0) ON CONFLICT (id) DO NOTHING", [id]);
  const [known] = await queries.all({ client: NUMBER }, "SELECT client FROM clients WHERE nonce = ? AND token = ?", [nonce, id]);
  if (known !== undefined) return known.client;
  if (await isRevoked(queries, id)) return revocation();
  const free = await queries.run("UPDATE tokens SET used = used + 1 WHERE id = ? AND used < ?", [id, uses]);
  if (free === 0) return new Refusal("used-up", `this token has enrolled ${uses} ${uses === 1 ? "client" : "clients"}, as many as it may`);
  const [last] = await queries.all({ client: NUMBER }, "SELECT COALESCE(MAX(client), 0) AS client FROM clients");
  const client = last!.client + 1;
  await queries.run("INSERT INTO clients (client, nonce, token, enrolled) VALUES (?, ?, ?, ?)", [client, nonce, id, now]);
  return client;
}

/** What a client's task says to a message about it; undefined where it may come. */
export type TaskRefusal = Refusal | "declined" | undefined;

export async function taskRefusal(queries: Queries, client: number, round: number, now: number): Promise<TaskRefusal> {
  const sql = `SELECT tasks.status AS task, rounds.status AS round, deadline FROM tasks JOIN rounds ON tasks.round = rounds.round
    WHERE tasks.round = ? AND client = ?`;
  const [row] = await queries.all({ task: oneOf(TASK), round: oneOf(ROUND), deadline: NUMBER }, sql, [round, client]);
  if (row === undefined) return new Refusal("not-selected", `client ${client} was not asked for an update in round ${round}`);
  if (row.task === "answered") return new Refusal("already-answered", `client ${client} has answered round ${round}`);
  if (row.task === "declined") return "declined";
  if (row.round !== "open" || row.task === "out" || now >= row.deadline) return new Refusal("late", `round ${round} is closed`);
  return undefined;
}

/** The same for a message that changes something. Locks the round until the transaction ends. */
export async function refusalFor(queries: Queries, client: number, round: number, now: number): Promise<TaskRefusal> {
  await lockRound(queries, round);
  return await taskRefusal(queries, client, round, now);
}

/** Keeps an update, unless it is there already. */
export async function accept(queries: Queries, { round, client, version, digest, frame }: Submission, now: number): Promise<Refusal | undefined> {
  const sql = "SELECT digest FROM tasks WHERE round = ? AND client = ? AND status = 'answered'";
  const [known] = await queries.all({ digest: orNull(TEXT) }, sql, [round, client]);
  if (known?.digest === digest) return undefined;
  const refusal = await refusalFor(queries, client, round, now);
  if (refusal === "declined") return new Refusal("already-answered", `client ${client} has declined round ${round}`);
  if (refusal !== undefined) return refusal;
  const [base] = await queries.all({ version: NUMBER }, "SELECT version FROM rounds WHERE round = ?", [round]);
  if (base!.version !== version) return new Refusal("malformed", `round ${round} begins with version ${base!.version}, not ${version}`);
  await queries.run("UPDATE tasks SET status = 'answered', digest = ?, bytes = ?, frame = ? WHERE round = ? AND client = ?", [
    digest,
    frame.length,
    frame,
    round,
    client,
  ]);
  return undefined;
}

/** A client that was asked will not answer. */
export async function decline(queries: Queries, client: number, round: number, now: number): Promise<Refusal | undefined> {
  const refusal = await refusalFor(queries, client, round, now);
  if (refusal === "declined") return undefined;
  if (refusal === undefined) await queries.run("UPDATE tasks SET status = 'declined' WHERE round = ? AND client = ?", [round, client]);
  return refusal;
}
