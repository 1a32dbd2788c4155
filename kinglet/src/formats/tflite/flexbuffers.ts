import { encode } from "flatbuffers/js/flexbuffers.js";

/**
 * FlexBuffers (a self-describing sibling of FlatBuffers) as custom operators keep their options in: a map from names
 * to numbers. Only that form is read. The reader of the flatbuffers package follows offsets without looking where
 * they lead; here every byte is checked to lie inside, and no work is done beyond the number of bytes.
 */

const TYPE = { int: 1, uint: 2, float: 3, indirectInt: 6, indirectUint: 7, indirectFloat: 8, map: 9, bool: 26 } as const;

/** Longer names are not those of any operator's option. */
const LONGEST_KEY = 256;

type Fail = (message: string) => never;

class Reader {
  private readonly view: DataView;
  private readonly fail: Fail;

  constructor(bytes: Uint8Array, fail: Fail) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.fail = fail;
  }

  private need(at: number, length: number): void {
    if (!(at >= 0 && length >= 0 && at + length <= this.view.byteLength)) this.fail("the custom options point outside themselves");
  }

  byte(at: number): number {
    this.need(at, 1);
    return this.view.getUint8(at);
  }

  unsigned(at: number, width: number): number {
    this.need(at, width);
    if (width === 1) return this.view.getUint8(at);
    if (width === 2) return this.view.getUint16(at, true);
    return width === 4 ? this.view.getUint32(at, true) : Number(this.view.getBigUint64(at, true));
  }

  private signed(at: number, width: number): number {
    this.need(at, width);
    if (width === 1) return this.view.getInt8(at);
    if (width === 2) return this.view.getInt16(at, true);
    return width === 4 ? this.view.getInt32(at, true) : Number(this.view.getBigInt64(at, true));
  }

  private float(at: number, width: number): number {
    this.need(at, width);
    if (width < 4) this.fail("the custom options hold a number in half precision");
    return width === 4 ? this.view.getFloat32(at, true) : this.view.getFloat64(at, true);
  }

  /** Where the offset at `at` leads: backwards by the number that stands there. */
  target(at: number, width: number): number {
    return at - this.unsigned(at, width);
  }

  key(at: number): string {
    let text = "";
    for (let i = 0; i <= LONGEST_KEY; i++) {
      const byte = this.byte(at + i);
      if (byte === 0) return text;
      text += String.fromCharCode(byte);
    }
    return this.fail("the custom options have a name without an end");
  }

  /** A number whose packed type is `packed`, in a vector of elements of `width` bytes; null for what is no number. */
  number(at: number, width: number, packed: number): number | null {
    const own = 1 << (packed & 3);
    switch (packed >> 2) {
      case TYPE.int:
        return this.signed(at, width);
      case TYPE.uint:
      case TYPE.bool:
        return this.unsigned(at, width);
      case TYPE.float:
        return this.float(at, width);
      case TYPE.indirectInt:
        return this.signed(this.target(at, width), own);
      case TYPE.indirectUint:
        return this.unsigned(this.target(at, width), own);
      case TYPE.indirectFloat:
        return this.float(this.target(at, width), own);
      default:
        return null;
    }
  }
}

function widthOf(byte: number, fail: Fail): number {
  return [1, 2, 4, 8].includes(byte) ? byte : fail(`the custom options say that a number has ${byte} bytes`);
}

/**
 * The numbers of a map at the root, by name; entries of other types are left out. Empty bytes are an empty map.
 * @param fail ends in an error with its message; called where the bytes are no such map.
 */
export function readFlexNumbers(bytes: Uint8Array, fail: Fail): Map<string, number> {
  const found = new Map<string, number>();
  if (bytes.length === 0) return found;
  if (bytes.length < 3) return fail("the custom options are too short");
  const reader = new Reader(bytes, fail);
  const rootWidth = widthOf(reader.byte(bytes.length - 1), fail);
  const packed = reader.byte(bytes.length - 2);
  if (packed >> 2 !== TYPE.map) return fail("the custom options are not a map");
  const values = reader.target(bytes.length - 2 - rootWidth, rootWidth);
  const width = 1 << (packed & 3);
  const count = reader.unsigned(values - width, width);
  if (count > bytes.length) return fail("the custom options have more entries than bytes");
  const keys = reader.target(values - 3 * width, width);
  const keyWidth = widthOf(reader.unsigned(values - 2 * width, width), fail);
  for (let i = 0; i < count; i++) {
    const number = reader.number(values + i * width, width, reader.byte(values + count * width + i));
    if (number !== null) found.set(reader.key(reader.target(keys + i * keyWidth, keyWidth)), number);
  }
  return found;
}

/** The bytes of a map from names to numbers. */
export function writeFlexNumbers(numbers: Readonly<Record<string, number>>): Uint8Array {
  return Object.keys(numbers).length === 0 ? new Uint8Array(0) : encode(numbers);
}
