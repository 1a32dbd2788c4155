import type { BufferRef, Expr } from "./expr.ts";
import { MEMORY_BYTES } from "./types.ts";
import { emit } from "./wasm-code.ts";
import type { Frame } from "./wasm-frame.ts";
import { unsigned } from "./wasm-encoder.ts";
import { OP } from "./wasm-opcodes.ts";

/** Larger offsets stay in the address: a memory argument must not carry an access beyond 2^31. */
export const MAX_OFFSET = 1 << 24;

/** True where an i32 index expression is certainly at least 0 (plain arithmetic never overflows). */
export function isNonNegative(frame: Frame, e: Expr): boolean {
  const node = e.node;
  if (node.kind === "const") return node.value >= 0;
  if (node.kind === "local") return frame.nonNegative.has(node.name);
  if (node.kind === "param") return frame.context.nonNegative.has(node.name);
  if (node.kind === "load") return node.buffer.type === "u8" || node.buffer.type === "u16";
  if (node.kind !== "binary") return false;
  const a = isNonNegative(frame, node.a);
  const b = isNonNegative(frame, node.b);
  if (node.op === "add" || node.op === "mul" || node.op === "div") return a && b;
  if (node.op === "and" || node.op === "max") return a || b;
  return (node.op === "rem" || node.op === "shr" || node.op === "shru") && a;
}

/** A constant's value, written out or known from the program's calls. */
export function constantOf(frame: Frame, e: Expr): number | undefined {
  if (e.node.kind === "const") return Number(e.node.value);
  if (e.node.kind !== "param") return undefined;
  const value = frame.context.fixed.get(e.node.name);
  return value === undefined ? undefined : Number(value);
}

/** Parts an index into a variable part (null: none) and a constant that may go into the memory argument. */
function splitIndex(frame: Frame, index: Expr, bytes: number): { rest: Expr | null; offset: number } {
  const whole = constantOf(frame, index);
  if (whole !== undefined && whole >= 0 && whole * bytes < MAX_OFFSET) return { rest: null, offset: whole * bytes };
  const node = index.node;
  if (node.kind === "binary" && node.op === "add") {
    for (const [constant, other] of [
      [node.a, node.b],
      [node.b, node.a],
    ] as const) {
      const value = constantOf(frame, constant);
      // A negative variable part would make the address before the offset wrap below 0, which traps.
      if (value === undefined || value < 0 || value * bytes >= MAX_OFFSET || !isNonNegative(frame, other)) continue;
      const inner = splitIndex(frame, other, bytes);
      const offset = inner.offset + value * bytes;
      if (offset < MAX_OFFSET) return { rest: inner.rest, offset };
    }
  }
  return { rest: index, offset: 0 };
}

/** Pushes the address of element `index`; the offset it returns belongs in the memory argument. */
export function emitAddress(frame: Frame, buffer: BufferRef, index: Expr): number {
  const pointer = frame.pointer(buffer.name, index);
  if (pointer !== undefined) {
    frame.get(pointer.local);
    return pointer.offset;
  }
  const bytes = MEMORY_BYTES[buffer.type];
  const { rest, offset } = splitIndex(frame, index, bytes);
  frame.get(frame.param(buffer.name));
  if (rest !== null) {
    emitScaled(frame, rest, bytes);
    frame.put(OP.i32_add);
  }
  return offset;
}

/** Pushes the whole address, for instructions without a memory argument. */
export function emitFullAddress(frame: Frame, buffer: BufferRef, index: Expr): void {
  const offset = emitAddress(frame, buffer, index);
  if (offset === 0) return;
  frame.i32(offset);
  frame.put(OP.i32_add);
}

/** Pushes a count of elements as a count of bytes. */
export function emitScaled(frame: Frame, count: Expr, bytes: number): void {
  emit(frame, count);
  if (bytes === 1) return;
  frame.i32(Math.log2(bytes));
  frame.put(OP.i32_shl);
}

/** Pushes an access's memory argument; `alignment` is the promised power of two. */
export function putMemoryArgument(frame: Frame, alignment: number, offset: number): void {
  frame.put(alignment, ...unsigned(offset));
}
