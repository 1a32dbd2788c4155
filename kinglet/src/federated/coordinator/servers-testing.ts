import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "vitest";
import { freePort } from "./process-testing.ts";

/** Debian keeps the server's programs beside the path, by version. */
function postgresFolder(): string | undefined {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  return versions.map((version) => join(root, version, "bin")).find((folder) => existsSync(join(folder, "initdb")));
}

const hasRedis = (): boolean => spawnSync("redis-server", ["--version"]).status === 0;

/** Skips a test where PostgreSQL or Redis is not installed; in CI (`CI` is set) that is a failure. */
export function needServers(context: TestContext): void {
  const missing = [...(postgresFolder() === undefined ? ["postgresql"] : []), ...(hasRedis() ? [] : ["redis-server"])];
  if (missing.length === 0) return;
  const reason = `needs ${missing.join(" and ")}, which this machine does not have`;
  if (process.env["CI"]) throw new Error(`${reason}; in CI nothing may be missing`);
  context.skip(reason);
}

/** A server in a process of its own, which a test may stop and start again. */
export interface TestServer {
  readonly url: string;
  start(): Promise<void>;
  /** At once, as a crash would. */
  kill(): Promise<void>;
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

/** A server's child process, one after the other. */
function server(url: string, launch: () => ChildProcess, isReady: () => boolean, signal: NodeJS.Signals): TestServer {
  let child: ChildProcess | undefined;
  return {
    url,
    start: async () => {
      child = launch();
      await eventually(isReady, url);
    },
    kill: async () => {
      if (child?.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await once(child, "exit");
    },
  };
}

/** A new PostgreSQL in a folder, which it makes. */
export async function postgresIn(folder: string): Promise<TestServer> {
  const bin = postgresFolder()!;
  const user = postgresUser();
  await mkdir(folder, { recursive: true });
  if (user.uid !== undefined) await chown(folder, user.uid, user.gid!);
  const data = join(folder, "data");
  const made = spawnSync(join(bin, "initdb"), ["-D", data, "-U", "kinglet", "-A", "trust", "--no-sync", "--no-instructions"], { ...user, cwd: folder });
  if (made.status !== 0) throw new Error(made.stderr.toString());
  const port = await freePort();
  const settings = ["-c", "shared_buffers=16MB", "-c", "max_wal_size=64MB", "-c", "autovacuum=off"];
  const launch = (): ChildProcess =>
    spawn(join(bin, "postgres"), ["-D", data, "-p", String(port), "-h", "127.0.0.1", "-k", folder, ...settings], { ...user, cwd: folder, stdio: "ignore" });
  const isReady = (): boolean => spawnSync(join(bin, "pg_isready"), ["-h", "127.0.0.1", "-p", String(port)]).status === 0;
  // "Immediate" shutdown: as a crash, what was committed is recovered from the log; and its children end, too.
  return server(`postgres://kinglet@127.0.0.1:${port}/postgres`, launch, isReady, "SIGQUIT");
}

/** A Redis that keeps nothing on the disk. */
export async function redisIn(folder: string): Promise<TestServer> {
  await mkdir(folder, { recursive: true });
  const port = await freePort();
  const launch = (): ChildProcess =>
    spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder], { stdio: "ignore" });
  const isReady = (): boolean => spawnSync("redis-cli", ["-p", String(port), "ping"]).stdout?.toString().trim() === "PONG";
  return server(`redis://127.0.0.1:${port}`, launch, isReady, "SIGKILL");
}
