import type { BufferRef, Expr } from "./expr.ts";
import type { Stmt } from "./program.ts";
import { mapOperands } from "./simplify.ts";
import { MEMORY_BYTES } from "./types.ts";
import { constantOf, emitFullAddress, MAX_OFFSET } from "./wasm-address.ts";
import type { Frame } from "./wasm-frame.ts";
import { OP } from "./wasm-opcodes.ts";

type Loop = Extract<Stmt, { kind: "for" }>;

/** An index as constant + step · loop variable + terms that the loop does not change. */
interface Linear {
  readonly constant: number;
  readonly step: number;
  /** The unchanging terms by their text, with factors. */
  readonly terms: ReadonlyMap<string, number>;
}

/** An access of the loop's body. */
interface Access {
  readonly buffer: BufferRef;
  readonly index: Expr;
  readonly linear: Linear;
}

/** Accesses that differ by constants: one address moves along with the loop, the constants go into the instructions. */
interface Pointer {
  readonly lowest: Access;
  readonly members: readonly Access[];
  /** Bytes that the address moves on with each turn. */
  readonly bytes: number;
}

const NONE: ReadonlyMap<string, number> = new Map();

function scaled(a: Linear, factor: number): Linear {
  return { constant: a.constant * factor, step: a.step * factor, terms: new Map([...a.terms].map(([key, count]) => [key, count * factor])) };
}

function sum(a: Linear, b: Linear): Linear {
  const terms = new Map(a.terms);
  for (const [key, count] of b.terms) terms.set(key, (terms.get(key) ?? 0) + count);
  return { constant: a.constant + b.constant, step: a.step + b.step, terms: new Map([...terms].filter(([, count]) => count !== 0)) };
}

/** The operands of an expression that only computes with numbers; null where it reads memory or calls. */
function operandsOf(e: Expr): readonly Expr[] | null {
  const node = e.node;
  if (node.kind === "binary" || node.kind === "compare") return [node.a, node.b];
  if (node.kind === "const" || node.kind === "local" || node.kind === "param") return [];
  return node.kind === "select" ? [node.condition, node.a, node.b] : null;
}

class LoopIndices {
  private readonly frame: Frame;
  private readonly variable: string;
  private readonly lets = new Map<string, Expr>();
  private readonly changed = new Set<string>();

  constructor(frame: Frame, loop: Loop) {
    this.frame = frame;
    this.variable = loop.name;
    for (const stmt of loop.body) {
      if (stmt.kind === "let") this.lets.set(stmt.name, stmt.value);
      if (stmt.kind === "let" || stmt.kind === "var" || stmt.kind === "assign") this.changed.add(stmt.name);
    }
  }

  /** The expression with the body's own locals written out: it can then be computed before the loop. */
  inline(e: Expr): Expr {
    const value = e.node.kind === "local" ? this.lets.get(e.node.name) : undefined;
    return value === undefined ? mapOperands(e, (operand) => this.inline(operand)) : this.inline(value);
  }

  private isUnchanging(e: Expr): boolean {
    if (e.node.kind === "local") return e.node.name !== this.variable && !this.changed.has(e.node.name);
    return operandsOf(e)?.every((operand) => this.isUnchanging(operand)) ?? false;
  }

  linear(e: Expr): Linear | undefined {
    const known = constantOf(this.frame, e);
    if (known !== undefined) return { constant: known, step: 0, terms: NONE };
    const node = e.node;
    if (node.kind === "local" && node.name === this.variable) return { constant: 0, step: 1, terms: NONE };
    if (node.kind === "local" && this.lets.has(node.name)) return this.linear(this.lets.get(node.name)!);
    if (node.kind === "binary") {
      const parts = this.arithmetic(node.op, node.a, node.b);
      if (parts !== undefined) return parts;
    }
    return this.isUnchanging(e) ? { constant: 0, step: 0, terms: new Map([[JSON.stringify(e), 1]]) } : undefined;
  }

  private arithmetic(op: string, left: Expr, right: Expr): Linear | undefined {
    if (op !== "add" && op !== "sub" && op !== "mul") return undefined;
    const [a, b] = [this.linear(left), this.linear(right)];
    if (a === undefined || b === undefined) return undefined;
    if (op === "add") return sum(a, b);
    if (op === "sub") return sum(a, scaled(b, -1));
    const plain = [a, b].find((part) => part.step === 0 && part.terms.size === 0);
    return plain === undefined ? undefined : scaled(plain === a ? b : a, plain.constant);
  }
}

function loadsOf(e: Expr, found: { buffer: BufferRef; index: Expr }[]): void {
  const node = e.node;
  if (node.kind === "load" || node.kind === "loadWord" || node.kind === "vectorLoad") found.push(node);
  if (node.kind === "load" || node.kind === "loadWord" || node.kind === "vectorLoad") loadsOf(node.index, found);
  else if (node.kind === "binary" || node.kind === "compare") for (const part of [node.a, node.b]) loadsOf(part, found);
  else if (node.kind === "unary" || node.kind === "convert") loadsOf(node.a, found);
  else if (node.kind === "select") for (const part of [node.condition, node.a, node.b]) loadsOf(part, found);
  else if (node.kind === "vector" || node.kind === "intrinsic" || node.kind === "call") for (const part of node.args) loadsOf(part, found);
}

/** All accesses of a body that runs from top to bottom, or null where it branches. */
function accessesOf(body: readonly Stmt[]): { buffer: BufferRef; index: Expr }[] | null {
  const found: { buffer: BufferRef; index: Expr }[] = [];
  for (const stmt of body) {
    if (stmt.kind === "let" || stmt.kind === "var" || stmt.kind === "assign") loadsOf(stmt.value, found);
    else if (stmt.kind === "store" || stmt.kind === "vectorStore") {
      loadsOf(stmt.index, found);
      loadsOf(stmt.value, found);
      found.push(stmt);
    } else return null;
  }
  return found;
}

function groupKey(buffer: BufferRef, linear: Linear): string {
  return JSON.stringify([buffer.name, linear.step, [...linear.terms].sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** The addresses of a loop that can move along with it. A body that branches has none: an address that is never used may be out of range. */
function pointersOf(indices: LoopIndices, loop: Loop): Pointer[] {
  const accesses = accessesOf(loop.body);
  if (accesses === null) return [];
  const groups = new Map<string, Access[]>();
  for (const { buffer, index } of accesses) {
    const linear = indices.linear(index);
    if (linear === undefined) continue;
    const key = groupKey(buffer, linear);
    groups.set(key, [...(groups.get(key) ?? []), { buffer, index, linear }]);
  }
  return [...groups.values()].map((members) => {
    const lowest = members.reduce((least, next) => (next.linear.constant < least.linear.constant ? next : least));
    const reach = (access: Access): number => (access.linear.constant - lowest.linear.constant) * MEMORY_BYTES[access.buffer.type];
    return {
      lowest,
      members: members.filter((access) => reach(access) < MAX_OFFSET),
      bytes: lowest.linear.step * loop.step * MEMORY_BYTES[lowest.buffer.type],
    };
  });
}

/**
 * Gives the accesses of a loop addresses that move along with it, instead of an address computed in every turn.
 * To be called when the loop's variable has its first value. @returns what to emit at the end of a turn, and after the loop.
 */
export function emitPointers(frame: Frame, loop: Loop): { advance: () => void; done: () => void } {
  const indices = new LoopIndices(frame, loop);
  const pointers = pointersOf(indices, loop).map((pointer) => {
    const local = frame.acquire("i32");
    emitFullAddress(frame, pointer.lowest.buffer, indices.inline(pointer.lowest.index));
    frame.set(local);
    for (const { buffer, index, linear } of pointer.members) {
      frame.setPointer(buffer.name, index, { local, offset: (linear.constant - pointer.lowest.linear.constant) * MEMORY_BYTES[buffer.type] });
    }
    return { ...pointer, local };
  });
  return {
    advance: () => {
      for (const { local, bytes } of pointers) {
        if (bytes === 0) continue;
        frame.get(local);
        frame.i32(bytes);
        frame.put(OP.i32_add);
        frame.set(local);
      }
    },
    done: () => {
      for (const { local, members } of pointers) {
        frame.release("i32", local);
        for (const { buffer, index } of members) frame.dropPointer(buffer.name, index);
      }
    },
  };
}
