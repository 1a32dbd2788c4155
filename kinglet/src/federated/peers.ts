import { KingletError } from "../base/index.ts";

/** Loads an optional library. @throws KingletError `missing-tool` that says how to install it. */
async function peer<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new KingletError("missing-tool", `this needs the library ${name}, which is not installed`, { hint: `npm install ${name}` });
  }
}

/** Queues over Redis. @throws KingletError `missing-tool` where it is not installed. */
export async function bullmq(): Promise<typeof import("bullmq")> {
  return await peer("bullmq", () => import("bullmq"));
}

/** Redis. @throws KingletError `missing-tool` where it is not installed. */
export async function ioredis(): Promise<Pick<typeof import("ioredis"), "Redis">> {
  return await peer("ioredis", () => import("ioredis"));
}
