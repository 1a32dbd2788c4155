import type { Database } from "./database.ts";

/** What may become of a round, and of a client's task in one; `out` is who missed a step of secure aggregation. */
export const ROUND = ["open", "closed", "given up"] as const;
export const TASK = ["asked", "answered", "declined", "out"] as const;

/** Times are milliseconds since 1970. `BYTES` is the database's own type. */
const TABLES: readonly string[] = [
  // agreed: what must stay the same. federation: a name unlike all others'. paused: whether somebody did. finished: with which version.
  "CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
  // Clients of each enrolment token.
  "CREATE TABLE IF NOT EXISTS tokens (id TEXT PRIMARY KEY, used BIGINT NOT NULL)",
  "CREATE TABLE IF NOT EXISTS clients (client BIGINT PRIMARY KEY, nonce TEXT NOT NULL, token TEXT NOT NULL, enrolled BIGINT NOT NULL, UNIQUE (token, nonce))",
  // Clients that were shut out, and enrolment tokens that let nobody in any more.
  "CREATE TABLE IF NOT EXISTS expelled (client BIGINT PRIMARY KEY, at BIGINT NOT NULL)",
  "CREATE TABLE IF NOT EXISTS revoked (id TEXT PRIMARY KEY, at BIGINT NOT NULL)",
  // body: parameters and, for SCAFFOLD, the common control variate.
  "CREATE TABLE IF NOT EXISTS models (version BIGINT PRIMARY KEY, manifest TEXT NOT NULL, body BYTES NOT NULL)",
  // The share of right answers of versions that were judged.
  "CREATE TABLE IF NOT EXISTS judgements (version BIGINT PRIMARY KEY, accuracy DOUBLE PRECISION NOT NULL)",
  // What the coordinator's optimizer remembers, for the newest version.
  "CREATE TABLE IF NOT EXISTS memory (name TEXT PRIMARY KEY, data BYTES NOT NULL)",
  // status: of ROUND. version: the one that clients begin with. wanted, selected, ready: numbers of clients.
  `CREATE TABLE IF NOT EXISTS rounds (round BIGINT PRIMARY KEY, version BIGINT NOT NULL, status TEXT NOT NULL, opened BIGINT NOT NULL,
    deadline BIGINT NOT NULL, ended BIGINT, wanted BIGINT NOT NULL, selected BIGINT NOT NULL, ready BIGINT NOT NULL)`,
  // status: of TASK; with secure aggregation of the step that the round is at. frame: the update as it came, until its round is over; digest: its SHA-256.
  `CREATE TABLE IF NOT EXISTS tasks (round BIGINT NOT NULL, client BIGINT NOT NULL, status TEXT NOT NULL, digest TEXT, bytes BIGINT, frame BYTES,
    PRIMARY KEY (round, client))`,
  // Of rounds of secure aggregation: the step that they are at.
  "CREATE TABLE IF NOT EXISTS secure_rounds (round BIGINT PRIMARY KEY, step TEXT NOT NULL)",
  // What clients answered to each step, as it came, until the round is over; shares for others lie apart. digest: its SHA-256.
  `CREATE TABLE IF NOT EXISTS secure_answers (round BIGINT NOT NULL, step TEXT NOT NULL, client BIGINT NOT NULL, digest TEXT NOT NULL, body BYTES,
    PRIMARY KEY (round, step, client))`,
  `CREATE TABLE IF NOT EXISTS secure_shares (round BIGINT NOT NULL, recipient BIGINT NOT NULL, client BIGINT NOT NULL, sealed TEXT NOT NULL,
    PRIMARY KEY (round, recipient, client))`,
];

export async function createTables(database: Database): Promise<void> {
  await database.transaction(async (queries) => {
    for (const statement of database.beforeTables) await queries.run(statement);
    for (const table of TABLES) await queries.run(table.replaceAll("BYTES", database.bytesType));
  });
}
