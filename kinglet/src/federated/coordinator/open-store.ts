import { KingletError } from "../../base/index.ts";
import type { CoordinatorOptions } from "./coordinator.ts";
import type { Database } from "./database.ts";
import { checkRedisAddress } from "../redis.ts";
import { openPostgres } from "./postgres.ts";
import { overRedis } from "./shared-processes.ts";
import { openSqlite } from "./sqlite.ts";

/** Where a federation's state lies, and how the processes over it work together: what `Coordinator.open` wants of both. */
export interface OpenStore extends Pick<CoordinatorOptions, "join"> {
  readonly database: Database;
}

const POSTGRES = /^postgres(ql)?:\/\//;

/** @throws KingletError `misuse` for a store or a queue without the other. */
export function checkStore(store: string, queue: string | undefined): void {
  const isServer = POSTGRES.test(store);
  if (isServer && queue === undefined)
    throw new KingletError("misuse", "processes over one database need a Redis to work together", { hint: "Say --queue redis://host." });
  if (!isServer && queue !== undefined)
    throw new KingletError("misuse", "a file is for one process, which needs no queue", { hint: "Say --store postgres://user@host/name." });
  if (queue !== undefined) checkRedisAddress(queue);
}

/**
 * Opens a file for one process, or a PostgreSQL database and a Redis for as many as there are.
 * @param store a path, or `postgres://…`; with the latter
 * @param queue `redis://…`
 * @throws KingletError what `checkStore` throws, and what cannot be opened.
 */
export async function openStore(store: string, queue: string | undefined): Promise<OpenStore> {
  checkStore(store, queue);
  if (queue === undefined) return { database: await openSqlite(store) };
  return { database: await openPostgres(store), join: overRedis(queue) };
}
