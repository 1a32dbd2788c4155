import { KingletError } from "../base/index.ts";
import { constant, Expr } from "./expr.ts";
import { FunctionBuilder } from "./kernel.ts";
import type { Func, Placement, Port, Program, ProgramBuffer, Step, StepArgument } from "./program.ts";
import { runsOf, startOf } from "./runs.ts";
import { loadedType, MEMORY_BYTES, type MemoryType } from "./types.ts";
import { emit } from "./wasm-code.ts";
import { storedConstant, type StoredConstant, WIDEN, widenFunction } from "./wasm-constants.ts";
import { encodeModule, PAGE_BYTES, unsigned, VALUE, type WasmFunction } from "./wasm-encoder.ts";
import { Frame, type FunctionContext } from "./wasm-frame.ts";
import { NO_RESULT, OP, SIMD } from "./wasm-opcodes.ts";
import { compileFunction } from "./wasm-statements.ts";
import { barrierFunctions, CONTROL_BYTES, forThreads, isParallel, sharingOf } from "./wasm-threads.ts";

export interface WasmOptions {
  /** Also exports every step as "step0", "step1", … and names all functions. */
  readonly probe?: boolean;
  /** Uses relaxed SIMD, which not every engine has: multiply-adds of floats may then be rounded once. */
  readonly relaxed?: boolean;
  /** Also exports a function of this name that does nothing: it tells modules of one network apart. */
  readonly mark?: string;
  /**
   * For several threads: the memory is imported, and `run(part, parts)` computes a share of every layer that can be
   * shared, after which all threads wait for each other. Input and output of a step must not overlap in `placement`.
   * When probing there is no `run`: every step takes (part, parts), and so does `meet`, for after the last one.
   */
  readonly threads?: boolean;
}

/** Where things lie in the module's memory: the constants, then the arena. */
export interface WasmLayout {
  readonly constants: readonly number[];
  readonly arena: number;
  /** Addresses of the program's buffers, and the bytes of their elements. */
  readonly buffers: readonly number[];
  readonly elements: readonly number[];
  /** After everything else: the words by which threads wait for each other. */
  readonly control: number;
  /** Pages without these words, and with them. */
  readonly pages: number;
  readonly pagesForThreads: number;
}

function align16(value: number): number {
  return Math.ceil(value / 16) * 16;
}

/** The memory of the module that `printWasm` writes for this program. */
export function wasmLayout(program: Program, placement: Placement): WasmLayout {
  let end = 0;
  const constants = program.constants.map(({ data }) => {
    const at = end;
    end = align16(at + data.byteLength);
    return at;
  });
  const arena = end;
  const control = Math.ceil((arena + placement.arenaBytes) / 64) * 64;
  return {
    constants,
    arena,
    buffers: placement.offsets.map((offset) => arena + offset),
    elements: program.buffers.map((buffer) => MEMORY_BYTES[buffer.type]),
    control,
    pages: Math.ceil((arena + placement.arenaBytes) / PAGE_BYTES),
    pagesForThreads: Math.ceil((control + CONTROL_BYTES) / PAGE_BYTES),
  };
}

/**
 * Writes a program as one WebAssembly module without imports. It exports `memory`, `init` (call it first, and
 * again to reset the state) and `run`; the custom section "kinglet" says where inputs and outputs lie.
 */
export function printWasm(program: Program, placement: Placement, options: WasmOptions = {}): Uint8Array {
  const threads = options.threads ?? false;
  const layout = wasmLayout(program, placement);
  const stored = program.constants.map(storedConstant);
  const widens = stored.some(({ offset }) => offset !== undefined);
  const extra = [...fillFunctions(program), ...(widens ? [widenFunction((name) => paramExpr(name, "i32"))] : [])];
  const funcs = [...program.functions.map((func) => (threads && isParallel(func) ? forThreads(func) : func)), ...extra];
  const functionIndex = indexByName(funcs);
  const barrier = threads ? funcs.length : undefined;
  const kernels = funcs.map((func) => compileFunction(func, { ...contextOf(program, func, functionIndex, options.relaxed ?? false), barrier }));
  const probe = options.probe ?? false;
  const waits = threads ? barrierFunctions(layout.control, funcs.length, probe) : [];
  const entries = threads
    ? [initFunction(program, layout, functionIndex), ...sharedEntries(program, layout, functionIndex, funcs.length, probe)]
    : entryPoints(program, layout, functionIndex, kernels.length, probe);
  const marks: WasmFunction[] =
    options.mark === undefined ? [] : [{ name: options.mark, params: [], results: [], locals: [], code: [], exported: true }];
  const start = widens ? [startFunction(stored, layout, functionIndex)] : [];
  return encodeModule({
    functions: [...kernels, ...waits, ...entries, ...marks, ...start],
    ...(widens ? { start: kernels.length + waits.length + entries.length + marks.length } : {}),
    pages: threads ? layout.pagesForThreads : layout.pages,
    sharedMemory: threads,
    segments: stored.map(({ at, bytes }, i) => ({ offset: layout.constants[i]! + at, bytes })),
    custom: [{ name: "kinglet", bytes: new TextEncoder().encode(JSON.stringify(describe(program, placement, layout))) }],
    names: probe,
  });
}

/** Bytes of a program's functions in a module, without its tables. */
export function wasmCodeBytes(program: Program): number {
  const functionIndex = indexByName(program.functions);
  return program.functions.reduce((sum, func) => sum + compileFunction(func, contextOf(program, func, functionIndex, false)).code.length, 0);
}

/** True where relaxed SIMD makes a difference to a program. */
export function usesRelaxed(program: Program): boolean {
  return program.functions.some((func) =>
    JSON.stringify(func.body, (_, value) => (typeof value === "bigint" ? null : value)).includes('"f32x4.multiply_add"'),
  );
}

/** A module that only engines with relaxed SIMD accept: what `WebAssembly.validate` says of it chooses the module to load. */
export function relaxedProbe(): Uint8Array {
  const zero = [OP.i32_const, 0, OP.simd, SIMD.i32x4_splat];
  const code = [...zero, ...zero, ...zero, OP.simd, ...unsigned(SIMD.f32x4_relaxed_madd)];
  const probe: WasmFunction = { name: "probe", params: [], results: [VALUE.v128], locals: [], code, exported: false };
  return encodeModule({ functions: [probe], pages: 0, segments: [], custom: [], names: false });
}

/**
 * A module whose `probe(w, x)` is the sum of four equal products by the relaxed dot product. Its standard leaves open what a
 * byte above 127 means and whether a sum of two products may stop at 16 bits; an engine decides once for all operands.
 */
export function dotProbe(): Uint8Array {
  const bytes = (local: number): number[] => [OP.local_get, local, OP.simd, SIMD.i8x16_splat];
  const zero = [OP.i32_const, 0, OP.simd, SIMD.i32x4_splat];
  const dot = [OP.simd, ...unsigned(SIMD.i32x4_relaxed_dot_add), OP.simd, SIMD.i32x4_extract_lane, 0];
  const code = [...bytes(0), ...bytes(1), ...zero, ...dot];
  const probe: WasmFunction = { name: "probe", params: [VALUE.i32, VALUE.i32], results: [VALUE.i32], locals: [], code, exported: true };
  return encodeModule({ functions: [probe], pages: 0, segments: [], custom: [], names: false });
}

function indexByName(funcs: readonly Func[]): (name: string) => number {
  const indices = new Map(funcs.map((func, i) => [func.name, i]));
  return (name) => {
    const index = indices.get(name);
    if (index === undefined) throw new KingletError("internal", `The program has no function ${name}.`);
    return index;
  };
}

/** Looks through all calls of a kernel for what is the same, or never negative, in all of them. */
function contextOf(program: Program, func: Func, functionIndex: (name: string) => number, relaxed: boolean): FunctionContext {
  const fixed = new Map<string, number | bigint>();
  const nonNegative = new Set<string>();
  const steps = program.steps.filter((step) => step.func === func.name);
  func.params.forEach((param, i) => {
    // What a thread is told is no argument of a step.
    const told = steps.some((step) => i >= step.args.length);
    if (param.kind !== "scalar" || steps.length === 0 || told) return;
    const values = steps.map((step) => scalarValue(step, i));
    if (values.every((value) => Object.is(value, values[0]))) fixed.set(param.name, values[0]!);
    if (param.type === "i32" && values.every((value) => value >= 0)) nonNegative.add(param.name);
  });
  return { functionIndex, fixed, nonNegative, relaxed };
}

function scalarValue(step: Step, i: number): number | bigint {
  const arg = step.args[i];
  if (arg?.kind !== "scalar") throw new KingletError("internal", `Step ${step.name} has no scalar at argument ${i} of ${step.func}.`);
  return arg.value;
}

/** A function without parameters made of calls. */
class Calls {
  private readonly frame: Frame;
  private readonly name: string;

  constructor(name: string, functionIndex: (name: string) => number) {
    this.name = name;
    const func: Func = { name, doc: "", params: [], result: null, body: [], uses: [] };
    this.frame = new Frame(func, { functionIndex, fixed: new Map(), nonNegative: new Set(), relaxed: false });
  }

  step(step: Step, layout: WasmLayout, turn = 0): void {
    step.args.forEach((arg) => this.argument(arg, layout, turn));
    this.call(this.frame.context.functionIndex(step.func));
  }

  /** A thread's share of a step: all of it for the first thread where a step cannot be shared. Its part and the number of parts are locals 0 and 1. */
  share(step: Step, layout: WasmLayout, how: "all" | "alone" | "unable"): void {
    const { frame } = this;
    if (how !== "all") frame.put(OP.local_get, 0, OP.i32_eqz, OP.if, NO_RESULT);
    step.args.forEach((arg) => this.argument(arg, layout));
    if (how === "all") frame.put(OP.local_get, 0, OP.local_get, 1);
    else if (how === "alone") frame.put(OP.i32_const, 0, OP.i32_const, 1);
    this.call(frame.context.functionIndex(step.func));
    if (how !== "all") frame.put(OP.end);
  }

  /** All threads wait for each other. */
  meet(barrier: number): void {
    this.frame.put(OP.local_get, 0, OP.local_get, 1);
    this.call(barrier);
  }

  argument(arg: StepArgument, layout: WasmLayout, turn = 0): void {
    if (arg.kind === "scalar") emit(this.frame, constant(arg.value, arg.type));
    else if (arg.kind === "constant") this.frame.i32(layout.constants[arg.index]!);
    else this.frame.i32(layout.buffers[arg.index]! + startOf(arg, turn) * layout.elements[arg.index]!);
  }

  call(index: number): void {
    this.frame.put(OP.call, ...unsigned(index));
  }

  /** memory.copy of known places. */
  copy(to: number, from: number, bytes: number): void {
    for (const value of [to, from, bytes]) this.frame.i32(value);
    this.frame.put(OP.more, 10, 0, 0);
  }

  finish(exported: boolean): WasmFunction {
    return { name: this.name, params: [], results: [], locals: [], code: this.frame.code, exported };
  }
}

/** `init`, `run` and, for probing, every step; `first` is the index that the first of them gets. */
function entryPoints(program: Program, layout: WasmLayout, functionIndex: (name: string) => number, first: number, probe: boolean): WasmFunction[] {
  const run = new Calls("run", functionIndex);
  if (!probe)
    for (const each of runsOf(program)) {
      if (each.kind === "await") throw new KingletError("unsupported", "a WebAssembly module takes its input whole");
      run.step(program.steps[each.step]!, layout, each.turn);
    }
  const steps = probe ? program.steps.map((step, k) => stepFunction(step, k, layout, functionIndex)) : [];
  for (const k of steps.keys()) run.call(first + 2 + k);
  return [initFunction(program, layout, functionIndex), run.finish(true), ...steps];
}

function initFunction(program: Program, layout: WasmLayout, functionIndex: (name: string) => number): WasmFunction {
  const init = new Calls("init", functionIndex);
  for (const [i, buffer] of program.buffers.entries()) initialize(init, buffer, i, layout, functionIndex);
  return init.finish(true);
}

/** The shares of one thread, and the waiting around steps that are shared: run(part, parts) for all steps, or for probing one function for each. */
function sharedEntries(
  program: Program,
  layout: WasmLayout,
  functionIndex: (name: string) => number,
  barrier: number,
  probe: boolean,
): WasmFunction[] {
  if ((program.stages ?? []).length > 0) throw new KingletError("unsupported", "threads share whole images, not stages");
  const sharing = program.steps.map((step) => sharingOf(program, step));
  const functionOf = (name: string, first: number, end: number): WasmFunction => {
    const calls = new Calls(name, functionIndex);
    for (let k = first; k < end; k++) {
      calls.share(program.steps[k]!, layout, sharing[k]!);
      if (sharing[k] === "all" || sharing[k + 1] === "all" || (!probe && k === end - 1)) calls.meet(barrier);
    }
    return { ...calls.finish(true), params: [VALUE.i32, VALUE.i32] };
  };
  return probe ? program.steps.map((_, k) => functionOf(`step${k}`, k, k + 1)) : [functionOf("run", 0, program.steps.length)];
}

/** Runs once when the module is instantiated, before anything else. */
function startFunction(stored: readonly StoredConstant[], layout: WasmLayout, functionIndex: (name: string) => number): WasmFunction {
  const calls = new Calls("start", functionIndex);
  stored.forEach(({ at, bytes, offset }, i) => {
    if (offset === undefined) return;
    const address = layout.constants[i]!;
    for (const value of [address + at, address, bytes.length, offset]) calls.argument({ kind: "scalar", type: "i32", value }, layout);
    calls.call(functionIndex(WIDEN));
  });
  return calls.finish(false);
}

function stepFunction(step: Step, k: number, layout: WasmLayout, functionIndex: (name: string) => number): WasmFunction {
  const calls = new Calls(`step${k}`, functionIndex);
  calls.step(step, layout);
  return calls.finish(true);
}

function initialize(init: Calls, buffer: ProgramBuffer, index: number, layout: WasmLayout, functionIndex: (name: string) => number): void {
  const { initial, type, length } = buffer;
  if (initial === undefined) return;
  if (initial.kind === "constant") {
    init.copy(layout.buffers[index]!, layout.constants[initial.index]!, length * MEMORY_BYTES[type]);
    return;
  }
  init.argument({ kind: "buffer", index }, layout);
  init.argument({ kind: "scalar", type: "i32", value: length }, layout);
  init.argument({ kind: "scalar", type: loadedType(type), value: initial.value }, layout);
  init.call(functionIndex(fillName(type)));
}

// A blank keeps the name apart from every kernel's.
function fillName(type: MemoryType): string {
  return `fill ${type}`;
}

/** One fill function for each element type of filled state. */
function fillFunctions(program: Program): Func[] {
  const types = new Set(program.buffers.filter((b) => b.initial?.kind === "fill").map((b) => b.type));
  return [...types].map(fillFunction);
}

class Body extends FunctionBuilder {
  finish(): Func["body"] {
    return this.statements();
  }
}

function fillFunction(type: MemoryType): Func {
  const to = { name: "to", type };
  const scalar = loadedType(type);
  const body = new Body();
  body.for("i", 0, paramExpr("count", "i32"), (i) => body.store(to, i, paramExpr("value", scalar)));
  const params: Func["params"] = [
    { kind: "buffer", ...to, writes: true },
    { kind: "scalar", name: "count", type: "i32" },
    { kind: "scalar", name: "value", type: scalar },
  ];
  return { name: fillName(type), doc: "Sets every element.", params, result: null, body: body.finish(), uses: [] };
}

function paramExpr(name: string, type: Parameters<typeof constant>[1]): Expr {
  return new Expr(type, { kind: "param", name });
}

/** What the custom section says about one port; `offset` is the address in the module's memory. */
function describePort(port: Port, layout: WasmLayout): object {
  const { name, dtype, shape, quantization } = port;
  return { name, dtype, shape, ...quantization, offset: layout.buffers[port.buffer] };
}

function describe(program: Program, placement: Placement, layout: WasmLayout): object {
  return {
    name: program.name,
    inputs: program.inputs.map((port) => describePort(port, layout)),
    outputs: program.outputs.map((port) => describePort(port, layout)),
    arenaBytes: placement.arenaBytes,
  };
}
