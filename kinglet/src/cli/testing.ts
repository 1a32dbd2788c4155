import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import type { TestContext } from "vitest";
import { findProgram } from "../boards/index.ts";
import type { Io } from "./io.ts";
import { main } from "./main.ts";

/** What a command left. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs commands in this process, as they would be typed; for tests only. */
export function commandsIn(io: Partial<Io>): (...argv: readonly string[]) => Promise<Ran> {
  return async (...argv) => {
    let [out, err] = ["", ""];
    const code = await main(argv, { ...io, out: (text) => void (out += text), err: (text) => void (err += text) });
    return { code, out, err };
  };
}

/** Runs one command where nothing but its arguments matters. */
export const kinglet: (...argv: readonly string[]) => Promise<Ran> = commandsIn({});

/** Makes a folder that is a disk of its own of so many KiB while `use` runs; skips the test where that is not permitted. */
export async function onSmallDisk(context: TestContext, folder: string, kib: number, use: () => Promise<void> | void): Promise<void> {
  mkdirSync(folder);
  const mount = process.platform === "linux" ? findProgram("mount") : null;
  if (mount === null || spawnSync(mount, ["-t", "tmpfs", "-o", `size=${kib}k`, "none", folder]).status !== 0)
    context.skip("needs the right to mount a small file system");
  try {
    await use();
  } finally {
    spawnSync(findProgram("umount") ?? "", [folder]);
  }
}
