import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { KingletError } from "../base/index.ts";

/** No model has more parts; a file of a few bytes for each part cannot fill the memory with them. */
const MAX_MESSAGES = 2_000_000;
/** Graphs lie in attributes of nodes of graphs: 6 messages for each level. */
const MAX_DEPTH = 100;

/** What a field's bytes mean: the reader stands at its value. */
export type FieldReader<T> = (cursor: Cursor, message: T) => void;
export type Fields<T> = Readonly<Record<number, FieldReader<T>>>;

/** Walks over the bytes of one message; all cursors of a file share one account of parts. */
export class Cursor {
  readonly reader: BinaryReader;
  wireType: WireType = WireType.Varint;
  private readonly spent: { messages: number };
  private readonly depth: number;

  constructor(bytes: Uint8Array, spent = { messages: 0 }, depth = 0) {
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
      list.push(read(this.reader));
      return;
    }
    const packed = new BinaryReader(this.reader.bytes());
    while (packed.pos < packed.len) list.push(read(packed));
  }

  count(): void {
    if (++this.spent.messages > MAX_MESSAGES || this.depth > MAX_DEPTH) throw new RangeError("the file has more parts than a model can have");
  }
}

function readFields<T>(cursor: Cursor, message: T, fields: Fields<T>): T {
  cursor.count();
  const { reader } = cursor;
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    cursor.wireType = wireType;
    const field = Object.hasOwn(fields, number) ? fields[number] : undefined;
    if (field === undefined) reader.skip(wireType, number);
    else field(cursor, message);
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
