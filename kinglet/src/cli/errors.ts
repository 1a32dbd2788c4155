import { CommanderError } from "commander";
import { KingletError } from "../base/index.ts";
import type { Io } from "./io.ts";

const SYSTEM: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "this is a folder, and a file is expected",
  ENOTDIR: "a part of the path is a file, not a folder",
  ENOSPC: "the disk is full; nothing was left behind",
  EROFS: "the file system is read-only",
};

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === "string";
}

export function isFullDisk(error: unknown): boolean {
  return isSystemError(error) && error.code === "ENOSPC";
}

function messageOf(error: unknown): string {
  if (error instanceof KingletError) return error.describe();
  if (isSystemError(error)) return `${error.path ?? error.syscall}: ${SYSTEM[error.code ?? ""] ?? error.message}`;
  const text = error instanceof Error ? error.message : String(error);
  return `something went wrong inside Kinglet: ${text.split("\n")[0]}\n  Please report this, with the model if you can; KINGLET_DEBUG=1 shows where it happened.`;
}

/** Prints one message and gives the exit code: 1 for a refused file or failed check, 2 for misuse. */
export function report(error: unknown, io: Io): number {
  // Commander has printed its own message, and shows help by throwing.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  io.err(`kinglet: ${messageOf(error)}\n`);
  if (io.debug === true && error instanceof Error) io.err(`${error.stack ?? ""}\n`);
  return error instanceof KingletError && error.code === "misuse" ? 2 : 1;
}
