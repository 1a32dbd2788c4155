import { KingletError } from "../base/index.ts";
import { type Board, boardById, buildFirmware, type CoreId, coreById, findTool, ramNeeded } from "../boards/index.ts";
import type { Graph } from "../graph/index.ts";
import { wasmTableBytes } from "../loops/index.ts";
import { boardHarness, type BuildOptions, inputBytes, libraryId, packageC, printCLibrary } from "../targets/c/index.ts";
import { packageJs } from "../targets/js/index.ts";
import type { Optimize } from "../targets/share.ts";
import { gainsByDots, packageWasm } from "../targets/wasm/index.ts";
import { type Compiled, compileGraph, worthThreads } from "./compile.ts";
import { bigMemory, libraryBytes } from "./execute.ts";
import type { MemoryOptions } from "./memory.ts";

export type ArtefactTarget = "c" | "wasm" | "js";

export interface ArtefactOptions extends Pick<MemoryOptions, "fuse" | "streamInput" | "ram" | "trade"> {
  readonly target: ArtefactTarget;
  /** A real board's name: its memory is checked, and its processor chooses the kernels and the flags. */
  readonly board?: string;
  /** Start of all names in the output; made from the graph's name where absent. */
  readonly id?: string;
  readonly optimize?: Optimize;
  /** Of a training step: see `CompileOptions`. */
  readonly learnsAfter?: string;
}

/** The deployable thing as files by name, with its exact figures. */
export interface Artefact {
  readonly id: string;
  readonly compiled: Compiled;
  readonly board: Board | null;
  readonly files: ReadonlyMap<string, string | Uint8Array>;
  /** Bytes of code: of the linked library (C), or of the module without its tables; null where not measured. */
  readonly codeBytes: number | null;
  /** The core that the code was linked for. */
  readonly codeFrom: string | null;
}

/** Without a board the code is measured for the core that most boards have. */
const USUAL_CORE: CoreId = "cortex-m4";

/** The same tables without their contents: code does not depend on them, and compiling megabytes of digits takes seconds. */
function emptied(text: string): string {
  return text.replace(/ = \{\n[^}]*\n\};$/gm, " = {0};");
}

/** Links the library as firmware that runs it once, and counts what the linker kept. */
async function measureCode(core: CoreId, compiled: Compiled, id: string): Promise<number | null> {
  const machine = coreById(core);
  if (findTool(machine.toolchain === "arm" ? "arm-none-eabi-gcc" : "riscv64-unknown-elf-gcc") === null) return null;
  const { program, plan } = compiled;
  const big = bigMemory(core, compiled, id, 1);
  const harness = { samples: 1, bigArena: big.arena };
  const built = await buildFirmware({
    core,
    sources: {
      ...Object.fromEntries([...printCLibrary(program, plan, id)].map(([name, text]) => [name, name === `${id}_weights.c` ? emptied(text) : text])),
      "main.c": boardHarness(program, plan, id, harness),
      "samples.bin": new Uint8Array(inputBytes(program)),
    },
    bigBinaries: big.binaries,
    flags: big.flags,
  }).catch((error: unknown) => {
    // The network is larger than the emulated machine: there is nothing to measure on.
    if (error instanceof KingletError && error.code === "does-not-fit") return null;
    throw error;
  });
  return built === null ? null : libraryBytes(built.map, id).codeBytes;
}

function checkFits(board: Board, compiled: Compiled, codeBytes: number | null): void {
  const { plan, weightBytes } = compiled;
  const flash = weightBytes + (codeBytes ?? 0);
  const problems: string[] = [];
  const ram = ramNeeded(board, plan.arenaBytes, weightBytes);
  if (ram > board.sramBytes)
    problems.push(`${ram} bytes of RAM for ${board.tablesInRam === true ? "arena and tables" : "its arena"} where the board has ${board.sramBytes}`);
  if (flash > board.flashBytes)
    problems.push(`${flash} bytes of weights${codeBytes === null ? "" : " and code"} where the board has ${board.flashBytes} bytes of flash`);
  if (problems.length === 0) return;
  throw new KingletError("does-not-fit", `the network needs ${problems.join(", and ")}`, {
    place: `${compiled.graph.name} on ${board.id}`,
    hint: "kinglet inspect lists the boards that it fits.",
  });
}

function checkId(id: string): string {
  if (/^[A-Za-z][A-Za-z0-9_]{0,62}$/.test(id)) return id;
  throw new KingletError("misuse", `"${id}" cannot start the names in C`, { hint: "Use a letter, then letters, digits and underscores." });
}

function compileFor(graph: Graph, target: Compiled["target"], options: ArtefactOptions): Compiled {
  return compileGraph(graph, {
    target,
    ...(options.optimize === undefined ? {} : { optimize: options.optimize }),
    ...(options.learnsAfter === undefined ? {} : { learnsAfter: options.learnsAfter }),
    ...(options.ram === undefined ? {} : { ram: options.ram }),
    ...(options.fuse === undefined ? {} : { fuse: options.fuse }),
    ...(options.streamInput === undefined ? {} : { streamInput: options.streamInput }),
    ...(options.trade === undefined ? {} : { trade: options.trade }),
  });
}

/** What builds for a board, or for the host where there is no board. */
export function compilerFor(board: Board | null): Omit<BuildOptions, "id"> {
  const machine = board?.name ?? "any machine";
  return { machine, ...(board === null ? HOST : crossCompiler(board)) };
}

type Compiler = Pick<BuildOptions, "toolPrefix" | "cpuFlags">;
const HOST: Compiler = { toolPrefix: "", cpuFlags: [] };

function crossCompiler({ compiler, core }: Board): Compiler {
  if (compiler !== undefined) return { toolPrefix: compiler.prefix, cpuFlags: compiler.flags };
  if (core === null) return HOST;
  const processor = coreById(core);
  if (processor.toolchain === "arm") return { toolPrefix: "arm-none-eabi-", cpuFlags: processor.gccFlags };
  // The bare RISC-V compiler has no C library of its own: its specs name one.
  return { toolPrefix: "riscv64-unknown-elf-", cpuFlags: [...processor.gccFlags, processor.specs] };
}

/** Where whole images do not fit a board and nobody said how to use memory, rows may fit. */
function compileForBoard(graph: Graph, board: Board | null, options: ArtefactOptions): Compiled {
  const target = board?.dsp === true ? "c-dsp" : "c";
  const compiled = compileFor(graph, target, options);
  const said = options.ram !== undefined || options.fuse === true || options.streamInput === true;
  if (board === null || said || board.tablesInRam === true || compiled.plan.arenaBytes <= board.sramBytes) return compiled;
  return compileFor(graph, target, { ...options, ram: board.sramBytes });
}

async function cArtefact(graph: Graph, options: ArtefactOptions, id: string): Promise<Artefact> {
  const board = options.board === undefined ? null : boardById(options.board);
  const compiled = compileForBoard(graph, board, options);
  if (board !== null) checkFits(board, compiled, null);
  const core = board === null ? USUAL_CORE : board.core;
  const codeBytes = core === null ? null : await measureCode(core, compiled, id);
  if (board !== null) checkFits(board, compiled, codeBytes);
  const files = packageC(compiled.program, compiled.plan, {
    id,
    macs: compiled.macs,
    ...compilerFor(board),
    code: codeBytes === null || core === null ? null : { bytes: codeBytes, core },
  });
  return { id, compiled, board, files, codeBytes, codeFrom: codeBytes === null ? null : core };
}

function wasmFiles({ graph, program, plan }: Compiled, options: ArtefactOptions, id: string): Artefact["files"] {
  const threads = worthThreads(graph) && plan.overlaps.length === 0 && (program.stages ?? []).length === 0;
  const dots = gainsByDots(graph) ? compileFor(graph, "wasm-dots", options) : undefined;
  return packageWasm(program, plan, id, { threads, dots });
}

/**
 * Makes the deployable thing in memory; nothing is written.
 * @throws KingletError `misuse` for unknown names, `does-not-fit` with the numbers, or what compiling throws.
 */
export async function makeArtefact(graph: Graph, options: ArtefactOptions): Promise<Artefact> {
  const id = checkId(options.id ?? libraryId(graph.name));
  if (options.target === "c") return await cArtefact(graph, options, id);
  if (options.board !== undefined) throw new KingletError("misuse", `--board goes with --target c, not with ${options.target}`);
  const compiled = compileFor(graph, options.target, options);
  const files = options.target === "wasm" ? wasmFiles(compiled, options, id) : packageJs(compiled.program, compiled.plan, id);
  const module = files.get(options.target === "wasm" ? `${id}.wasm` : `${id}.js`)!;
  const stored = options.target === "wasm" ? wasmTableBytes(compiled.program) : base64Bytes(compiled);
  return { id, compiled, board: null, files, codeBytes: Math.max(0, Buffer.byteLength(module) - stored), codeFrom: null };
}

function base64Bytes(compiled: Compiled): number {
  return compiled.program.constants.reduce((sum, { data }) => sum + 4 * Math.ceil(data.byteLength / 3), 0);
}
