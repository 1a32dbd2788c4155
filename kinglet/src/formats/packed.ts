import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { TypedArray } from "../base/index.ts";

/** The payload of a repeated number, kept as the file has it until its type and count are known: no list of millions of objects is made. */
export class PackedNumbers {
  private readonly parts: Uint8Array[] = [];
  /** Numbers that came one by one, in a buffer that doubles. */
  private loose = new Uint8Array(0);
  private used = 0;

  /** Many numbers in one field: a view of the file. */
  addPacked(bytes: Uint8Array): void {
    this.flush();
    if (bytes.length > 0) this.parts.push(bytes);
  }

  addOne(bytes: Uint8Array): void {
    if (this.used + bytes.length > this.loose.length) {
      const larger = new Uint8Array(Math.max(64, 2 * this.loose.length));
      larger.set(this.loose.subarray(0, this.used));
      this.loose = larger;
    }
    this.loose.set(bytes, this.used);
    this.used += bytes.length;
  }

  private flush(): void {
    if (this.used > 0) this.parts.push(this.loose.subarray(0, this.used));
    this.loose = new Uint8Array(0);
    this.used = 0;
  }

  /** The numbers one after the other, as the file has them. */
  bytes(): Uint8Array {
    this.flush();
    if (this.parts.length === 1) return this.parts[0]!;
    const all = new Uint8Array(this.parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  /** How many numbers of variable width there are: each ends in a byte below 128. */
  countVarints(): number {
    this.flush();
    let count = 0;
    for (const part of this.parts) for (const byte of part) if (byte < 128) count++;
    return count;
  }

  /** Decodes numbers of variable width into an array of as many elements, each modulo its width. */
  decodeVarints(to: TypedArray): void {
    const target = to as { [index: number]: number | bigint };
    const wide = to instanceof BigInt64Array || to instanceof BigUint64Array;
    let at = 0;
    for (const part of this.parts) {
      const reader = new BinaryReader(part);
      while (reader.pos < reader.len) target[at++] = wide ? BigInt(reader.int64()) : reader.int32();
    }
  }
}
