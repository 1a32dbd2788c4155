import { KingletError } from "../base/index.ts";
import type { Expr } from "./expr.ts";
import type { Func } from "./program.ts";
import type { ValueKind } from "./types.ts";
import type { WasmType } from "./wasm-encoder.ts";
import { OP, wasmType } from "./wasm-opcodes.ts";
import { signed, signed64, unsigned } from "./wasm-encoder.ts";

/** What a whole program tells about one function: the index of each function, and its scalars' values. */
export interface FunctionContext {
  readonly functionIndex: (name: string) => number;
  /** Scalar parameters that have one value in every call of the program. */
  readonly fixed: ReadonlyMap<string, number | bigint>;
  /** Integer parameters that are never negative in any call. */
  readonly nonNegative: ReadonlySet<string>;
  /** The module may use relaxed SIMD. */
  readonly relaxed: boolean;
  /** Where all threads meet; absent in a module for one. */
  readonly barrier?: number | undefined;
}

interface Local {
  readonly index: number;
  readonly type: WasmType;
  /** Never changes after its definition. */
  readonly stable: boolean;
}

/** An address: a local that holds one, and a constant. */
export interface Pointer {
  readonly local: number;
  readonly offset: number;
}

/** One WebAssembly function as it grows: its code, its named locals and a pool of unnamed ones. */
export class Frame {
  readonly code: number[] = [];
  readonly locals: WasmType[] = [];
  readonly context: FunctionContext;
  /** Index arithmetic below these locals cannot be negative. */
  readonly nonNegative = new Set<string>();
  private readonly names = new Map<string, Local>();
  private readonly params = new Map<string, number>();
  /** Addresses that are ready in locals, by the index expression and the buffer of the access. */
  private readonly pointers = new Map<Expr, Map<string, Pointer>>();
  private readonly free = new Map<WasmType, number[]>();

  constructor(func: Func, context: FunctionContext) {
    this.context = context;
    for (const [i, param] of func.params.entries()) this.params.set(param.name, i);
  }

  put(...bytes: number[]): void {
    for (const byte of bytes) this.code.push(byte);
  }

  get(index: number): void {
    this.put(OP.local_get, ...unsigned(index));
  }

  set(index: number): void {
    this.put(OP.local_set, ...unsigned(index));
  }

  tee(index: number): void {
    this.put(OP.local_tee, ...unsigned(index));
  }

  i32(value: number): void {
    this.put(OP.i32_const, ...signed(value));
  }

  zero(type: ValueKind): void {
    if (type === "i64") this.put(OP.i64_const, ...signed64(0n));
    else this.i32(0);
  }

  param(name: string): number {
    const index = this.params.get(name);
    if (index === undefined) throw new KingletError("internal", `The function has no parameter ${name}.`);
    return index;
  }

  /** A named local; one name met again with its type (in another block) is one local. */
  define(name: string, type: ValueKind, stable: boolean): number {
    const before = this.names.get(name);
    if (before !== undefined && before.type === wasmType(type)) {
      if (before.stable && !stable) this.names.set(name, { ...before, stable });
      return before.index;
    }
    const local = { index: this.fresh(wasmType(type)), type: wasmType(type), stable };
    this.names.set(name, local);
    return local.index;
  }

  local(name: string): Local {
    const local = this.names.get(name);
    if (local === undefined) throw new KingletError("internal", `The function reads ${name} before it is defined.`);
    return local;
  }

  /** An unnamed local; give it back with `release` when its value is no longer needed. */
  acquire(type: ValueKind): number {
    return this.free.get(wasmType(type))?.pop() ?? this.fresh(wasmType(type));
  }

  release(type: ValueKind, index: number): void {
    const list = this.free.get(wasmType(type));
    if (list === undefined) this.free.set(wasmType(type), [index]);
    else list.push(index);
  }

  /** Makes an unnamed local readable as an expression while `use` runs. */
  withName(name: string, type: ValueKind, index: number, use: () => void): void {
    this.names.set(name, { index, type: wasmType(type), stable: true });
    use();
    this.names.delete(name);
  }

  setPointer(buffer: string, index: Expr, pointer: Pointer): void {
    const known = this.pointers.get(index) ?? new Map<string, Pointer>();
    known.set(buffer, pointer);
    this.pointers.set(index, known);
  }

  dropPointer(buffer: string, index: Expr): void {
    this.pointers.get(index)?.delete(buffer);
  }

  pointer(buffer: string, index: Expr): Pointer | undefined {
    return this.pointers.get(index)?.get(buffer);
  }

  /** Costs nothing to evaluate twice, and gives the same both times within one statement. */
  isLeaf(e: Expr): boolean {
    return e.node.kind === "const" || e.node.kind === "local" || e.node.kind === "param";
  }

  /** A leaf that no statement changes. */
  isStable(e: Expr): boolean {
    return this.isLeaf(e) && (e.node.kind !== "local" || this.local(e.node.name).stable);
  }

  private fresh(type: WasmType): number {
    return this.params.size + this.locals.push(type) - 1;
  }
}
