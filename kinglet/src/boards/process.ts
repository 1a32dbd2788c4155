import { type ChildProcess, spawn } from "node:child_process";
import { KingletError } from "../base/index.ts";

/** A program to run: no shell, a real time limit, a limit on what it may print. */
export interface ProcessRequest {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Wall-clock milliseconds until it is killed. */
  readonly timeoutMs: number;
  /** Bytes of each stream until it is killed; 256 MiB when absent. */
  readonly maxOutputBytes?: number;
}

/** How a program ended. `exitCode` is null when a signal ended it. */
export interface ProcessResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stopped: "timeout" | "output" | null;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const running = new Set<ChildProcess>();

function killAll(): void {
  for (const child of running) child.kill("SIGKILL");
}

/** Takes the children along, then lets the signal do what it would have done. */
function onSignal(signal: NodeJS.Signals): void {
  killAll();
  unguard();
  process.kill(process.pid, signal);
}

function guard(): void {
  process.on("exit", killAll);
  for (const signal of SIGNALS) process.on(signal, onSignal);
}

function unguard(): void {
  process.off("exit", killAll);
  for (const signal of SIGNALS) process.off(signal, onSignal);
}

/** Has a program killed when this process ends, however it does. */
export function track(child: ChildProcess): void {
  if (running.size === 0) guard();
  running.add(child);
}

export function untrack(child: ChildProcess): void {
  if (running.delete(child) && running.size === 0) unguard();
}

/**
 * Runs a program to its end and returns what it printed. It is killed at its limits and when this process ends.
 * @throws KingletError `missing-tool` when it cannot be started.
 */
export function runProcess(request: ProcessRequest): Promise<ProcessResult> {
  const limit = request.maxOutputBytes ?? 256 * 2 ** 20;
  return new Promise((resolve, reject) => {
    const child = spawn(request.command, request.args, {
      stdio: ["pipe", "pipe", "pipe"],
      ...(request.cwd === undefined ? {} : { cwd: request.cwd }),
      ...(request.env === undefined ? {} : { env: { ...process.env, ...request.env } }),
    });
    track(child);
    let stopped: ProcessResult["stopped"] = null;
    const stop = (why: "timeout" | "output"): void => {
      stopped ??= why;
      child.kill("SIGKILL");
    };
    const timer = setTimeout(() => stop("timeout"), request.timeoutMs);
    const collect = (stream: NodeJS.ReadableStream): Buffer[] => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      stream.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > limit) stop("output");
        else chunks.push(chunk);
      });
      return chunks;
    };
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    child.stdin.on("error", () => {}); // a program may end before it has read its input
    child.stdin.end(request.stdin ?? "");
    child.on("error", (error) => {
      clearTimeout(timer);
      untrack(child);
      reject(new KingletError("missing-tool", `${request.command} could not be started: ${error.message}`));
    });
    child.on("close", (exitCode, signal) => {
      clearTimeout(timer);
      untrack(child);
      resolve({ stdout: Buffer.concat(stdout).toString("utf8"), stderr: Buffer.concat(stderr).toString("utf8"), exitCode, signal, stopped });
    });
  });
}
