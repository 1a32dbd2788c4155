import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { KingletError } from "../base/index.ts";
import type { PackedNumbers } from "./packed.ts";

/** No model has more messages, names and numbers beside tensors; a file of a few bytes for each cannot fill the memory with them. */
const MAX_PARTS = 4_000_000;
/** A message takes the memory of several numbers, with nothing in it, too. */
const MESSAGE_PARTS = 4;
/** Graphs lie in attributes of nodes of graphs: 6 messages for each level. */
const MAX_DEPTH = 100;

/** How one field of a message is stored: both ways, so that reading and writing cannot drift apart. */
export interface Field<T> {
  /** The cursor stands at the field's value; repeated fields come one by one. */
  readonly read: (cursor: Cursor, message: T) => void;
  /** Writes nothing where the message has nothing to say. */
  readonly write: (writer: BinaryWriter, field: number, message: T) => void;
}

export type Fields<T> = Readonly<Record<number, Field<T>>>;

/** Walks over the bytes of one message; all cursors of a file share one account of parts. */
export class Cursor {
  readonly reader: BinaryReader;
  wireType: WireType = WireType.Varint;
  private readonly spent: { parts: number };
  private readonly depth: number;

  constructor(bytes: Uint8Array, spent = { parts: 0 }, depth = 0) {
    this.reader = new BinaryReader(bytes);
    this.spent = spent;
    this.depth = depth;
  }

  private expect(type: WireType): void {
    if (this.wireType !== type) throw new RangeError("a field has another wire type than its schema says");
  }

  bytes(): Uint8Array {
    this.expect(WireType.LengthDelimited);
    return this.reader.bytes();
  }

  text(): string {
    this.count();
    return new TextDecoder().decode(this.bytes());
  }

  int(): number {
    this.expect(WireType.Varint);
    return this.reader.int32();
  }

  long(): bigint {
    this.expect(WireType.Varint);
    return BigInt(this.reader.int64());
  }

  float(): number {
    this.expect(WireType.Bit32);
    return this.reader.float();
  }

  message<T>(empty: T, fields: Fields<T>): T {
    return readFields(new Cursor(this.bytes(), this.spent, this.depth + 1), empty, fields);
  }

  /** A repeated number: packed into one field, or one of many. */
  repeated<N>(list: N[], type: WireType, read: (reader: BinaryReader) => N): void {
    if (this.wireType !== WireType.LengthDelimited) {
      this.expect(type);
      this.count();
      list.push(read(this.reader));
      return;
    }
    const packed = new BinaryReader(this.reader.bytes());
    while (packed.pos < packed.len) {
      this.count();
      list.push(read(packed));
    }
  }

  /** A repeated number of a tensor, of which there may be very many. */
  numbers(list: PackedNumbers, type: WireType): void {
    if (this.wireType === WireType.LengthDelimited) return list.addPacked(this.reader.bytes());
    this.expect(type);
    list.addOne(this.reader.skip(type));
  }

  /** @throws RangeError where there are more parts than a model can have */
  count(parts = 1): void {
    this.spent.parts += parts;
    if (this.spent.parts > MAX_PARTS || this.depth > MAX_DEPTH) throw new RangeError("the file has more parts than a model can have");
  }
}

function readFields<T>(cursor: Cursor, message: T, fields: Fields<T>): T {
  cursor.count(MESSAGE_PARTS);
  const { reader } = cursor;
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    cursor.wireType = wireType;
    const field = Object.hasOwn(fields, number) ? fields[number] : undefined;
    if (field === undefined) reader.skip(wireType, number);
    else field.read(cursor, message);
  }
  return message;
}

/**
 * Reads one message of a file. Byte fields are views, not copies.
 * @throws KingletError `bad-file` for anything that is not such a message.
 */
export function readMessage<T>(bytes: Uint8Array, name: string, empty: T, fields: Fields<T>): T {
  try {
    return readFields(new Cursor(bytes), empty, fields);
  } catch (error) {
    if (error instanceof KingletError) throw error;
    throw new KingletError("bad-file", `the file is not the protocol buffer that it should be: ${error instanceof Error ? error.message : error}`, {
      place: name,
      hint: "Export or download the model again.",
    });
  }
}

function writeFields<T>(writer: BinaryWriter, message: T, fields: Fields<T>): BinaryWriter {
  // Numbers as keys come in ascending order, as the format prefers them.
  for (const [number, field] of Object.entries(fields)) field.write(writer, Number(number), message);
  return writer;
}

/** A message as a file of its own. */
export function writeMessage<T>(message: T, fields: Fields<T>): Uint8Array {
  return writeFields(new BinaryWriter(), message, fields).finish();
}

export function writeNested<T>(writer: BinaryWriter, field: number, message: T, fields: Fields<T>): void {
  writeFields(writer.tag(field, WireType.LengthDelimited).fork(), message, fields).join();
}

// Fields by the name that a message has for them. Zeros and empty texts are what an absent field means.

/** A field of a message that nobody writes. */
export function readOnly<T>(read: Field<T>["read"]): Field<T> {
  return { read, write: () => {} };
}

type Has<K extends string, V> = { [key in K]: V };

export function text<K extends string>(key: K): Field<Has<K, string>> {
  return {
    read: (c, m) => {
      m[key] = c.text();
    },
    write: (w, field, m) => void (m[key] !== "" && w.tag(field, WireType.LengthDelimited).string(m[key])),
  };
}

export function texts<K extends string>(key: K): Field<Has<K, string[]>> {
  return {
    read: (c, m) => void m[key].push(c.text()),
    write: (w, field, m) => {
      for (const each of m[key]) w.tag(field, WireType.LengthDelimited).string(each);
    },
  };
}

export function bytes<K extends string>(key: K): Field<Has<K, Uint8Array | null>> {
  return {
    read: (c, m) => {
      m[key] = c.bytes();
    },
    write: (w, field, m) => void (m[key] !== null && w.tag(field, WireType.LengthDelimited).bytes(m[key])),
  };
}

export function byteStrings<K extends string>(key: K): Field<Has<K, Uint8Array[]>> {
  return {
    read: (c, m) => {
      c.count();
      m[key].push(c.bytes());
    },
    write: (w, field, m) => {
      for (const each of m[key]) w.tag(field, WireType.LengthDelimited).bytes(each);
    },
  };
}

export function int<K extends string>(key: K): Field<Has<K, number>> {
  return {
    read: (c, m) => {
      m[key] = c.int();
    },
    write: (w, field, m) => void (m[key] !== 0 && w.tag(field, WireType.Varint).int32(m[key])),
  };
}

export function flag<K extends string>(key: K): Field<Has<K, boolean>> {
  return {
    read: (c, m) => {
      m[key] = c.int() === 1;
    },
    write: (w, field, m) => void (m[key] && w.tag(field, WireType.Varint).int32(1)),
  };
}

export function long<K extends string>(key: K): Field<Has<K, bigint>> {
  return {
    read: (c, m) => {
      m[key] = c.long();
    },
    write: (w, field, m) => void (m[key] !== 0n && w.tag(field, WireType.Varint).int64(m[key])),
  };
}

/** A number of 64 bits that stands for a size or a version. */
export function size<K extends string>(key: K): Field<Has<K, number>> {
  return {
    read: (c, m) => {
      m[key] = Number(c.long());
    },
    write: (w, field, m) => void (m[key] !== 0 && w.tag(field, WireType.Varint).int64(m[key])),
  };
}

export function float<K extends string>(key: K): Field<Has<K, number>> {
  return {
    read: (c, m) => {
      m[key] = c.float();
    },
    write: (w, field, m) => void (m[key] !== 0 && w.tag(field, WireType.Bit32).float(m[key])),
  };
}

/** Repeated numbers; read packed or one by one, written one by one, as the schema of protocol buffers 2 has them. */
function numbers<K extends string, N>(
  key: K,
  type: WireType,
  read: (reader: BinaryReader) => N,
  write: (writer: BinaryWriter, value: N) => void,
): Field<Has<K, N[]>> {
  return {
    read: (c, m) => c.repeated(m[key], type, read),
    write: (w, field, m) => {
      for (const each of m[key]) write(w.tag(field, type), each);
    },
  };
}

export const floats = <K extends string>(key: K): Field<Has<K, number[]>> =>
  numbers(
    key,
    WireType.Bit32,
    (r) => r.float(),
    (w, value) => w.float(value),
  );
export const longs = <K extends string>(key: K): Field<Has<K, bigint[]>> =>
  numbers(
    key,
    WireType.Varint,
    (r) => BigInt(r.int64()),
    (w, value) => w.int64(value),
  );
export const sizes = <K extends string>(key: K): Field<Has<K, number[]>> =>
  numbers(
    key,
    WireType.Varint,
    (r) => Number(r.int64()),
    (w, value) => w.int64(value),
  );

/** The numbers of a tensor, packed into one field where they are written. */
export function packed<K extends string>(key: K, type: WireType): Field<Has<K, PackedNumbers>> {
  return {
    read: (c, m) => c.numbers(m[key], type),
    write: (w, field, m) => {
      const bytes = m[key].bytes();
      if (bytes.length > 0) w.tag(field, WireType.LengthDelimited).bytes(bytes);
    },
  };
}

/** A message inside; `fields` is asked for when it is needed, since messages may lie in themselves. */
export function nested<K extends string, T>(key: K, empty: () => T, fields: () => Fields<T>): Field<Has<K, T | null>> {
  return {
    read: (c, m) => {
      m[key] = c.message(empty(), fields());
    },
    write: (w, field, m) => void (m[key] !== null && writeNested(w, field, m[key], fields())),
  };
}

export function list<K extends string, T>(key: K, empty: () => T, fields: () => Fields<T>): Field<Has<K, T[]>> {
  return {
    read: (c, m) => void m[key].push(c.message(empty(), fields())),
    write: (w, field, m) => {
      for (const each of m[key]) writeNested(w, field, each, fields());
    },
  };
}

/** A map as the entries that `entry` stores. */
export function entries<K extends string, Key, V>(
  key: K,
  empty: () => { key: Key; value: V },
  entry: Fields<{ key: Key; value: V }>,
): Field<Has<K, Map<Key, V>>> {
  return {
    read: (c, m) => {
      const { key: name, value } = c.message(empty(), entry);
      m[key].set(name, value);
    },
    write: (w, field, m) => {
      for (const [name, value] of m[key]) writeNested(w, field, { key: name, value }, entry);
    },
  };
}
