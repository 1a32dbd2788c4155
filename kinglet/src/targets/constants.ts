import { bytesOf, type TypedArray } from "../base/index.ts";
import type { MemoryType, ProgramConstant } from "../loops/index.ts";

/** The loop language has no unsigned 32 or 64-bit elements: the same bits, seen as signed numbers. */
function signed(data: TypedArray): TypedArray {
  if (data instanceof Uint32Array) return new Int32Array(data.buffer, data.byteOffset, data.length);
  return data instanceof BigUint64Array ? new BigInt64Array(data.buffer, data.byteOffset, data.length) : data;
}

/** A number that is the same for the same bytes, and rarely for others; tables may be large, so it takes words of four. */
function checksum(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let sum = 0;
  const mix = (word: number): void => {
    sum = Math.imul(sum ^ word, 0x9e3779b1);
    sum ^= sum >>> 15;
  };
  const whole = bytes.length & ~3;
  for (let at = 0; at < whole; at += 4) mix(view.getInt32(at, true));
  for (let at = whole; at < bytes.length; at++) mix(bytes[at]!);
  return sum;
}

/** The tables of a program; equal contents are kept once. */
export class ConstantPool {
  readonly list: ProgramConstant[] = [];
  /** Tables that may be equal, by type, length and checksum. */
  private readonly known = new Map<string, { readonly bytes: Uint8Array; readonly index: number }[]>();
  private readonly names = new Set<string>();

  /** The index of a table with these contents. */
  add(name: string, type: MemoryType, data: TypedArray): number {
    const bytes = bytesOf(data);
    const key = `${type}:${bytes.length}:${checksum(bytes)}`;
    const alike = this.known.get(key) ?? [];
    const before = alike.find((table) => table.bytes.every((byte, i) => byte === bytes[i]));
    if (before !== undefined) return before.index;
    const index = this.list.push({ name: this.unique(identifier(name)), type, data: signed(data) }) - 1;
    this.known.set(key, [...alike, { bytes, index }]);
    return index;
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
