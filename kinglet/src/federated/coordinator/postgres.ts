import type { Pool, PoolClient, QueryResult } from "pg";
import { KingletError } from "../../base/index.ts";
import { pg } from "../peers.ts";
import type { Database, Queries } from "./database.ts";
import { checkedRows, type SqlValue } from "./rows.ts";

/** Where a federation's tables lie, unless the address says otherwise. */
const SCHEMA = "kinglet";
const CONNECTIONS = 10;
const CONNECT_MS = 5000;
const KEEP_ALIVE_MS = 10_000;
/** A server that does not answer for so long counts as away; an address may say otherwise (`query_timeout`, `statement_timeout`). */
const MOST_QUERY_MS = 120_000;
/** What a server that is there has not done by then, it does not do later: whoever asked is told that it was not done. */
const MOST_STATEMENT_MS = 110_000;
/** What the driver says once `query_timeout` is over. */
const SILENT = "Query read timeout";
/** A process that stands still in the middle of a transaction holds the others up for no longer. */
const MOST_IDLE_MS = 120_000;
/** Numbers of PostgreSQL's types. */
const [BIGINT, BYTEA] = [20, 17];

/** `?` as PostgreSQL has it: $1, $2 … */
function numbered(sql: string): string {
  let count = 0;
  return sql.replaceAll("?", () => `$${++count}`);
}

/** Whole numbers of 64 bits as numbers, bytes as plain arrays. */
function parserOf(library: typeof import("pg")): { getTypeParser: typeof library.types.getTypeParser } {
  const { types } = library;
  const bytes = types.getTypeParser(BYTEA, "text") as (text: string) => Buffer;
  const ours = new Map<number, (text: string) => unknown>([
    [BIGINT, Number],
    [
      BYTEA,
      (text) => {
        const { buffer, byteOffset, length } = bytes(text);
        return new Uint8Array(buffer, byteOffset, length);
      },
    ],
  ]);
  return { getTypeParser: ((type: number, format: "text") => ours.get(type) ?? types.getTypeParser(type, format)) as typeof types.getTypeParser };
}

function queriesOf(connection: Pool | PoolClient): Queries {
  const ask = (sql: string, values: readonly SqlValue[] = []): Promise<QueryResult> => connection.query(numbered(sql), [...values]);
  return {
    all: async (columns, sql, values) => checkedRows(columns, (await ask(sql, values)).rows),
    run: async (sql, values) => (await ask(sql, values)).rowCount ?? 0,
  };
}

/**
 * Connections to a server. Each statement of a transaction sees what others have committed before it (READ COMMITTED), so whoever has locked a row
 * by changing it sees all that was done by those who had it before: the store locks the federation or a round first, and always in this order.
 */
class PostgresDatabase implements Database {
  readonly bytesType = "BYTEA";
  readonly beforeTables: readonly string[];
  readonly all: Queries["all"];
  readonly run: Queries["run"];
  private readonly pool: Pool;

  constructor(pool: Pool, schema: string) {
    this.pool = pool;
    ({ all: this.all, run: this.run } = queriesOf(pool));
    this.beforeTables = [`SELECT pg_advisory_xact_lock(hashtext('kinglet ${schema}'))`, `CREATE SCHEMA IF NOT EXISTS "${schema}"`];
  }

  async transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    // Where it breaks, the next statement tells; until then nobody else listens.
    const ignore = (): void => {};
    client.on("error", ignore);
    let whole = false;
    try {
      await client.query("BEGIN ISOLATION LEVEL READ COMMITTED");
      const result = await work(queriesOf(client));
      await client.query("COMMIT");
      whole = true;
      return result;
    } catch (error) {
      // Without the connection the server does it by itself; one that says nothing is not asked again.
      if ((error as Error).message !== SILENT)
        whole = await client.query("ROLLBACK").then(
          () => true,
          () => false,
        );
      throw error;
    } finally {
      client.off("error", ignore);
      client.release(!whole);
    }
  }

  async close(): Promise<void> {
    if (!this.pool.ended) await this.pool.end();
  }
}

/** The schema that an address names; the rest is the driver's. */
function schemaOf(url: string): { readonly schema: string; readonly connectionString: string } {
  const address = URL.canParse(url) ? new URL(url) : undefined;
  if (address === undefined)
    throw new KingletError("misuse", "this is no address of a database", { hint: "It looks like postgres://user@host/name." });
  const schema = address.searchParams.get("schema") ?? SCHEMA;
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema))
    throw new KingletError("misuse", `the schema is named ${schema}`, { hint: "Take small letters, digits and underscores." });
  address.searchParams.delete("schema");
  return { schema, connectionString: address.href };
}

/**
 * A federation's state in a schema of a PostgreSQL database, for several processes at once: `postgres://user@host/name?schema=kinglet`.
 * @throws KingletError `misuse` where the server cannot be reached or does not let this user in, `missing-tool` without the package `pg`.
 */
export async function openPostgres(url: string): Promise<Database> {
  const { schema, connectionString } = schemaOf(url);
  const library = await pg();
  const pool = new library.Pool({
    connectionString,
    max: CONNECTIONS,
    connectionTimeoutMillis: CONNECT_MS,
    idle_in_transaction_session_timeout: MOST_IDLE_MS,
    query_timeout: MOST_QUERY_MS,
    statement_timeout: MOST_STATEMENT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    // What is acknowledged is on the disk, whatever the server thinks of others' transactions.
    options: `-c search_path=${schema} -c synchronous_commit=on`,
    types: parserOf(library),
  });
  // A connection that rests and breaks is replaced.
  pool.on("error", () => {});
  try {
    await pool.query("SELECT 1");
  } catch (error) {
    await pool.end();
    throw new KingletError("misuse", `the database cannot be used: ${(error as Error).message}`, {
      hint: "Is the server running, and the address right?",
    });
  }
  return new PostgresDatabase(pool, schema);
}
