import { readFileSync } from "node:fs";
import { KingletError } from "../base/index.ts";

type Peer = "pg" | "bullmq" | "ioredis";

/** The version that Kinglet is tested with, of its own manifest. */
function versionOf(peer: Peer): string {
  const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    readonly peerDependencies: Readonly<Record<Peer, string>>;
  };
  return manifest.peerDependencies[peer];
}

/** A library that few need, so that it is not installed with Kinglet. @throws KingletError `missing-tool` where it is not there. */
async function loaded<T>(peer: Peer, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new KingletError("missing-tool", `the package ${peer} is not installed here`, { hint: `Say npm install ${peer}@${versionOf(peer)}.` });
  }
}

/** The client of PostgreSQL. @throws KingletError `missing-tool`. */
export const pg = (): Promise<typeof import("pg")> => loaded("pg", () => import("pg"));

/** Queues over Redis. @throws KingletError `missing-tool`. */
export const bullmq = (): Promise<typeof import("bullmq")> => loaded("bullmq", () => import("bullmq"));

/** The client of Redis. @throws KingletError `missing-tool`. */
export const ioredis = (): Promise<Pick<typeof import("ioredis"), "Redis">> => loaded("ioredis", () => import("ioredis"));
