import { createHash } from "node:crypto";
import { bytesOf, type TypedArray } from "../base/index.ts";
import type { MemoryType, ProgramConstant } from "../loops/index.ts";

/** The loop language has no unsigned 32 or 64-bit elements: the same bits, seen as signed numbers. */
function signed(data: TypedArray): TypedArray {
  if (data instanceof Uint32Array) return new Int32Array(data.buffer, data.byteOffset, data.length);
  return data instanceof BigUint64Array ? new BigInt64Array(data.buffer, data.byteOffset, data.length) : data;
}

/** The tables of a program; equal contents are kept once. */
export class ConstantPool {
  readonly list: ProgramConstant[] = [];
  private readonly known = new Map<string, number>();
  private readonly names = new Set<string>();

  /** The index of a table with these contents. */
  add(name: string, type: MemoryType, data: TypedArray): number {
    const key = `${type}:${createHash("sha1").update(bytesOf(data)).digest("hex")}`;
    const before = this.known.get(key);
    if (before !== undefined) return before;
    this.list.push({ name: this.unique(identifier(name)), type, data: signed(data) });
    this.known.set(key, this.list.length - 1);
    return this.list.length - 1;
  }

  private unique(name: string): string {
    let unique = name;
    for (let i = 2; this.names.has(unique); i++) unique = `${name}_${i}`;
    this.names.add(unique);
    return unique;
  }
}

/** A name that C, JavaScript and people accept: words in snake case. */
export function identifier(text: string): string {
  const words = text
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .replace(/[^A-Za-z0-9]+/g, "_")
    .replace(/^_+|_+$/g, "")
    .toLowerCase();
  return /^[a-z]/.test(words) ? words : `m_${words}`;
}
