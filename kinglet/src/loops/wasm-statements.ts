import { KingletError } from "../base/index.ts";
import type { Expr } from "./expr.ts";
import type { Func, Param, Stmt } from "./program.ts";
import { MEMORY_BYTES } from "./types.ts";
import { constantOf, emitAddress, emitFullAddress, emitScaled, isNonNegative, putMemoryArgument } from "./wasm-address.ts";
import { emit } from "./wasm-code.ts";
import { unsigned, VALUE, type WasmFunction } from "./wasm-encoder.ts";
import { Frame, type FunctionContext } from "./wasm-frame.ts";
import { emitPointers } from "./wasm-pointers.ts";
import { NO_RESULT, OP, SIMD, STORE } from "./wasm-opcodes.ts";
import { THREAD } from "./wasm-threads.ts";

type Statement<K extends Stmt["kind"]> = Extract<Stmt, { kind: K }>;

/** Buffers are addresses. */
function paramType(param: Param): (typeof VALUE)["i32" | "i64" | "f32"] {
  return param.kind === "buffer" ? VALUE.i32 : VALUE[param.type];
}

export function compileFunction(func: Func, context: FunctionContext): WasmFunction {
  const frame = new Frame(func, context);
  emitBlock(frame, func.body);
  return {
    name: func.name,
    params: func.params.map(paramType),
    results: func.result === null ? [] : [VALUE[func.result]],
    locals: frame.locals,
    code: frame.code,
    exported: false,
  };
}

function emitBlock(frame: Frame, body: readonly Stmt[]): void {
  for (const stmt of body) emitStatement(frame, stmt);
}

function emitStatement(frame: Frame, stmt: Stmt): void {
  switch (stmt.kind) {
    case "let":
      emitLet(frame, stmt);
      break;
    case "var":
      emitDefinition(frame, stmt.name, stmt.value, false);
      break;
    case "assign":
      emitAssign(frame, stmt);
      break;
    case "store":
      emitStore(frame, stmt);
      break;
    case "vectorStore":
      emitVectorStore(frame, stmt);
      break;
    case "for":
      emitFor(frame, stmt);
      break;
    case "if":
      emitIf(frame, stmt);
      break;
    case "copy":
      emitCopy(frame, stmt);
      break;
    // The last statement: what it leaves on the stack is the result.
    case "return":
      emit(frame, stmt.value);
      break;
  }
}

function emitLet(frame: Frame, stmt: Statement<"let">): void {
  emitDefinition(frame, stmt.name, stmt.value, true);
  mark(frame, stmt.name, stmt.value.type === "i32" && isNonNegative(frame, stmt.value));
}

/** Remembers (or forgets, where another block used the name) that a local cannot be negative. */
function mark(frame: Frame, name: string, nonNegative: boolean): void {
  if (nonNegative) frame.nonNegative.add(name);
  else frame.nonNegative.delete(name);
}

function emitDefinition(frame: Frame, name: string, value: Expr, stable: boolean): void {
  emit(frame, value);
  if (!stable) mark(frame, name, false);
  frame.set(frame.define(name, value.type, stable));
}

function emitAssign(frame: Frame, stmt: Statement<"assign">): void {
  emit(frame, stmt.value);
  frame.set(frame.local(stmt.name).index);
}

function emitStore(frame: Frame, stmt: Statement<"store">): void {
  const { type } = stmt.buffer;
  const offset = emitAddress(frame, stmt.buffer, stmt.index);
  emit(frame, stmt.value);
  frame.put(STORE[type]);
  putMemoryArgument(frame, Math.log2(MEMORY_BYTES[type]), offset);
}

function emitVectorStore(frame: Frame, stmt: Statement<"vectorStore">): void {
  if (stmt.form === "narrow" || stmt.form === "interleave4") throw new KingletError("internal", `WebAssembly has no vector store ${stmt.form}.`);
  const offset = emitAddress(frame, stmt.buffer, stmt.index);
  emit(frame, stmt.value);
  frame.put(OP.simd, stmt.form === "full" ? SIMD.store : SIMD.store64_lane);
  putMemoryArgument(frame, 0, offset);
  if (stmt.form === "low8") frame.put(0);
}

/** A guard, then a loop that tests at its end; the guard is left out where the first turn is certain. */
function emitFor(frame: Frame, stmt: Statement<"for">): void {
  const from = constantOf(frame, stmt.from);
  const to = constantOf(frame, stmt.to);
  const counted = from !== undefined && to !== undefined;
  if (counted && from >= to) return;
  // `to` goes first: `from` is stored in the loop's local, which `to` may read where blocks share a name.
  const limit = emitLimit(frame, stmt.to);
  emit(frame, stmt.from);
  const counter = frame.define(stmt.name, "i32", true);
  mark(frame, stmt.name, isNonNegative(frame, stmt.from));
  frame.set(counter);
  if (!counted) emitGuard(frame, counter, limit.push);
  const pointers = emitPointers(frame, stmt);
  emitTurns(frame, stmt, counter, limit.push, pointers.advance);
  pointers.done();
  if (!counted) frame.put(OP.end);
  limit.done();
  if (stmt.meets === true && frame.context.barrier !== undefined) {
    for (const told of THREAD) emit(frame, told);
    frame.put(OP.call, ...unsigned(frame.context.barrier));
  }
}

/** Evaluates the upper bound once, unless reading it again gives the same. */
function emitLimit(frame: Frame, to: Expr): { push: () => void; done: () => void } {
  if (frame.isStable(to)) return { push: () => emit(frame, to), done: () => {} };
  const temp = frame.acquire("i32");
  emit(frame, to);
  frame.set(temp);
  return { push: () => frame.get(temp), done: () => frame.release("i32", temp) };
}

function emitGuard(frame: Frame, counter: number, pushLimit: () => void): void {
  frame.put(OP.block, NO_RESULT);
  frame.get(counter);
  pushLimit();
  frame.put(OP.i32_ge_s, OP.br_if, 0);
}

function emitTurns(frame: Frame, stmt: Statement<"for">, counter: number, pushLimit: () => void, advance: () => void): void {
  frame.put(OP.loop, NO_RESULT);
  emitBlock(frame, stmt.body);
  advance();
  frame.get(counter);
  frame.i32(stmt.step);
  frame.put(OP.i32_add);
  frame.tee(counter);
  pushLimit();
  frame.put(OP.i32_lt_s, OP.br_if, 0, OP.end);
}

function emitIf(frame: Frame, stmt: Statement<"if">): void {
  emit(frame, stmt.condition);
  frame.put(OP.if, NO_RESULT);
  emitBlock(frame, stmt.body);
  if (stmt.otherwise.length > 0) {
    frame.put(OP.else);
    emitBlock(frame, stmt.otherwise);
  }
  frame.put(OP.end);
}

function emitCopy(frame: Frame, stmt: Statement<"copy">): void {
  emitFullAddress(frame, stmt.to, stmt.toIndex);
  emitFullAddress(frame, stmt.from, stmt.fromIndex);
  emitScaled(frame, stmt.count, MEMORY_BYTES[stmt.to.type]);
  frame.put(OP.more, 10, 0, 0);
}
