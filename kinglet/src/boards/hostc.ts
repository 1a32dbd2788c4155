import { join } from "node:path";
import { KingletError } from "../base/index.ts";
import { inFolder, type Sources, writeSources } from "./firmware.ts";
import { runProcess } from "./process.ts";
import { requireTool } from "./tools.ts";

/** C to compile and run on this computer. */
export interface HostRunRequest {
  /** `.c` files are compiled together; the rest can be included. */
  readonly sources: Sources;
  readonly compiler?: "gcc" | "clang" | "cc";
  /** After the standard ones (`-std=c99 -O2 -ffp-contract=off`), for example `-fsanitize=address,undefined`. */
  readonly flags?: readonly string[];
  readonly args?: readonly string[];
  readonly stdin?: string | Uint8Array;
  /** Where to build and keep the files; a temporary folder that is removed when absent. */
  readonly workDir?: string;
  /** Wall-clock limit of the compilation and of the run, each; default 120 000. */
  readonly timeoutMs?: number;
}

export interface HostRun {
  readonly stdout: string;
  readonly stderr: string;
  /** What the compiler said: warnings. */
  readonly warnings: string;
}

/**
 * Compiles C with the host's compiler and runs it.
 * @throws KingletError `missing-tool`, or `check-failed` when it does not compile, prints without end,
 * runs past the limit, or ends with anything but 0 (a sanitizer's report is in the message).
 */
export async function compileAndRunHost(request: HostRunRequest): Promise<HostRun> {
  const compiler = requireTool(request.compiler === "clang" ? "clang" : "cc");
  const timeoutMs = request.timeoutMs ?? 120_000;
  return await inFolder(request.workDir, async (folder) => {
    await writeSources(folder, request.sources);
    const units = Object.keys(request.sources).filter((name) => name.endsWith(".c"));
    const program = join(folder, process.platform === "win32" ? "program.exe" : "program");
    const args = ["-std=c99", "-O2", "-ffp-contract=off", "-I.", ...(request.flags ?? []), ...units, "-o", program, "-lm"];
    const built = await runProcess({ command: compiler, args, cwd: folder, timeoutMs });
    if (built.exitCode !== 0)
      throw new KingletError("check-failed", `the host's C compiler failed: ${built.stopped ?? built.stderr.trim().slice(0, 4000)}`);
    const ran = await runProcess({
      command: program,
      args: request.args ?? [],
      cwd: folder,
      timeoutMs,
      ...(request.stdin === undefined ? {} : { stdin: request.stdin }),
    });
    if (ran.stopped !== null)
      throw new KingletError(
        "check-failed",
        `the program ${ran.stopped === "timeout" ? `did not end in ${timeoutMs / 1000} s` : "printed without end"}`,
      );
    if (ran.exitCode !== 0)
      throw new KingletError("check-failed", `the program ended with ${ran.exitCode ?? ran.signal}: ${ran.stderr.trim().slice(0, 4000)}`);
    return { stdout: ran.stdout, stderr: ran.stderr, warnings: built.stderr };
  });
}
