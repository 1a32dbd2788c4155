import { KingletError } from "../base/index.ts";
import { compileAndRunHost, type CoreId, type CoreRun, coreById, isCoreId, mapContributions, RUNTIME_OBJECTS, runOnCore } from "../boards/index.ts";
import type { Graph } from "../graph/index.ts";
import { MEMORY_BYTES, portBytes, type ProgramRunner } from "../loops/index.ts";
import { boardHarness, hostHarness, inputBytes, libraryId, printCLibrary, probeHeader } from "../targets/c/index.ts";
import { createJsRunner } from "../targets/js/index.ts";
import type { Optimize } from "../targets/share.ts";
import { createWasmRunner } from "../targets/wasm/index.ts";
import { type Compiled, compileGraph, type TargetId } from "./compile.ts";
import type { MemoryOptions } from "./memory.ts";
import { checkSample, plainValue, type Sample } from "./tensors.ts";

/** Where a network can run. `plain` is the definition: the unscheduled loops as JavaScript. */
export type Via = "plain" | "js" | "wasm" | "wasm-dots" | "wasm-scalar" | "c" | CoreId;

export interface ExecuteOptions extends Pick<MemoryOptions, "fuse" | "streamInput" | "ram" | "trade"> {
  readonly optimize?: Optimize;
  /** Keep all values apart and give their bytes too (see `values`). */
  readonly values?: boolean;
  /** Count the instructions of every step (cores only). */
  readonly profile?: boolean;
  /** Count to the single instruction, below 2e9 of them, instead of to the timer's tick of 31 to 50 (cores only). */
  readonly fine?: boolean;
  /** Host compiler and flags, for sanitizers. */
  readonly compiler?: "gcc" | "clang";
  readonly flags?: readonly string[];
}

/** What an emulated core told beside the outputs. All figures are exact. */
export interface CoreFigures {
  readonly instructions: number;
  readonly stepInstructions?: readonly number[];
  readonly stackBytes: number;
  /** Code of the library and what it pulls from the C library, without its tables. */
  readonly codeBytes: number;
  readonly weightBytes: number;
  /** Code and tables. */
  readonly flashBytes: number;
  /** Arena and stack. */
  readonly ramBytes: number;
}

export interface Execution {
  readonly via: Via;
  readonly compiled: Compiled;
  /** Output tensors by sample. */
  readonly outputs: readonly (readonly Uint8Array[])[];
  /** With `values`: the contents of every graph value after the first sample, by value id. */
  readonly values?: ReadonlyMap<number, Uint8Array>;
  readonly core?: CoreFigures;
  readonly warnings: string;
}

const VIA_NAMES: readonly Via[] = ["plain", "js", "wasm", "wasm-dots", "wasm-scalar", "c"];

/** Reads a name as the command line has it; `m4` is short for `cortex-m4`. @throws KingletError `misuse` */
export function parseVia(text: string): Via {
  if ((VIA_NAMES as readonly string[]).includes(text)) return text as Via;
  const core = /^m\d+$/.test(text) ? `cortex-${text}` : text;
  if (isCoreId(core)) return core;
  throw new KingletError("misuse", `"${text}" is not a way to run a network`, {
    hint: "use plain, js, wasm, wasm-dots, wasm-scalar, c, cortex-m0, cortex-m3, cortex-m4, cortex-m7, cortex-m33, cortex-m55 or rv32",
  });
}

/** The C target that suits a core. */
export function targetForCore(core: CoreId): TargetId {
  const { mve, dsp, toolchain } = coreById(core);
  return mve ? "c-mve" : dsp ? "c-dsp" : toolchain === "riscv" ? "c-riscv" : "c";
}

/** The target whose program runs there. */
export function targetOf(via: Via): TargetId {
  return via === "plain" || via === "js" || via === "wasm" || via === "wasm-dots" || via === "wasm-scalar"
    ? via
    : via === "c"
      ? "c"
      : targetForCore(via);
}

/** Outputs cut from the bytes that a harness printed. */
function cutOutputs(compiled: Compiled, bytes: Uint8Array): Uint8Array[] {
  let at = 0;
  return compiled.program.outputs.map((_, i) => {
    const length = portBytes(compiled.program, compiled.program.outputs[i]!);
    at += length;
    return bytes.subarray(at - length, at);
  });
}

function valuesIn(compiled: Compiled, arena: Uint8Array): Map<number, Uint8Array> {
  const values = new Map<number, Uint8Array>();
  compiled.program.buffers.forEach((buffer, i) => {
    const at = compiled.plan.offsets[i]!;
    if (buffer.value !== undefined) values.set(buffer.value, arena.slice(at, at + buffer.length * MEMORY_BYTES[buffer.type]));
  });
  return values;
}

function outputsFromArena(compiled: Compiled, arena: Uint8Array): Uint8Array[] {
  return compiled.program.outputs.map((port, i) => {
    const at = compiled.plan.offsets[port.buffer]!;
    return arena.slice(at, at + portBytes(compiled.program, compiled.program.outputs[i]!));
  });
}

function runHere(via: Via, compiled: Compiled, runner: ProgramRunner, samples: readonly Sample[], options: ExecuteOptions): Execution {
  let values: Map<number, Uint8Array> | undefined;
  const outputs = samples.map((sample) => {
    runner.reset();
    sample.forEach((bytes, i) => runner.setInput(i, bytes));
    runner.run();
    if (options.values === true && values === undefined) {
      values = new Map();
      compiled.program.buffers.forEach((buffer, i) => {
        if (buffer.value !== undefined) values!.set(buffer.value, plainValue(compiled, buffer, runner.buffer(i)));
      });
    }
    return compiled.program.outputs.map((_, i) => runner.output(i));
  });
  return { via, compiled, outputs, warnings: "", ...(values === undefined ? {} : { values }) };
}

function concatenate(samples: readonly Sample[]): Uint8Array {
  return Buffer.concat(samples.flat());
}

function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}

function collect(
  via: Via,
  compiled: Compiled,
  dumps: readonly Uint8Array[],
  options: ExecuteOptions,
  rest: Pick<Execution, "core" | "warnings">,
): Execution {
  if (options.values !== true) return { via, compiled, outputs: dumps.map((bytes) => cutOutputs(compiled, bytes)), ...rest };
  return { via, compiled, outputs: dumps.map((bytes) => outputsFromArena(compiled, bytes)), values: valuesIn(compiled, dumps[0]!), ...rest };
}

async function runHost(compiled: Compiled, samples: readonly Sample[], options: ExecuteOptions): Promise<Execution> {
  const id = libraryId(compiled.graph.name);
  const library = printCLibrary(compiled.program, compiled.plan, id);
  const main = hostHarness(compiled.program, compiled.plan, id, { samples: samples.length, dumpArena: options.values === true });
  const run = await compileAndRunHost({
    sources: { ...Object.fromEntries(library), "main.c": main },
    stdin: concatenate(samples),
    ...(options.compiler === undefined ? {} : { compiler: options.compiler }),
    ...(options.flags === undefined ? {} : { flags: options.flags }),
  });
  const dumps = run.stdout.trim().split("\n").map(fromHex);
  return collect("c", compiled, dumps, options, { warnings: run.warnings });
}

/** Bytes that the linker placed for the library's tables, and for its code with what it alone pulls in. */
export function libraryBytes(map: string, id: string): { codeBytes: number; weightBytes: number } {
  const stored = mapContributions(map).filter(
    (piece) =>
      piece.section === ".text" ||
      piece.section === ".rodata" ||
      piece.section === ".big_rodata" ||
      piece.section === ".ARM.exidx" ||
      piece.section === ".ARM.extab",
  );
  const foreign = new Set([...RUNTIME_OBJECTS, "main.o", "samples.bin.o", "*fill*"]);
  const sum = (choose: (object: string) => boolean): number =>
    stored.filter((piece) => choose(piece.object)).reduce((total, piece) => total + piece.bytes, 0);
  return {
    weightBytes: sum((object) => object === `${id}_weights.o`),
    codeBytes: sum((object) => !foreign.has(object) && object !== `${id}_weights.o`),
  };
}

function figures(run: CoreRun, compiled: Compiled, id: string, instructions: number, steps: number[] | undefined): CoreFigures {
  const { codeBytes, weightBytes } = libraryBytes(run.map, id);
  const stackBytes = run.stackBytes ?? 0;
  return {
    instructions,
    stackBytes,
    codeBytes,
    weightBytes,
    flashBytes: codeBytes + weightBytes,
    ramBytes: compiled.plan.arenaBytes + stackBytes,
    ...(steps === undefined ? {} : { stepInstructions: steps }),
  };
}

/** Bytes of the emulated machine that stay free for other things than the arena and the tables. */
const RAM_RESERVE = 256 * 1024;
const FLASH_RESERVE = 128 * 1024;

/** What of a library and its samples has to go into an emulated machine's big memory, and the flags that put it there. */
export function bigMemory(core: CoreId, compiled: Compiled, id: string, samples: number): { arena: boolean; binaries: boolean; flags: string[] } {
  const machine = coreById(core);
  const room = (machine.constants ?? machine.code).bytes - FLASH_RESERVE;
  return {
    arena: compiled.plan.arenaBytes > machine.ram.bytes - RAM_RESERVE,
    binaries: compiled.weightBytes + samples * inputBytes(compiled.program) > room,
    flags: compiled.weightBytes > room ? [`-D${id.toUpperCase()}_TABLE=__attribute__((section(".big_rodata")))`] : [],
  };
}

async function runCore(core: CoreId, compiled: Compiled, samples: readonly Sample[], options: ExecuteOptions): Promise<Execution> {
  const id = libraryId(compiled.graph.name);
  const library = printCLibrary(compiled.program, compiled.plan, id);
  const big = bigMemory(core, compiled, id, samples.length);
  const harness = { samples: samples.length, dumpArena: options.values === true, profile: options.profile === true, bigArena: big.arena };
  const run = await runOnCore({
    core,
    fine: options.fine === true,
    bigBinaries: big.binaries,
    sources: {
      ...Object.fromEntries(library),
      "main.c": boardHarness(compiled.program, compiled.plan, id, harness),
      "samples.bin": concatenate(samples),
      ...(options.profile === true ? { "probe.h": probeHeader(id) } : {}),
    },
    flags: [...big.flags, ...(options.profile === true ? ["-include", "probe.h"] : [])],
  });
  if (run.exitCode !== 0) throw new KingletError("check-failed", `the firmware on the emulated ${core} ended with ${run.exitCode}`);
  const lines = run.output.trim().split("\n");
  const steps = lines
    .find((line) => line.startsWith("steps"))
    ?.split(" ")
    .slice(1)
    .map(Number);
  const results = lines.filter((line) => !line.startsWith("steps")).map((line) => line.split(" "));
  const dumps = results.map(([, hex]) => fromHex(hex ?? ""));
  return collect(core, compiled, dumps, options, { core: figures(run, compiled, id, Number(results[0]![0]), steps), warnings: run.warnings });
}

/**
 * Runs samples, each from the initial state, through what was compiled for `targetOf(via)`.
 * @throws what `execute` throws
 */
export async function executeCompiled(compiled: Compiled, via: Via, samples: readonly Sample[], options: ExecuteOptions = {}): Promise<Execution> {
  for (const sample of samples) checkSample(compiled, sample);
  switch (via) {
    case "plain":
    case "js":
      return runHere(via, compiled, createJsRunner(compiled.program, compiled.plan), samples, options);
    case "wasm":
    case "wasm-dots":
    case "wasm-scalar":
      return runHere(via, compiled, createWasmRunner(compiled.program, compiled.plan), samples, options);
    case "c":
      return await runHost(compiled, samples, options);
    default:
      return await runCore(via, compiled, samples, options);
  }
}

/**
 * Compiles a graph for `via` and runs the samples, each from the initial state.
 * @throws KingletError `missing-tool` where a compiler or emulator is absent; `bad-input` for inputs of the wrong size.
 */
export async function execute(graph: Graph, via: Via, samples: readonly Sample[], options: ExecuteOptions = {}): Promise<Execution> {
  const compiled = compileGraph(graph, {
    target: targetOf(via),
    ...(options.optimize === undefined ? {} : { optimize: options.optimize }),
    ...(options.values === true ? { pinned: true } : {}),
    ...(options.fuse === undefined ? {} : { fuse: options.fuse }),
    ...(options.streamInput === undefined ? {} : { streamInput: options.streamInput }),
    ...(options.trade === undefined ? {} : { trade: options.trade }),
    ...(options.ram === undefined ? {} : { ram: options.ram }),
  });
  return await executeCompiled(compiled, via, samples, options);
}
