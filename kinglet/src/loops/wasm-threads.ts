import { constant, Expr } from "./expr.ts";
import type { Func, Param, Program, Step, Stmt } from "./program.ts";
import { MEMORY_BYTES } from "./types.ts";
import { signed, unsigned, VALUE, type WasmFunction } from "./wasm-encoder.ts";
import { NO_RESULT, OP } from "./wasm-opcodes.ts";

/** Bytes that threads need for waiting for each other: a count of arrivals, then a count of meetings for each thread. */
export const CONTROL_BYTES = 256;
/** Threads that fit into them. */
export const MOST_THREADS = 32;

/** The word of the control block that says whether the first thread may sleep while it waits, and that of how many sleep. */
export const MAY_SLEEP = 4;
const SLEEPERS = 5;
/** Turns of waiting awake, some hundred microseconds: waking a thread takes as long as a small layer. */
export const SPINS_AWAKE = 100_000;
/** Who comes wakes those who sleep; they look up as often as this, for one that will never come. */
const SLEEP_NANOSECONDS = 100_000_000;
/** Some seconds of waiting, more where the machine is busy: no share of a step comes so late. A sleep counts as many turns. */
const MOST_SPINS = 2 ** 31;
const SPINS_OF_SLEEP = 2 ** 25;

const ATOMIC = { prefix: 0xfe, notify: 0x00, wait32: 0x01, load: 0x10, add: 0x1e, sub: 0x25 } as const;

// Blanks keep the names apart from every kernel's own.
const PART = "thread part";
const PARTS = "thread parts";
const PARAMS: readonly Param[] = [PART, PARTS].map((name) => ({ kind: "scalar", name, type: "i32" }));

function param(name: string): Expr {
  return new Expr("i32", { kind: "param", name });
}

const DROP = 0x1a;

/** What a kernel for several threads is told: its part, and how many there are. */
export const THREAD: readonly Expr[] = [param(PART), param(PARTS)];

/** The turns of one thread: an equal share, rounded up, as one run of neighbours. */
function shareLoop(loop: Extract<Stmt, { kind: "for" }>): Stmt {
  const turns = loop.to
    .sub(loop.from)
    .max(0)
    .add(loop.step - 1)
    .div(loop.step);
  const share = turns.add(param(PARTS)).sub(1).div(param(PARTS)).mul(constant(loop.step, "i32"));
  const from = loop.from.add(param(PART).mul(share));
  return { ...loop, from, to: loop.to.min(from.add(share)) };
}

function shareBlock(body: readonly Stmt[]): Stmt[] {
  return body.map((stmt): Stmt => {
    if (stmt.kind === "if") return { ...stmt, body: shareBlock(stmt.body), otherwise: shareBlock(stmt.otherwise) };
    if (stmt.kind !== "for") return stmt;
    return stmt.parallel === true ? shareLoop(stmt) : { ...stmt, body: shareBlock(stmt.body) };
  });
}

/** True where a function has a loop that threads can share. */
export function isParallel(func: Func): boolean {
  const found = (body: readonly Stmt[]): boolean =>
    body.some(
      (stmt) =>
        (stmt.kind === "for" && (stmt.parallel === true || found(stmt.body))) || (stmt.kind === "if" && (found(stmt.body) || found(stmt.otherwise))),
    );
  return found(func.body);
}

/** Working memory belongs to no value, and as a rule to one thread at a time. */
function usesScratch(program: Program, step: Step): boolean {
  return step.args.some((arg) => arg.kind === "buffer" && program.buffers[arg.index]!.value === undefined);
}

/** Bytes that a step must touch to be shared: with fewer, threads would mostly wait. */
const LEAST_SHARED_BYTES = 16_384;

function bytesTouched(program: Program, step: Step): number {
  const bytes = step.args.map((arg) => {
    if (arg.kind === "scalar") return 0;
    const { type, length } =
      arg.kind === "buffer" ? program.buffers[arg.index]! : { ...program.constants[arg.index]!, length: program.constants[arg.index]!.data.length };
    return length * MEMORY_BYTES[type];
  });
  return bytes.reduce((sum, count) => sum + count, 0);
}

/** How threads run a step. */
export function sharingOf(program: Program, step: Step): "all" | "alone" | "unable" {
  const func = program.functions.find(({ name }) => name === step.func)!;
  if (!isParallel(func)) return "unable";
  const own = func.sharesScratch !== true && usesScratch(program, step);
  return own || bytesTouched(program, step) < LEAST_SHARED_BYTES ? "alone" : "all";
}

/** A kernel for one of several threads: which of how many are its last two parameters. */
export function forThreads(func: Func): Func {
  return { ...func, params: [...func.params, ...PARAMS], body: shareBlock(func.body) };
}

const int = (value: number): number[] => [OP.i32_const, ...signed(value)];
const get = (local: number): number[] => [OP.local_get, local];
const at = (offset: number): number[] => [2, ...unsigned(offset)];
const atomic = (op: number, offset: number): number[] => [ATOMIC.prefix, op, ...at(offset)];

/**
 * Sleeps until another thread comes, or for a while: function (target). A function of its own: some versions of V8's first
 * compiler lose locals of a loop that waits.
 * @param control the address of the words for it.
 */
function sleepFunction(control: number): WasmFunction {
  const [target, seen] = [0, 1];
  const count = (op: number): number[] => [...int(control), ...int(1), ...atomic(op, 4 * SLEEPERS), DROP];
  const code = [
    ...count(ATOMIC.add),
    // Who comes after this sees a sleeper; who came before is seen here.
    ...[...int(control), ...atomic(ATOMIC.load, 0), OP.local_tee, seen, ...get(target), 0x6b, ...int(0), OP.i32_lt_s, OP.if, NO_RESULT],
    ...[...int(control), ...get(seen), OP.i64_const, ...signed(SLEEP_NANOSECONDS), ...atomic(ATOMIC.wait32, 0), DROP, OP.end],
    ...count(ATOMIC.sub),
  ];
  return { name: "sleep", params: [VALUE.i32], results: [], locals: [VALUE.i32], code, exported: false };
}

/**
 * Waits until all threads have come here: function (part, parts). Arrivals are counted for ever, modulo 2^32. A
 * thread that waits long sleeps; the first only where the word `MAY_SLEEP` is not 0, since pages may not block. It
 * gives up with a trap where another does not come any more.
 * @param sleep the number of `sleepFunction`.
 */
function meetFunction(control: number, sleep: number, exported: boolean): WasmFunction {
  const [part, parts, own, target, spins] = [0, 1, 2, 3, 4];
  const code = [
    // Who runs a step alone meets nobody.
    ...[OP.block, NO_RESULT, ...get(parts), ...int(2), OP.i32_lt_s, OP.br_if, 0],
    ...[...get(part), ...int(2), OP.i32_shl, ...int(control), OP.i32_add, OP.local_set, own],
    ...[...get(own), OP.i32_load, ...at(64), ...get(parts), OP.i32_add, OP.local_set, target],
    ...[...get(own), ...get(target), 0x36, ...at(64)],
    ...[...int(control), ...int(1), ...atomic(ATOMIC.add, 0), DROP],
    ...[...int(control), ...atomic(ATOMIC.load, 4 * SLEEPERS), OP.if, NO_RESULT],
    ...[...int(control), ...int(-1), ...atomic(ATOMIC.notify, 0), DROP, OP.end],
    ...[OP.block, NO_RESULT, OP.loop, NO_RESULT],
    ...[...int(control), ...atomic(ATOMIC.load, 0), ...get(target), 0x6b, ...int(0), OP.i32_ge_s, OP.br_if, 1],
    ...[...get(spins), ...int(1), OP.i32_add, OP.local_tee, spins, ...int(SPINS_AWAKE), OP.i32_lt_u, OP.br_if, 0],
    ...[...get(part), OP.i32_eqz, OP.if, NO_RESULT],
    ...[...get(spins), ...int(MOST_SPINS), OP.i32_ge_u, OP.if, NO_RESULT, OP.unreachable, OP.end],
    ...[...int(control), OP.i32_load, ...at(4 * MAY_SLEEP), OP.i32_eqz, OP.br_if, 1, OP.end],
    ...[...get(spins), ...int(SPINS_OF_SLEEP), OP.i32_add, OP.local_set, spins],
    ...[...get(target), OP.call, ...unsigned(sleep)],
    ...[0x0c, 0, OP.end, OP.end, OP.end],
  ];
  return { name: "meet", params: [VALUE.i32, VALUE.i32], results: [], locals: [VALUE.i32, VALUE.i32, VALUE.i32], code, exported };
}

/**
 * How threads wait for each other: `meet`, then what it needs.
 * @param control the address of the words for it. @param index the number of the first of these functions.
 */
export function barrierFunctions(control: number, index: number, exported: boolean): WasmFunction[] {
  return [meetFunction(control, index + 1, exported), sleepFunction(control)];
}
