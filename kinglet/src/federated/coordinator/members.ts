import { type ClientReport, type ClientsAnswer, type Credential, Refusal } from "../protocol/index.ts";
import { isRevoked, lockFederation, lockRound, revocation } from "./client-requests.ts";
import type { Database, Queries } from "./database.ts";
import { NUMBER, orNull, TEXT } from "./rows.ts";

/** Clients of one answer. */
const MOST_LISTED = 1000;

/** What a client hears that was shut out. */
export function expulsion(client: number): Refusal {
  return new Refusal("expelled", `client ${client} was expelled from this federation`);
}

/** Nobody waits for clients that were shut out while a round began. A part of that transaction. */
export async function declineForExpelled(queries: Queries, round: number): Promise<void> {
  await queries.run("UPDATE tasks SET status = 'declined' WHERE round = ? AND client IN (SELECT client FROM expelled)", [round]);
}

const COLUMNS = {
  client: NUMBER,
  token: TEXT,
  enrolled: NUMBER,
  expelled: orNull(NUMBER),
  lastAnswered: orNull(NUMBER),
  answered: NUMBER,
  declined: NUMBER,
};
const REPORT = `SELECT clients.client, token, enrolled, expelled.at AS expelled, done.last AS "lastAnswered",
    COALESCE(done.answered, 0) AS answered, COALESCE(done.declined, 0) AS declined
  FROM clients LEFT JOIN expelled ON expelled.client = clients.client LEFT JOIN
    (SELECT client, MAX(CASE WHEN status = 'answered' THEN round END) AS last, COUNT(CASE WHEN status = 'answered' THEN 1 END) AS answered,
      COUNT(CASE WHEN status = 'declined' THEN 1 END) AS declined FROM tasks WHERE client >= ? GROUP BY client) AS done
    ON done.client = clients.client
  WHERE clients.client >= ? ORDER BY clients.client LIMIT ?`;

async function reports(queries: Queries, from: number, most: number): Promise<ClientReport[]> {
  return await queries.all(COLUMNS, REPORT, [from, from, most]);
}

/** Who has enrolled, and who may not come any more. */
export class Members {
  private readonly database: Database;

  constructor(database: Database) {
    this.database = database;
  }

  /** @throws Refusal `unauthorized` for a client that did not enrol here with this nonce, `expelled` for one that was shut out. */
  async check({ client, nonce }: Pick<Credential, "client" | "nonce">): Promise<void> {
    const sql = "SELECT at FROM clients LEFT JOIN expelled ON expelled.client = clients.client WHERE clients.client = ? AND nonce = ?";
    const [row] = await this.database.all({ at: orNull(NUMBER) }, sql, [client, nonce]);
    if (row === undefined) throw new Refusal("unauthorized", `client ${client} is not enrolled here`);
    if (row.at !== null) throw expulsion(client);
  }

  /** @throws Refusal `revoked`. */
  async checkToken(id: string): Promise<void> {
    if (await isRevoked(this.database, id)) throw revocation();
  }

  /** Clients with higher numbers than `after`, in their order. */
  async list(after: number): Promise<ClientsAnswer> {
    const found = await reports(this.database, after + 1, MOST_LISTED + 1);
    return { clients: found.slice(0, MOST_LISTED), more: found.length > MOST_LISTED };
  }

  /**
   * Shuts a client out. In the open round it counts as one that declined, even if its update was accepted already: who is shut out is
   * rarely trusted. What it has masked is left out as long as updates are taken; later the sum has it. Versions that were made before stay as they
   * are. @throws Refusal `not-found`.
   */
  async expel(client: number, now: number): Promise<ClientReport> {
    const report = await this.database.transaction(async (queries) => {
      await lockFederation(queries);
      const [open] = await queries.all({ round: NUMBER }, "SELECT round FROM rounds WHERE status = 'open'");
      if (open !== undefined) await lockRound(queries, open.round);
      const [known] = await queries.all({ client: NUMBER }, "SELECT client FROM clients WHERE client = ?", [client]);
      if (known === undefined) return undefined;
      await queries.run("INSERT INTO expelled (client, at) VALUES (?, ?) ON CONFLICT (client) DO NOTHING", [client, now]);
      await queries.run(
        `UPDATE tasks SET status = 'declined', digest = NULL, frame = NULL WHERE client = ? AND status <> 'declined'
          AND round IN (SELECT round FROM rounds WHERE status = 'open')`,
        [client],
      );
      await queries.run(
        "DELETE FROM secure_answers WHERE client = ? AND step = 'update' AND round IN (SELECT round FROM secure_rounds WHERE step = 'update')",
        [client],
      );
      return (await reports(queries, client, 1))[0];
    });
    if (report === undefined) throw new Refusal("not-found", `no client ${client} has enrolled here`);
    return report;
  }

  /** Lets nobody enrol any more with the token of this id. Gives how many have enrolled with it. */
  async revoke(token: string, now: number): Promise<number> {
    return await this.database.transaction(async (queries) => {
      // An enrolment that has not seen this is done before.
      await lockFederation(queries);
      await queries.run("INSERT INTO revoked (id, at) VALUES (?, ?) ON CONFLICT (id) DO NOTHING", [token, now]);
      const [row] = await queries.all({ count: NUMBER }, "SELECT COUNT(*) AS count FROM clients WHERE token = ?", [token]);
      return row!.count;
    });
  }
}
