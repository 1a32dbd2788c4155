import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "vitest";
import { findProgram } from "../../boards/index.ts";
import { connectRedis } from "./redis.ts";

/** A Redis of a test's own, on a socket in a temporary folder. */
export interface TestRedis {
  /** Where it is. */
  readonly url: string;
  /** The most memory that it has taken. */
  peakBytes(): Promise<number>;
  close(): Promise<void>;
}

async function answering(url: string, server: ChildProcess): Promise<void> {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`redis-server ended with ${server.exitCode}`);
    const redis = await connectRedis(url).catch(() => null);
    if (redis !== null) return redis.disconnect();
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Starts one; null where redis-server is not on this machine, which in CI is a failure. */
export async function startRedis(): Promise<TestRedis | null> {
  const program = findProgram("redis-server");
  if (program === null) {
    if (process.env["CI"]) throw new Error("needs redis-server; in CI nothing may be missing");
    return null;
  }
  const folder = await mkdtemp(join(tmpdir(), "kinglet-redis-"));
  const url = join(folder, "redis.sock");
  const server = spawn(program, ["--port", "0", "--unixsocket", url, "--save", "", "--dir", folder], { stdio: "ignore" });
  await answering(url, server);
  return {
    url,
    peakBytes: async () => {
      const redis = await connectRedis(url);
      const memory = await redis.info("memory");
      redis.disconnect();
      return Number(/used_memory_peak:(\d+)/.exec(memory)![1]);
    },
    close: async () => {
      server.kill();
      if (server.exitCode === null) await once(server, "exit");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The Redis, or the end of a test that needs one. */
export function needRedis(context: TestContext, redis: TestRedis | null): TestRedis {
  if (redis === null) context.skip("needs redis-server, which this machine does not have");
  return redis!;
}
