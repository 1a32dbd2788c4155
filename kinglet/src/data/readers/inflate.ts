import { Inflate } from "fflate";
import { crc32 } from "../../base/index.ts";
import { ByteReader } from "./byte-reader.ts";
import { refuse, unsupported } from "./refuse.ts";

/** Deflate cannot do better than 258 bytes for two bits, so a declared size beyond this is a lie. */
const BEST_RATIO = 1032;
/** One file may unpack to this much. Larger data belongs in several files. */
const MOST_BYTES = 2 ** 30;
/** Unpacked at a time: what is held besides the result stays below `BEST_RATIO` times this. */
const PIECE_BYTES = 16 * 1024;

/** Refuses a declared size that the packed bytes cannot hold, before anything is allocated for it. */
function checkSize(packedBytes: number, size: number, name: string): void {
  if (size > (packedBytes + 1) * BEST_RATIO) refuse(name, `${packedBytes} packed bytes cannot hold the declared ${size}`);
  if (size > MOST_BYTES) unsupported(name, `the file unpacks to ${size} bytes; more than ${MOST_BYTES} in one file is not read`, "Divide it.");
}

/**
 * Unpacks a raw deflate stream that must give exactly `size` bytes. Time and memory are bounded by `size`.
 * @throws KingletError `bad-input` where the stream is damaged or has another size.
 */
export function inflateExactly(packed: Uint8Array, size: number, name: string): Uint8Array {
  checkSize(packed.length, size, name);
  const out = new Uint8Array(size);
  let used = 0;
  const stream = new Inflate((piece) => {
    if (used + piece.length > size) refuse(name, `the file unpacks to more than the ${size} bytes it declares`);
    out.set(piece, used);
    used += piece.length;
  });
  try {
    for (let at = 0; at < packed.length; at += PIECE_BYTES) stream.push(packed.subarray(at, at + PIECE_BYTES), at + PIECE_BYTES >= packed.length);
  } catch (error) {
    // The library's own errors say nothing about the file.
    if (error instanceof Error && error.name === "KingletError") throw error;
    refuse(name, "the packed data is damaged");
  }
  if (used !== size) refuse(name, `the file unpacks to ${used} bytes and declares ${size}`);
  return out;
}

/** zlib's frame around deflate, as PNG has it; its checksum is left to the container. */
export function inflateZlib(packed: Uint8Array, size: number, name: string): Uint8Array {
  const sound = packed.length >= 6 && (packed[0]! & 15) === 8 && ((packed[0]! << 8) | packed[1]!) % 31 === 0 && (packed[1]! & 32) === 0;
  if (!sound) refuse(name, "the picture's data is not a zlib stream");
  return inflateExactly(packed.subarray(2, packed.length - 4), size, name);
}

export function isGzip(bytes: Uint8Array): boolean {
  return bytes.length >= 18 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

const [HEADER_CRC, EXTRA, NAME, COMMENT] = [2, 4, 8, 16];

function skipText(reader: ByteReader): void {
  while (reader.u8() !== 0);
}

/** Unpacks a .gz file of one member. @throws KingletError `bad-input` also where the checksum differs. */
export function gunzip(file: Uint8Array, name: string): Uint8Array {
  if (!isGzip(file)) refuse(name, "the file is not packed with gzip");
  const reader = new ByteReader(file, name);
  reader.take(2);
  if (reader.u8() !== 8) refuse(name, "the gzip file is packed with an unknown method");
  const flags = reader.u8();
  reader.take(6);
  if (flags & EXTRA) reader.take(reader.u16());
  if (flags & NAME) skipText(reader);
  if (flags & COMMENT) skipText(reader);
  if (flags & HEADER_CRC) reader.take(2);
  if (reader.left < 8) refuse(name, "the gzip file ends early");
  const packed = reader.take(reader.left - 8);
  const checksum = reader.u32();
  const out = inflateExactly(packed, reader.u32(), name);
  if (crc32(out) !== checksum) refuse(name, "the gzip file is damaged: its checksum differs");
  return out;
}
