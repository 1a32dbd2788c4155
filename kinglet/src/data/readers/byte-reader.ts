import { refuse } from "./refuse.ts";

/** Walks through bytes and refuses to leave them: every read says where the file ended. */
export class ByteReader {
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly name: string;
  /** Offset of the next read, in bytes. */
  at = 0;

  constructor(bytes: Uint8Array, name: string) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.name = name;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** The offset of the next `count` bytes, which are then behind. */
  private step(count: number): number {
    if (count > this.left) refuse(this.name, `the file ends at byte ${this.bytes.length}, inside something that begins at byte ${this.at}`);
    const from = this.at;
    this.at += count;
    return from;
  }

  u8(): number {
    return this.view.getUint8(this.step(1));
  }

  u16(littleEndian = true): number {
    return this.view.getUint16(this.step(2), littleEndian);
  }

  u32(littleEndian = true): number {
    return this.view.getUint32(this.step(4), littleEndian);
  }

  u64(littleEndian = true): bigint {
    return this.view.getBigUint64(this.step(8), littleEndian);
  }

  f32(littleEndian = true): number {
    return this.view.getFloat32(this.step(4), littleEndian);
  }

  f64(littleEndian = true): number {
    return this.view.getFloat64(this.step(8), littleEndian);
  }

  /** A view of the next `count` bytes, not a copy. */
  take(count: number): Uint8Array {
    const from = this.step(count);
    return this.bytes.subarray(from, from + count);
  }

  /** Four letters, as chunk names are. */
  tag(): string {
    return String.fromCharCode(...this.take(4));
  }
}
