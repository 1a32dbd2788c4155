import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { realpathSync } from "node:fs";
import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "vitest";
import { findTool, requireTool } from "../../boards/index.ts";
import { needTools } from "../../boards/tool-gate.ts";
import { freePort } from "./process-testing.ts";

const SERVERS = ["postgres", "redis-server"] as const;

export const hasServers = (): boolean => SERVERS.every((id) => findTool(id) !== null);

/** Skips a test where PostgreSQL or Redis is not installed, as `needTools` does. */
export const needServers = (context: TestContext): void => needTools(context, ...SERVERS);

/** A server in a process of its own, which a test may stop and start again. */
export interface TestServer {
  readonly url: string;
  start(): Promise<void>;
  /** At once, as a crash would. */
  kill(): Promise<void>;
  /** For good, with what it wrote. */
  end(): Promise<void>;
}

/** Whoever is root runs PostgreSQL as Debian's user for it: it refuses to run as root. */
function postgresUser(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const id = (what: string): number => Number(spawnSync("id", [what, "postgres"]).stdout.toString());
  return { uid: id("-u"), gid: id("-g") };
}

async function eventually(check: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (check()) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`${what} did not start`);
}

interface Launch {
  readonly folder: string;
  readonly url: string;
  readonly launch: () => ChildProcess;
  readonly isReady: () => boolean;
  readonly signal: NodeJS.Signals;
}

/** A server's processes, one after the other; the first is there when it resolves. */
async function begun({ folder, url, launch, isReady, signal }: Launch): Promise<TestServer> {
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    child = launch();
    await eventually(isReady, url);
  };
  const kill = async (): Promise<void> => {
    if (child?.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, "exit");
  };
  const end = async (): Promise<void> => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  };
  await start().catch(async (error: unknown) => {
    await end();
    throw error;
  });
  return { url, start, kill, end };
}

/** A new PostgreSQL. */
export async function newPostgres(): Promise<TestServer> {
  // Its programs lie together; the path may only have a link.
  const postgres = realpathSync(requireTool("postgres"));
  const bin = dirname(postgres);
  const user = postgresUser();
  const folder = await mkdtemp(join(tmpdir(), "kinglet-postgres-"));
  if (user.uid !== undefined) await chown(folder, user.uid, user.gid!);
  const data = join(folder, "data");
  const made = spawnSync(join(bin, "initdb"), ["-D", data, "-U", "kinglet", "-A", "trust", "--no-sync", "--no-instructions"], {
    ...user,
    cwd: folder,
  });
  if (made.status !== 0) throw new Error(made.stderr.toString());
  const port = await freePort();
  const args = ["-D", data, "-p", String(port), "-h", "127.0.0.1", "-k", folder, "-c", "shared_buffers=16MB", "-c", "max_connections=100"];
  return await begun({
    folder,
    url: `postgres://kinglet@127.0.0.1:${port}/postgres`,
    launch: () => spawn(postgres, args, { ...user, cwd: folder, stdio: "ignore" }),
    isReady: () => spawnSync(join(bin, "pg_isready"), ["-h", "127.0.0.1", "-p", String(port)]).status === 0,
    // "Immediate" shutdown: what was committed is recovered from the log, as after a crash. Its children would outlive a SIGKILL.
    signal: "SIGQUIT",
  });
}

/** A new Redis that keeps nothing on the disk. */
export async function newRedis(): Promise<TestServer> {
  const redis = requireTool("redis-server");
  const folder = await mkdtemp(join(tmpdir(), "kinglet-redis-"));
  const port = await freePort();
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder];
  return await begun({
    folder,
    url: `redis://127.0.0.1:${port}`,
    launch: () => spawn(redis, args, { stdio: "ignore" }),
    isReady: () =>
      spawnSync(join(dirname(redis), "redis-cli"), ["-p", String(port), "ping"])
        .stdout?.toString()
        .trim() === "PONG",
    signal: "SIGKILL",
  });
}

/** A new Redis, where it is installed. */
export const newRedisIfThere = async (): Promise<TestServer | null> => (findTool("redis-server") === null ? null : await newRedis());

/** The Redis, or the end of a test that needs one. */
export function needRedis(context: TestContext, redis: TestServer | null): TestServer {
  needTools(context, "redis-server");
  return redis!;
}
