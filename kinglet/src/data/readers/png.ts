import { crc32 } from "../../base/index.ts";
import { ByteReader } from "./byte-reader.ts";
import { inflateZlib } from "./inflate.ts";
import { type Picture, unfilter, unpackRow } from "./png-rows.ts";
import type { Recording } from "./recording.ts";
import { refuse } from "./refuse.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10];
/** Numbers of a pixel by colour type: grey, colour, palette, grey with alpha, colour with alpha. */
const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS: Readonly<Record<number, readonly number[]>> = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };
const PALETTE = 3;
const MOST_PIXELS = 2 ** 26;

/** Adam7: the seven passes as first column, first row, column step, row step. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;
const WHOLE = [[0, 0, 1, 1]] as const;

function readHeader(data: Uint8Array, name: string): Picture & { interlaced: boolean } {
  const reader = new ByteReader(data, name);
  const [width, height] = [reader.u32(false), reader.u32(false)];
  const [depth, colour, compression, filter, interlace] = [reader.u8(), reader.u8(), reader.u8(), reader.u8(), reader.u8()];
  if (!(DEPTHS[colour]?.includes(depth) ?? false) || compression !== 0 || filter !== 0 || interlace > 1)
    refuse(name, "the picture's header is damaged");
  if (width === 0 || height === 0 || width * height > MOST_PIXELS) refuse(name, `the picture declares ${width}×${height} pixels`);
  return { width, height, depth, colour, samples: SAMPLES[colour]!, interlaced: interlace === 1 };
}

interface Parts {
  readonly header: Picture & { interlaced: boolean };
  readonly palette: Uint8Array;
  readonly packed: Uint8Array;
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

function readChunks(bytes: Uint8Array, name: string): Parts {
  const reader = new ByteReader(bytes, name);
  if (bytes.length < 8 || !SIGNATURE.every((byte) => reader.u8() === byte)) refuse(name, "the file is not a PNG picture");
  let header: Parts["header"] | null = null;
  let palette = new Uint8Array(0);
  const pieces: Uint8Array[] = [];
  for (let tag = ""; tag !== "IEND"; ) {
    const [length, start] = [reader.u32(false), reader.at];
    tag = reader.tag();
    const data = reader.take(length);
    if (reader.u32(false) !== crc32(bytes.subarray(start, start + 4 + length)))
      refuse(name, `the chunk at byte ${start} is damaged: its checksum differs`);
    if (tag === "IHDR") header = readHeader(data, name);
    if (tag === "PLTE") palette = new Uint8Array(data);
    if (tag === "IDAT") pieces.push(data);
  }
  if (header === null) return refuse(name, "the picture has no header");
  return { header, palette, packed: join(pieces) };
}

/** Bytes of a row of `width` pixels, without its filter byte. */
const rowBytes = (picture: Picture, width: number): number => Math.ceil((width * picture.samples * picture.depth) / 8);

/**
 * Reads a PNG picture of any colour type, depth and interlacing as uint8 `[h, w, 1]` (grey) or `[h, w, 3]`. Alpha is left out; 16 bits
 * keep their upper 8.
 * @throws KingletError `bad-input` for a damaged file.
 */
export function readPng(bytes: Uint8Array, name: string): Recording {
  const { header, palette, packed } = readChunks(bytes, name);
  const passes = (header.interlaced ? PASSES : WHOLE)
    .map(([x, y, dx, dy]) => ({ x, y, dx, dy, width: Math.ceil((header.width - x) / dx), height: Math.ceil((header.height - y) / dy) }))
    .filter((pass) => pass.width > 0 && pass.height > 0);
  const size = passes.reduce((sum, pass) => sum + pass.height * (1 + rowBytes(header, pass.width)), 0);
  const raw = inflateZlib(packed, size, name);
  const channels = header.colour === 0 || header.colour === 4 ? 1 : 3;
  if (header.colour === PALETTE && palette.length === 0) refuse(name, "the picture has no palette");
  const out = new Uint8Array(header.width * header.height * channels);
  let at = 0;
  for (const pass of passes) {
    const length = rowBytes(header, pass.width);
    unfilter(raw.subarray(at, at + pass.height * (1 + length)), length, Math.max(1, (header.samples * header.depth) >> 3), name);
    for (let row = 0; row < pass.height; row++) {
      const first = (pass.y + row * pass.dy) * header.width + pass.x;
      unpackRow(raw.subarray(at + 1, at + 1 + length), header, palette, pass.width, (i, c, value) => {
        out[(first + i * pass.dx) * channels + c] = value;
      });
      at += 1 + length;
    }
  }
  return { data: out, dtype: "uint8", shape: [header.height, header.width, channels], fullScale: 255 };
}
