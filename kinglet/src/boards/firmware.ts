import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import { KingletError } from "../base/index.ts";
import { type Core, type CoreId, coreById } from "./cores.ts";
import { linkerScript } from "./linker.ts";
import { type ProcessResult, runProcess } from "./process.ts";
import { BOARD_HEADER, BOARD_SOURCE, HEAP_SOURCE } from "./runtime.ts";
import { ARM_STARTUP, CMSDK_SERIAL, CMSDK_TIMER, SSE_TIMER } from "./runtime-arm.ts";
import { RV32_STARTUP } from "./runtime-rv32.ts";
import { type SectionSizes, sectionSizes } from "./sections.ts";
import { requireTools, type ToolId } from "./tools.ts";

/** Files of a program by name: `.c` and `.S` are compiled, `.bin` becomes constants, the rest can be included. */
export type Sources = Readonly<Record<string, string | Uint8Array>>;

/** Firmware to build. Its entry point is `int main(void)`; it may include `kinglet_board.h`. */
export interface FirmwareRequest {
  readonly core: CoreId;
  /**
   * `.c` and `.S` files are compiled one by one to `<name>.o` (the `.c` replaced).
   * A file `image.bin` becomes 16-byte aligned constants: `extern const unsigned char image_bin[], image_bin_end[];`.
   */
  readonly sources: Sources;
  /** Puts the `.bin` files into the machine's big memory. */
  readonly bigBinaries?: boolean;
  /** Where to build and keep the files; a temporary folder that is removed when absent. */
  readonly workDir?: string;
  /** Compiler flags after the standard ones (`-O2 -ffp-contract=off …`), so `-O3` or `-Os` wins. */
  readonly flags?: readonly string[];
  /** Leaves out the heap: firmware that calls malloc then does not link. Default true. */
  readonly heapless?: boolean;
  /** Bytes of stack; default 64 KiB. */
  readonly stackBytes?: number;
  /** Counts to the single instruction, for regions under 2e9 instructions, instead of to 31 to 50 instructions. */
  readonly fine?: boolean;
}

/** Firmware that links. Object names are those of the sources, with `.o`. */
export interface Firmware {
  readonly core: Core;
  readonly elf: Uint8Array;
  readonly map: string;
  /** Of the linked program, the runtime included. */
  readonly sizes: SectionSizes;
  /** Of each object file before the linker dropped what is unused. */
  readonly objects: Readonly<Record<string, SectionSizes>>;
  /** What the compiler and the linker said: warnings. */
  readonly warnings: string;
}

/** What a run on an emulated core gave. */
export interface CoreRun extends Firmware {
  readonly output: string;
  readonly exitCode: number;
  /** The most that `board_stack_used` returned, or null when it was never called. */
  readonly stackBytes: number | null;
}

/** A request to build and run. */
export interface CoreRunRequest extends FirmwareRequest {
  /** Wall-clock limit of the emulation in milliseconds; default 300 000. */
  readonly timeoutMs?: number;
}

const COMPILE_TIMEOUT_MS = 300_000;
const DEFAULT_RUN_TIMEOUT_MS = 300_000;
const DEFAULT_STACK_BYTES = 65_536;

const RUNTIME: Readonly<Record<Core["timer"]["kind"], Sources>> = {
  cmsdk: { "kinglet_startup.c": ARM_STARTUP, "kinglet_timer.c": CMSDK_TIMER },
  sse: { "kinglet_startup.c": ARM_STARTUP, "kinglet_timer.c": SSE_TIMER },
  minstret: { "kinglet_startup.S": RV32_STARTUP },
};

/** Object files that belong to the runtime, not to the program. */
export const RUNTIME_OBJECTS: readonly string[] = ["kinglet_board.o", "kinglet_startup.o", "kinglet_timer.o", "kinglet_heap.o", "kinglet_serial.o"];

function runtimeSources(core: Core, heapless: boolean): Sources {
  return {
    "kinglet_board.h": BOARD_HEADER,
    "kinglet_board.c": BOARD_SOURCE,
    ...RUNTIME[core.timer.kind],
    ...(heapless ? {} : { "kinglet_heap.c": HEAP_SOURCE }),
    ...(core.serial === undefined ? {} : { "kinglet_serial.c": CMSDK_SERIAL }),
  };
}

/** Assembly that makes a binary file into constants that the linker may drop. */
function binaryStub(name: string, big: boolean): string {
  const symbol = name.replace(/[^A-Za-z0-9_]/g, "_");
  return `.section ${big ? ".big_rodata" : `.rodata.${symbol}`}, "a"\n.balign 16\n.globl ${symbol}\n.globl ${symbol}_end\n${symbol}:\n.incbin "${name}"\n${symbol}_end:\n`;
}

function withStubs(sources: Sources, big: boolean): Sources {
  const stubs = Object.keys(sources).filter((name) => name.endsWith(".bin"));
  return { ...sources, ...Object.fromEntries(stubs.map((name) => [`${name}.S`, binaryStub(name, big)])) };
}

/** Writes files below a folder. @throws KingletError `misuse` for a name that leaves it. */
export async function writeSources(folder: string, sources: Sources): Promise<void> {
  for (const [name, content] of Object.entries(sources)) {
    if (!/^[\w.+-]+(\/[\w.+-]+)*$/.test(name) || normalize(name).startsWith(".."))
      throw new KingletError("misuse", `"${name}" is not a plain file name for a source file`);
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
}

/** Runs `work` with a folder: the caller's, kept, or a temporary one, removed. */
export async function inFolder<T>(workDir: string | undefined, work: (folder: string) => Promise<T>): Promise<T> {
  if (workDir !== undefined) {
    await mkdir(workDir, { recursive: true });
    return await work(workDir);
  }
  const folder = await mkdtemp(join(tmpdir(), "kinglet-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function compileFlags(core: Core, request: FirmwareRequest): string[] {
  const [num, den] = request.fine === true ? core.timer.fine : core.timer.wide;
  const flags = [...core.gccFlags, core.specs, "-O2", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections", "-I."];
  flags.push(`-DKINGLET_TICK_NUM=${num}u`, `-DKINGLET_TICK_DEN=${den}u`, `-DKINGLET_TIMER=0x${core.timer.address.toString(16)}u`);
  if (core.serial !== undefined)
    flags.push(`-DKINGLET_SERIAL=0x${core.serial.address.toString(16)}u`, `-DKINGLET_SERIAL_INTERRUPT=${core.serial.interrupt}`);
  if (core.fpu !== "none") flags.push("-DKINGLET_FPU");
  if (core.id === "cortex-m0") flags.push("-DKINGLET_STRICT_ALIGNMENT");
  return flags;
}

function firstLines(text: string, lines: number): string {
  return text.trim().split("\n").slice(0, lines).join("\n");
}

function checkBuild(result: ProcessResult, core: Core, what: string): void {
  if (result.stopped !== null) throw new KingletError("check-failed", `${what} for ${core.id} did not end in ${COMPILE_TIMEOUT_MS / 1000} s`);
  if (result.exitCode === 0) return;
  const overflow = /region `(\w+)' overflowed by (\d+) bytes/.exec(result.stderr);
  if (overflow !== null)
    throw new KingletError("does-not-fit", `the firmware is ${overflow[2]} bytes too large for the ${overflow[1]} memory of the emulated ${core.id}`);
  throw new KingletError("check-failed", `${what} for ${core.id} failed: ${firstLines(result.stderr, 20)}`);
}

function objectName(source: string): string {
  return `${source.replace(/\.(c|S)$/, "")}.o`;
}

/** Calls `work` on every item, a few at a time, and waits for all of them even when one fails. */
async function pooled<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  const ended = await Promise.allSettled(Array.from({ length: Math.min(items.length, availableParallelism()) }, worker));
  for (const each of ended) if (each.status === "rejected") throw each.reason;
}

export function compilerFor(core: Core): ToolId {
  return core.toolchain === "arm" ? "arm-none-eabi-gcc" : "riscv64-unknown-elf-gcc";
}

/** Objects of the runtime with the compiler's words, by all that goes into them: it is the same in all firmware of a core, and compiled once. */
const runtimeObjects = new Map<string, Promise<{ readonly bytes: Uint8Array; readonly words: string }>>();

/** Puts a unit of the runtime to `object`: as `compile` makes it there, or as it was made before. Gives the compiler's words. */
async function runtimeObject(key: string, object: string, compile: () => Promise<string>): Promise<string> {
  const known = runtimeObjects.get(key);
  if (known !== undefined) {
    await writeFile(object, (await known).bytes);
    return (await known).words;
  }
  const made = compile().then(async (words) => ({ words, bytes: await readFile(object) }));
  runtimeObjects.set(key, made);
  made.catch(() => runtimeObjects.delete(key));
  return (await made).words;
}

export async function buildIn(folder: string, core: Core, request: FirmwareRequest): Promise<Firmware> {
  const [gcc] = requireTools([compilerFor(core)]);
  const runtime = runtimeSources(core, request.heapless ?? true);
  const sources = withStubs({ ...runtime, ...request.sources }, request.bigBinaries ?? false);
  const stackBytes = Math.ceil((request.stackBytes ?? DEFAULT_STACK_BYTES) / 8) * 8;
  await writeSources(folder, { ...sources, "kinglet.ld": linkerScript(core, stackBytes) });
  const flags = compileFlags(core, request);
  const units = Object.keys(sources).filter((name) => /\.(c|S)$/.test(name));
  const run = async (args: readonly string[], what: string): Promise<string> => {
    const result = await runProcess({ command: gcc, args, cwd: folder, timeoutMs: COMPILE_TIMEOUT_MS });
    checkBuild(result, core, what);
    return result.stderr;
  };
  const compile = (name: string, more: readonly string[] = []): Promise<string> =>
    run([...flags, ...more, "-c", name, "-o", objectName(name)], `compiling ${name}`);
  const words: string[] = [];
  await pooled(units, async (name) => {
    const key = JSON.stringify([gcc, flags, name, sources[name], sources["kinglet_board.h"]]);
    const object = join(folder, objectName(name));
    words.push(await (name in runtime ? runtimeObject(key, object, () => compile(name)) : compile(name, request.flags)));
  });
  const linkFlags = ["-nostartfiles", "-T", "kinglet.ld", "-Wl,--gc-sections", "-Wl,--no-warn-rwx-segments", "-Wl,-Map=firmware.map"];
  words.push(await run([...flags, ...(request.flags ?? []), ...linkFlags, ...units.map(objectName), "-lm", "-o", "firmware.elf"], "linking"));
  const elf = await readFile(join(folder, "firmware.elf"));
  const objects: Record<string, SectionSizes> = {};
  for (const unit of units) objects[objectName(unit)] = sectionSizes(await readFile(join(folder, objectName(unit))));
  return { core, elf, map: await readFile(join(folder, "firmware.map"), "utf8"), sizes: sectionSizes(elf), objects, warnings: words.join("") };
}

/**
 * Compiles and links firmware for an emulated core, without running it.
 * @throws KingletError `missing-tool`, `does-not-fit`, or `check-failed` with the compiler's words.
 */
export async function buildFirmware(request: FirmwareRequest): Promise<Firmware> {
  const core = coreById(request.core);
  return await inFolder(request.workDir, (folder) => buildIn(folder, core, request));
}

function qemuArgs(core: Core, fine: boolean): string[] {
  const shift = fine && core.timer.kind !== "minstret" ? 6 : 0;
  return [
    ...core.machine,
    ...["-display", "none", "-monitor", "none", "-serial", "none", "-parallel", "none"],
    ...["-chardev", "stdio,id=out,signal=off", "-semihosting-config", "enable=on,target=native,chardev=out"],
    ...["-icount", `shift=${shift},sleep=off`, "-kernel", "firmware.elf"],
  ];
}

const STACK_NOTE = /\n\x1ekinglet-stack (\d+)\n/;
const FAULT_NOTE = /\n\x1ekinglet-fault (.*)\n/;

function readRun(core: Core, result: ProcessResult, timeoutMs: number): Pick<CoreRun, "output" | "exitCode" | "stackBytes"> {
  if (result.stopped === "timeout")
    throw new KingletError("check-failed", `firmware on the emulated ${core.id} did not end in ${timeoutMs / 1000} s`);
  if (result.stopped === "output") throw new KingletError("check-failed", `firmware on the emulated ${core.id} printed without end`);
  const fault = FAULT_NOTE.exec(result.stdout);
  if (fault !== null) throw new KingletError("check-failed", `firmware on the emulated ${core.id} faulted: ${fault[1]}`);
  if (result.exitCode === null) throw new KingletError("check-failed", `${core.qemu} was ended by ${result.signal}: ${firstLines(result.stderr, 5)}`);
  if (result.exitCode !== 0 && result.stderr !== "") throw new KingletError("check-failed", `${core.qemu} failed: ${firstLines(result.stderr, 5)}`);
  const stack = STACK_NOTE.exec(result.stdout);
  return { output: result.stdout.replace(STACK_NOTE, ""), exitCode: result.exitCode, stackBytes: stack === null ? null : Number(stack[1]) };
}

/**
 * Builds firmware and runs it to `board_exit` or the end of `main` on an emulated core.
 * `exitCode` is the program's own. The emulator is killed at the time limit and when this process ends.
 * @throws KingletError `missing-tool`, `does-not-fit`, or `check-failed` for a compile error, a fault,
 * a stack overflow or a run past the limit.
 */
export async function runOnCore(request: CoreRunRequest): Promise<CoreRun> {
  const core = coreById(request.core);
  // Both at once: a person installs them in one go.
  const [, qemu] = requireTools([compilerFor(core), core.qemu]);
  const timeoutMs = request.timeoutMs ?? DEFAULT_RUN_TIMEOUT_MS;
  return await inFolder(request.workDir, async (folder) => {
    const firmware = await buildIn(folder, core, request);
    const result = await runProcess({ command: qemu, args: qemuArgs(core, request.fine ?? false), cwd: folder, timeoutMs });
    return { ...firmware, ...readRun(core, result, timeoutMs) };
  });
}
