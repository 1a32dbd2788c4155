import type { Redis, RedisOptions } from "ioredis";
import { KingletError } from "../base/index.ts";
import { ioredis } from "./peers.ts";

/** All keys and channels begin so, those of BullMQ's queues, too. */
export const PREFIX = "kinglet";

const MOST_AGAIN_MS = 1000;

/** How long a connection that broke waits before it is made again. */
export const again = (tries: number): number => Math.min(MOST_AGAIN_MS, 50 * tries);

/** An address as it may be shown, without a password: before the host, or among the options after it. */
export function shownAddress(url: string): string {
  if (url.startsWith("/") || !url.includes("@")) return url.replace(/\?.*$/s, "");
  const [scheme = ""] = /^\w+:\/\//.exec(url) ?? [];
  const { host, pathname, search, hash } = URL.canParse(url) ? new URL(url) : { host: "", pathname: "", search: "", hash: "" };
  // With an @ behind what reads as the host, that may be a part of a password.
  const isPlain = host !== "" && ![pathname, search, hash].some((part) => part.includes("@"));
  return `${scheme}${isPlain ? `${host}${pathname}` : "…"}`;
}

/** @throws KingletError `misuse` for what is not `redis://host:6379`, `rediss://…` or the path of a socket. */
export function checkRedisAddress(url: string): void {
  if (/^(rediss?:\/\/|\/)/.test(url)) return;
  throw new KingletError("misuse", `${shownAddress(url)} is no address of a Redis`, { hint: "It looks like redis://host:6379." });
}

/** @param why as the client of Redis says it. */
export function noRedis(url: string, why: string): KingletError {
  return new KingletError("bad-input", `the Redis cannot be used: ${why}`, {
    place: shownAddress(url),
    hint: "Is it running (redis-server starts one), and the address right?",
  });
}

/** What is asked of a connection whose commands rather fail than wait. */
type Impatience = Pick<RedisOptions, "maxRetriesPerRequest" | "commandTimeout" | "enableAutoPipelining">;

/**
 * A connection to a Redis. Once it was there it is made again for ever, and unless `more` says otherwise commands wait for it.
 * @throws KingletError `misuse` for another address, `bad-input` where no Redis answers or lets in, `missing-tool` without ioredis.
 */
export async function connectRedis(url: string, more: Impatience = {}): Promise<Redis> {
  checkRedisAddress(url);
  const { Redis: Client } = await ioredis();
  let [why, connected] = ["", false];
  const retryStrategy = (tries: number): number | null => (connected ? again(tries) : null);
  const redis = new Client(url, { maxRetriesPerRequest: null, ...more, lazyConnect: true, retryStrategy });
  redis.on("error", (error: Error) => (why = error.message));
  try {
    await redis.connect();
    await redis.ping();
    connected = true;
    return redis;
  } catch (error) {
    redis.disconnect();
    throw noRedis(url, why || (error instanceof Error ? error.message : String(error)));
  }
}
