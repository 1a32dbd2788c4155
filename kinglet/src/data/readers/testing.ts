import { zlibSync } from "fflate";
import { crc32 } from "../../base/index.ts";
import { type NpyArray, writeNpy } from "../../formats/index.ts";

const ascii = (text: string): number[] => [...text].map((letter) => letter.charCodeAt(0));

export function chunk(name: string, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(8 + data.length + (data.length % 2));
  out.set(ascii(name));
  new DataView(out.buffer).setUint32(4, data.length, true);
  out.set(data, 8);
  return out;
}

function joined(...pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces));
}

export interface WavParts {
  readonly coding?: number;
  readonly channels?: number;
  readonly rateHz?: number;
  readonly bits?: number;
  readonly extensible?: boolean;
  /** The sound's bytes. */
  readonly data: Uint8Array;
  /** Chunks before the sound. */
  readonly before?: readonly Uint8Array[];
}

/** A wav file written by hand. */
export function wavFile({ coding = 1, channels = 1, rateHz = 8000, bits = 16, extensible = false, data, before = [] }: WavParts): Uint8Array {
  const format = new DataView(new ArrayBuffer(extensible ? 40 : 16));
  format.setUint16(0, extensible ? 0xfffe : coding, true);
  format.setUint16(2, channels, true);
  format.setUint32(4, rateHz, true);
  format.setUint32(8, (rateHz * channels * bits) / 8, true);
  format.setUint16(12, (channels * bits) / 8, true);
  format.setUint16(14, bits, true);
  if (extensible) format.setUint16(24, coding, true);
  const body = joined(Uint8Array.from(ascii("WAVE")), chunk("fmt ", new Uint8Array(format.buffer)), ...before, chunk("data", data));
  return chunk("RIFF", body);
}

/** Sound of 16 bits. */
export function sound(values: readonly number[], rateHz = 8000): Uint8Array {
  return wavFile({ rateHz, data: new Uint8Array(Int16Array.from(values).buffer) });
}

export function npyFile(dtype: NpyArray["dtype"], shape: readonly number[], data: NpyArray["data"]): Uint8Array {
  return writeNpy({ dtype, shape, data });
}

function pngChunk(name: string, data: Uint8Array): Uint8Array {
  const body = joined(Uint8Array.from(ascii(name)), data);
  const [length, checksum] = [new DataView(new ArrayBuffer(4)), new DataView(new ArrayBuffer(4))];
  length.setUint32(0, data.length);
  checksum.setUint32(0, crc32(body));
  return joined(new Uint8Array(length.buffer), body, new Uint8Array(checksum.buffer));
}

export interface PngParts {
  readonly width: number;
  readonly height: number;
  readonly depth?: number;
  readonly colour?: number;
  readonly interlace?: number;
  readonly palette?: readonly number[];
  /** Filtered rows, each with its filter byte. */
  readonly rows: readonly number[];
}

/** A PNG picture of rows that are filtered already. */
export function pngFile({ width, height, depth = 8, colour = 0, interlace = 0, palette, rows }: PngParts): Uint8Array {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  [depth, colour, 0, 0, interlace].forEach((value, i) => header.setUint8(8 + i, value));
  return joined(
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10),
    pngChunk("IHDR", new Uint8Array(header.buffer)),
    ...(palette === undefined ? [] : [pngChunk("PLTE", Uint8Array.from(palette))]),
    pngChunk("IDAT", zlibSync(Uint8Array.from(rows))),
    pngChunk("IEND", new Uint8Array(0)),
  );
}

/** An idx file of bytes. */
export function idxFile(shape: readonly number[], data: readonly number[]): Uint8Array {
  const header = new DataView(new ArrayBuffer(4 + 4 * shape.length));
  header.setUint8(2, 8);
  header.setUint8(3, shape.length);
  shape.forEach((dim, i) => header.setUint32(4 + 4 * i, dim));
  return joined(new Uint8Array(header.buffer), Uint8Array.from(data));
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
