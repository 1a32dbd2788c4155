import type { Redis } from "ioredis";
import { KingletError } from "../../base/index.ts";
import { ioredis } from "../peers.ts";

/** All keys begin so, those of BullMQ's queues, too. */
export const PREFIX = "kinglet";

/** A hash of all runs at this Redis: on which samples each is. */
export const RUNS = `${PREFIX}:runs`;

/** A run's key says what all of its jobs have in common; with a name behind it, one thing of the run. */
export function runKey(run: string, name?: string): string {
  return `${PREFIX}:run:${run}${name === undefined ? "" : `:${name}`}`;
}

/** What lies in Redis is forgotten after so long, unless its owner is there and says otherwise. */
export const FORGOTTEN_MS = 3_600_000;

const [FIRST_MS, AGAIN_MS] = [10_000, 1000];

/** An address as it may be shown, without a password: before the host, or among the options after it. */
export function shownAddress(url: string): string {
  if (url.startsWith("/") || !url.includes("@")) return url.replace(/\?.*$/s, "");
  const [scheme = ""] = /^\w+:\/\//.exec(url) ?? [];
  const { host, pathname, search, hash } = URL.canParse(url) ? new URL(url) : { host: "", pathname: "", search: "", hash: "" };
  // With an @ behind what reads as the host, that may be a part of a password.
  const isPlain = host !== "" && ![pathname, search, hash].some((part) => part.includes("@"));
  return `${scheme}${isPlain ? `${host}${pathname}` : "…"}`;
}

/**
 * A connection to `redis://host:6379`, `rediss://…` or the path of a socket. Once it was there it is made again for ever.
 * @throws KingletError `misuse` for another address, `bad-input` where no Redis answers, `missing-tool` without ioredis.
 */
export async function connectRedis(url: string): Promise<Redis> {
  if (!/^(rediss?:\/\/|\/)/.test(url)) throw new KingletError("misuse", `${shownAddress(url)} is no address of a Redis such as redis://host:6379`);
  const { Redis: Client } = await ioredis();
  let [why, connected] = ["", false];
  const retryStrategy = (): number | null => (connected ? AGAIN_MS : null);
  const redis = new Client(url, { lazyConnect: true, connectTimeout: FIRST_MS, maxRetriesPerRequest: null, retryStrategy });
  redis.on("error", (error: Error) => (why = error.message));
  try {
    await redis.connect();
    await redis.ping();
    connected = true;
    return redis;
  } catch (error) {
    redis.disconnect();
    const told = why || (error instanceof Error ? error.message : String(error));
    throw new KingletError("bad-input", `no Redis answers: ${told}`, { place: shownAddress(url), hint: "redis-server starts one." });
  }
}
