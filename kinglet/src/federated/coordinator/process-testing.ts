import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import type { ProjectKeys } from "../protocol/index.ts";
import type { RoundRules } from "./plan.ts";

/** What a coordinator in a process of its own is told. */
export interface ProcessArguments {
  readonly store: string;
  readonly queue?: string;
  readonly port: number;
  readonly keys: ProjectKeys;
  readonly rules: RoundRules;
  /** Whether the network is one of 199,210 parameters. */
  readonly large?: boolean;
  /** Whether updates are added up unseen. */
  readonly secure?: boolean;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

/** Starts one, and waits until it listens. */
export async function startProcess(args: ProcessArguments): Promise<ChildProcess> {
  const script = fileURLToPath(new URL("./coordinator-process-testing.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", script, JSON.stringify(args)], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit").then(() => Promise.reject(new Error("the coordinator ended")));
  ended.catch(() => {});
  await Promise.race([once(child.stdout!, "data"), ended]);
  return child;
}
