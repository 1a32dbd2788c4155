import { ByteBuffer } from "flatbuffers";
import { KingletError } from "../../base/index.ts";

const HINT = "The file is damaged, or it is not a TensorFlow Lite model; export or download it again.";

/** Names and texts are for people; longer ones are cut so that a shared long string costs little. */
const MAX_TEXT = 4096;

/** Opening a table costs about as much memory as this many bytes of numbers. */
const TABLE_COST = 32;

/** What all sparse tensors of a file together may fill when they are made dense. */
const MAX_EXPANDED_BYTES = 2 ** 28;

/**
 * The bytes of a FlatBuffer that nobody has checked. Every read names its bytes first (`need`), and a
 * budget in proportion to the file's size bounds the total work: FlatBuffers may share tables and
 * vectors, so a small file could otherwise describe an enormous model.
 */
export class FlatFile {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly buffer: ByteBuffer;
  private budget: number;
  private expanded = 0;

  constructor(bytes: Uint8Array, name: string) {
    // A Node Buffer shares memory where a Uint8Array copies (slice), so a plain view is taken of either.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.name = name;
    this.buffer = new ByteBuffer(this.bytes);
    this.budget = 4 * bytes.length + 2 ** 20;
  }

  fail(where: string, message: string): never {
    throw new KingletError("bad-file", message, { place: where === "" ? this.name : `${this.name}, ${where}`, hint: HINT });
  }

  unsupported(where: string, message: string, hint: string): never {
    throw new KingletError("unsupported", message, { place: where === "" ? this.name : `${this.name}, ${where}`, hint });
  }

  need(position: number, length: number, where: string): void {
    if (position < 0 || position + length > this.bytes.length)
      this.fail(where, `${length} bytes at ${position} lie outside the file of ${this.bytes.length} bytes`);
  }

  spend(work: number, where: string): void {
    this.budget -= work;
    if (this.budget < 0) this.fail(where, "the file describes far more than its size can hold");
  }

  /** Announces `bytes` of memory that the file describes without holding them. */
  expand(bytes: number, where: string): void {
    this.expanded += bytes;
    const limit = Math.min(MAX_EXPANDED_BYTES, 64 * this.bytes.length + 65536);
    if (this.expanded > limit) this.fail(where, "the file describes far more than its size can hold");
  }

  root(): Table {
    this.need(0, 8, "header");
    return new Table(this, this.buffer.readUint32(0), "model");
  }
}

/** What a vector's elements are: bytes of one, and how to read one. */
interface Element {
  readonly bytes: number;
  readonly read: (buffer: ByteBuffer, position: number) => number;
}

const INT32: Element = { bytes: 4, read: (buffer, at) => buffer.readInt32(at) };
const UINT16: Element = { bytes: 2, read: (buffer, at) => buffer.readUint16(at) };
const UINT8: Element = { bytes: 1, read: (buffer, at) => buffer.readUint8(at) };
const FLOAT32: Element = { bytes: 4, read: (buffer, at) => buffer.readFloat32(at) };
const INT64: Element = { bytes: 8, read: (buffer, at) => Number(buffer.readInt64(at)) };

/** One table of the file: fields by their number in the schema, each with the schema's default where absent. */
export class Table {
  /** How messages name this table. */
  readonly where: string;
  readonly position: number;
  private readonly file: FlatFile;
  private readonly vtable: number;
  private readonly vtableBytes: number;
  private readonly tableBytes: number;

  constructor(file: FlatFile, position: number, where: string) {
    this.file = file;
    this.where = where;
    this.position = position;
    file.spend(TABLE_COST, where);
    file.need(position, 4, where);
    this.vtable = position - file.buffer.readInt32(position);
    file.need(this.vtable, 4, where);
    this.vtableBytes = file.buffer.readUint16(this.vtable);
    this.tableBytes = file.buffer.readUint16(this.vtable + 2);
    file.need(this.vtable, this.vtableBytes, where);
    file.need(position, this.tableBytes, where);
  }

  /** Position of a field of `bytes` bytes, or 0 where the table does not have it. */
  private at(field: number, bytes: number): number {
    const entry = 4 + 2 * field;
    if (entry + 2 > this.vtableBytes) return 0;
    const offset = this.file.buffer.readUint16(this.vtable + entry);
    if (offset === 0) return 0;
    if (offset + bytes > this.tableBytes) this.file.fail(this.where, `field ${field} lies outside its table`);
    return this.position + offset;
  }

  private scalar(field: number, element: Element, fallback: number): number {
    const at = this.at(field, element.bytes);
    return at === 0 ? fallback : element.read(this.file.buffer, at);
  }

  int(field: number, fallback = 0): number {
    return this.scalar(field, INT32, fallback);
  }

  uint(field: number, fallback = 0): number {
    return this.int(field, fallback) >>> 0;
  }

  byte(field: number, fallback = 0): number {
    return this.scalar(field, UINT8, fallback);
  }

  bool(field: number, fallback = false): boolean {
    return this.byte(field, Number(fallback)) !== 0;
  }

  float(field: number, fallback = 0): number {
    return this.scalar(field, FLOAT32, fallback);
  }

  /** An unsigned 64-bit number; past 2^53 it is not exact, which the bounds checks refuse anyway. */
  ulong(field: number): number {
    const at = this.at(field, 8);
    return at === 0 ? 0 : Number(this.file.buffer.readUint64(at));
  }

  private target(field: number): number {
    const at = this.at(field, 4);
    return at === 0 ? 0 : at + this.file.buffer.readUint32(at);
  }

  /** Start and length of a vector's elements; null where absent. */
  private vector(field: number, bytes: number): { start: number; length: number } | null {
    const target = this.target(field);
    if (target === 0) return null;
    this.file.need(target, 4, this.where);
    const length = this.file.buffer.readUint32(target);
    this.file.need(target + 4, length * bytes, this.where);
    return { start: target + 4, length };
  }

  private numbers(field: number, element: Element): number[] {
    const vector = this.vector(field, element.bytes);
    if (vector === null) return [];
    this.file.spend(vector.length * element.bytes, this.where);
    return Array.from({ length: vector.length }, (_, i) => element.read(this.file.buffer, vector.start + i * element.bytes));
  }

  ints(field: number): number[] {
    return this.numbers(field, INT32);
  }

  ushorts(field: number): number[] {
    return this.numbers(field, UINT16);
  }

  ubytes(field: number): number[] {
    return this.numbers(field, UINT8);
  }

  floats(field: number): number[] {
    return this.numbers(field, FLOAT32);
  }

  longs(field: number): number[] {
    return this.numbers(field, INT64);
  }

  /** The bytes of a [ubyte] field, not copied; null where absent. */
  data(field: number): Uint8Array | null {
    const vector = this.vector(field, 1);
    return vector === null ? null : this.file.bytes.subarray(vector.start, vector.start + vector.length);
  }

  text(field: number): string {
    const vector = this.vector(field, 1);
    if (vector === null) return "";
    const length = Math.min(vector.length, MAX_TEXT);
    this.file.spend(length, this.where);
    return new TextDecoder().decode(this.file.bytes.subarray(vector.start, vector.start + length));
  }

  table(field: number, where: string): Table | null {
    const target = this.target(field);
    return target === 0 ? null : new Table(this.file, target, where);
  }

  /** Positions of a vector of tables, to be opened one by one. */
  tables(field: number, what: string): Table[] {
    const vector = this.vector(field, 4);
    if (vector === null) return [];
    this.file.spend(vector.length * 4, this.where);
    return Array.from({ length: vector.length }, (_, i) => {
      const at = vector.start + 4 * i;
      return new Table(this.file, at + this.file.buffer.readUint32(at), `${what} ${i}`);
    });
  }
}
