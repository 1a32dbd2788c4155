import { float16ToNumber } from "../../base/index.ts";
import { ByteReader } from "./byte-reader.ts";
import { refuse } from "./refuse.ts";

export type CborValue = number | string | boolean | null | Uint8Array | CborValue[] | { [key: string]: CborValue };

const MOST_DEPTH = 64;
const [UINT, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE] = [0, 1, 2, 3, 4, 5, 6, 7];
const INDEFINITE = 31;
const BREAK = 0xff;

/** A decoder for RFC 8949: everything that JSON can say and byte strings; tags are passed over. */
class Decoder {
  private readonly reader: ByteReader;
  private readonly name: string;

  constructor(bytes: Uint8Array, name: string) {
    this.reader = new ByteReader(bytes, name);
    this.name = name;
  }

  private fail(message: string): never {
    return refuse(`${this.name}, byte ${this.reader.at}`, message);
  }

  private argument(info: number): number {
    if (info < 24) return info;
    if (info === 24) return this.reader.u8();
    if (info === 25) return this.reader.u16(false);
    if (info === 26) return this.reader.u32(false);
    if (info === 27) return Number(this.reader.u64(false));
    return this.fail("the CBOR data is damaged");
  }

  /** True once the end of a container of unknown length was read. */
  private ended(): boolean {
    if (this.reader.left === 0) this.fail("the CBOR data ends early");
    if (this.reader.bytes[this.reader.at] !== BREAK) return false;
    this.reader.u8();
    return true;
  }

  /** How many entries follow; each takes a byte at least, so a larger count is a lie. */
  private entries(info: number): number {
    if (info === INDEFINITE) return Number.POSITIVE_INFINITY;
    const count = this.argument(info);
    if (count > this.reader.left) this.fail(`${count} entries do not fit the file`);
    return count;
  }

  private string(major: number, info: number): Uint8Array {
    if (info !== INDEFINITE) return this.reader.take(this.argument(info));
    const pieces: number[] = [];
    while (!this.ended()) {
      const head = this.reader.u8();
      if (head >> 5 !== major || (head & 31) === INDEFINITE) this.fail("the CBOR string is damaged");
      for (const byte of this.string(major, head & 31)) pieces.push(byte);
    }
    return Uint8Array.from(pieces);
  }

  private array(info: number, depth: number): CborValue[] {
    const count = this.entries(info);
    const out: CborValue[] = [];
    while (out.length < count && !(info === INDEFINITE && this.ended())) out.push(this.value(depth + 1));
    return out;
  }

  private map(info: number, depth: number): CborValue {
    const count = this.entries(info);
    // Without a prototype, a key such as "__proto__" is a key like any other.
    const out = Object.create(null) as { [key: string]: CborValue };
    for (let i = 0; i < count && !(info === INDEFINITE && this.ended()); i++) {
      const key = this.value(depth + 1);
      if (typeof key !== "string" && typeof key !== "number") this.fail("a key of the CBOR map is neither text nor a number");
      out[String(key)] = this.value(depth + 1);
    }
    return out;
  }

  private simple(info: number): CborValue {
    if (info === 20 || info === 21) return info === 21;
    if (info === 22 || info === 23) return null;
    if (info === 25) return float16ToNumber(this.reader.u16(false));
    if (info === 26) return this.reader.f32(false);
    if (info === 27) return this.reader.f64(false);
    return this.fail("the CBOR data has an unknown simple value");
  }

  value(depth: number): CborValue {
    if (depth > MOST_DEPTH) this.fail("the CBOR data is nested too deeply");
    const head = this.reader.u8();
    const [major, info] = [head >> 5, head & 31];
    switch (major) {
      case UINT:
        return this.argument(info);
      case NEGATIVE:
        return -1 - this.argument(info);
      case BYTES:
        return this.string(major, info);
      case TEXT:
        return new TextDecoder().decode(this.string(major, info));
      case ARRAY:
        return this.array(info, depth);
      case MAP:
        return this.map(info, depth);
      case TAG:
        this.argument(info);
        return this.value(depth + 1);
      default:
        return major === SIMPLE ? this.simple(info) : this.fail("the CBOR data is damaged");
    }
  }

  get left(): number {
    return this.reader.left;
  }
}

/** Reads one CBOR value that fills `bytes`. @throws KingletError `bad-input` that names the byte. */
export function readCbor(bytes: Uint8Array, name: string): CborValue {
  const decoder = new Decoder(bytes, name);
  const value = decoder.value(0);
  if (decoder.left > 0) refuse(name, `${decoder.left} bytes follow the CBOR value`);
  return value;
}
