import { constant, Expr } from "./expr.ts";
import type { Func, Param, Stmt } from "./program.ts";
import { signed, signed64, unsigned, VALUE, type WasmFunction } from "./wasm-encoder.ts";
import { NO_RESULT, OP } from "./wasm-opcodes.ts";

/** Bytes that threads need for waiting for each other: a count of arrivals, then a count of meetings for each thread. */
export const CONTROL_BYTES = 256;
/** Threads that fit into them. */
export const MOST_THREADS = 32;

/** Some ten seconds of the first thread's waiting: no share of a step comes so late. The others mostly sleep. */
const MOST_SPINS = 2n ** 33n;

const ATOMIC = { prefix: 0xfe, wait32: 0x01, load: 0x10, add: 0x1e } as const;

// Blanks keep the names apart from every kernel's own.
const PART = "thread part";
const PARTS = "thread parts";
const PARAMS: readonly Param[] = [PART, PARTS].map((name) => ({ kind: "scalar", name, type: "i32" }));

function param(name: string): Expr {
  return new Expr("i32", { kind: "param", name });
}

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

/** A kernel for one of several threads: which of how many are its last two parameters. */
export function forThreads(func: Func): Func {
  return { ...func, params: [...func.params, ...PARAMS], body: shareBlock(func.body) };
}

/**
 * Waits until all threads have come here: function (part, parts). Arrivals are counted for ever, modulo 2^32. A
 * thread that waits long lets others run, except the first: pages may not block. That one gives up with a trap where
 * another does not come any more.
 * @param control the address of the words for it.
 */
export function barrierFunction(control: number): WasmFunction {
  const [part, parts, own, target, spins] = [0, 1, 2, 3, 4];
  const get = (local: number): number[] => [OP.local_get, local];
  const int = (value: number): number[] => [OP.i32_const, ...signed(value)];
  const long = (value: bigint): number[] => [OP.i64_const, ...signed64(value)];
  const at = (offset: number): number[] => [2, ...unsigned(offset)];
  const arrived = [...int(control), ATOMIC.prefix, ATOMIC.load, ...at(0)];
  const code = [
    ...[...get(part), ...int(2), OP.i32_shl, ...int(control), OP.i32_add, OP.local_set, own],
    ...[...get(own), OP.i32_load, ...at(64), ...get(parts), OP.i32_add, OP.local_set, target],
    ...[...get(own), ...get(target), 0x36, ...at(64)],
    ...[...int(control), ...int(1), ATOMIC.prefix, ATOMIC.add, ...at(0), 0x1a],
    ...[OP.block, NO_RESULT, OP.loop, NO_RESULT],
    ...[...arrived, ...get(target), 0x6b, ...int(0), OP.i32_ge_s, OP.br_if, 1],
    ...[...get(spins), ...long(1n), OP.i64_add, OP.local_tee, spins, ...long(4000n), OP.i64_lt_s, OP.br_if, 0],
    ...[...get(spins), ...long(MOST_SPINS), OP.i64_ge_s, OP.if, NO_RESULT, OP.unreachable, OP.end],
    ...[...get(part), OP.i32_eqz, OP.br_if, 0],
    // 50 µs, whether or not another thread has come in between.
    ...[...int(control), ...arrived, OP.i64_const, ...signed(50_000), ATOMIC.prefix, ATOMIC.wait32, ...at(0), 0x1a],
    ...[0x0c, 0, OP.end, OP.end],
  ];
  return { name: "barrier", params: [VALUE.i32, VALUE.i32], results: [], locals: [VALUE.i32, VALUE.i32, VALUE.i64], code, exported: false };
}
