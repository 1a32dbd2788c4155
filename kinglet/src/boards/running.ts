import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KingletError } from "../base/index.ts";
import { type Core, coreById } from "./cores.ts";
import { buildIn, compilerFor, type Firmware, type FirmwareRequest } from "./firmware.ts";
import { track, untrack } from "./process.ts";
import { requireTools } from "./tools.ts";

/** An emulated core that runs on, and its serial line. */
export interface RunningCore extends Firmware {
  /** Bytes to the firmware. */
  send(bytes: Uint8Array): void;
  /** Called with bytes of the firmware as they come, and once when it ends. */
  listen(hear: (bytes: Uint8Array) => void, lost: (why: string) => void): void;
  /** Ends the emulation. */
  close(): Promise<void>;
}

/** In real time, since nobody counts instructions here: a core that waits for a byte sleeps. */
function serialArgs(core: Core): string[] {
  return [
    ...core.machine,
    ...["-display", "none", "-monitor", "none", "-parallel", "none", "-chardev", "stdio,id=line,signal=off", "-serial", "chardev:line"],
    ...["-semihosting-config", "enable=on,target=native", "-kernel", "firmware.elf"],
  ];
}

/**
 * Builds firmware and starts it on an emulated core whose serial line is this program's to talk to.
 * @throws KingletError `unsupported` for a core without a line here; what `buildFirmware` throws.
 */
export async function startOnCore(request: Omit<FirmwareRequest, "workDir" | "fine">): Promise<RunningCore> {
  const core = coreById(request.core);
  if (core.serial === undefined)
    throw new KingletError("unsupported", `the emulated ${core.id} has no serial line here`, { hint: "Take cortex-m4." });
  const [, qemu] = requireTools([compilerFor(core), core.qemu]);
  const folder = await mkdtemp(join(tmpdir(), "kinglet-"));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  const firmware = await buildIn(folder, core, request).catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  const child = spawn(qemu, serialArgs(core), { cwd: folder, stdio: ["pipe", "pipe", "pipe"] });
  track(child);
  // A program that ended has no more ears; `lost` tells of it.
  child.stdin.on("error", () => {});
  let words = "";
  child.stderr.on("data", (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-1000);
  });
  const ended = new Promise<string>((done) => {
    child.on("error", (error) => done(error.message));
    child.on("close", (code, signal) => done(words.trim() || `the emulated ${core.id} ended with ${code ?? signal}`));
  });
  void ended.then(() => untrack(child));
  return {
    ...firmware,
    send: (bytes) => void child.stdin.write(bytes),
    listen: (hear, lost) => {
      child.stdout.on("data", (chunk: Buffer) => hear(chunk));
      void ended.then(lost);
    },
    close: async () => {
      child.kill("SIGKILL");
      await ended;
      await remove();
    },
  };
}
