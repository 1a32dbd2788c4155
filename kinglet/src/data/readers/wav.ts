import { ByteReader } from "./byte-reader.ts";
import { type Recording, requireFinite } from "./recording.ts";
import { refuse, unsupported } from "./refuse.ts";

const [PCM, FLOAT, EXTENSIBLE] = [1, 3, 0xfffe];
/** Programs that write into a pipe do not know the size and leave this. */
const UNKNOWN_SIZE = 0xffffffff;
const INT16_SCALE = 32768;

interface Format {
  readonly coding: number;
  readonly channels: number;
  readonly rateHz: number;
  readonly bits: number;
}

function readFormat(chunk: Uint8Array, name: string): Format {
  const reader = new ByteReader(chunk, `${name}, chunk "fmt "`);
  const [tag, channels, rateHz] = [reader.u16(), reader.u16(), reader.u32()];
  reader.take(6);
  const bits = reader.u16();
  // The extensible form carries the real coding as the first word of an identifier.
  if (tag === EXTENSIBLE) reader.take(8);
  const coding = tag === EXTENSIBLE ? reader.u16() : tag;
  if (channels === 0 || rateHz === 0) refuse(name, `the file declares ${channels} channels at ${rateHz} Hz`);
  const known = coding === PCM ? [8, 16, 24, 32].includes(bits) : coding === FLOAT && (bits === 32 || bits === 64);
  if (!known) unsupported(name, `the sound is stored as coding ${coding} with ${bits} bits`, "Convert it to PCM, 16 bits.");
  return { coding, channels, rateHz, bits };
}

/** Finds the two chunks that matter; others may come before, between and behind. */
function findChunks(bytes: Uint8Array, name: string): { format: Format; data: Uint8Array } {
  const reader = new ByteReader(bytes, name);
  if (bytes.length < 12 || reader.tag() !== "RIFF") refuse(name, "the file is not a wav file (RIFF)");
  reader.take(4);
  if (reader.tag() !== "WAVE") refuse(name, "the RIFF file holds something other than sound");
  let format: Format | null = null;
  while (reader.left >= 8) {
    const tag = reader.tag();
    const declared = reader.u32();
    const size = tag === "data" && declared === UNKNOWN_SIZE ? reader.left : declared;
    if (size > reader.left) refuse(name, `the chunk "${tag}" declares ${size} bytes and the file holds ${reader.left} of them`);
    const chunk = reader.take(size);
    if (tag === "fmt ") format = readFormat(chunk, name);
    if (tag === "data") return format === null ? refuse(name, "the sound comes before its format") : { format, data: chunk };
    if (size % 2 === 1 && reader.left > 0) reader.take(1);
  }
  return refuse(name, "the file has no sound in it (no chunk named data)");
}

/** One number of the stream in its own units: 16-bit steps for 8 and 16 bits, [-1, 1) for the others. */
function decoder(format: Format, data: DataView): (offset: number) => number {
  if (format.coding === FLOAT) return format.bits === 32 ? (at) => data.getFloat32(at, true) : (at) => data.getFloat64(at, true);
  switch (format.bits) {
    case 8:
      return (at) => (data.getUint8(at) - 128) * 256;
    case 16:
      return (at) => data.getInt16(at, true);
    case 24:
      return (at) => (data.getUint16(at, true) | (data.getInt8(at + 2) << 16)) * 2 ** -23;
    default:
      return (at) => data.getInt32(at, true) * 2 ** -31;
  }
}

/**
 * Reads a wav file: PCM of 8, 16, 24 or 32 bits, or float. Channels are mixed down to their mean, so the shape is
 * `[length, 1]`; 8 and 16 bits give int16, the others float32 in [-1, 1).
 * @throws KingletError `bad-input` for a damaged file, `unsupported` for another coding.
 */
export function readWav(bytes: Uint8Array, name: string): Recording {
  const { format, data } = findChunks(bytes, name);
  const sampleBytes = format.bits / 8;
  const frameBytes = sampleBytes * format.channels;
  if (data.length % frameBytes !== 0) refuse(name, `the sound of ${data.length} bytes ends inside a frame of ${frameBytes} bytes`);
  const length = data.length / frameBytes;
  if (length === 0) refuse(name, "the sound is empty");
  const read = decoder(format, new DataView(data.buffer, data.byteOffset, data.byteLength));
  const whole = format.coding === PCM && format.bits <= 16;
  const out = whole ? new Int16Array(length) : new Float32Array(length);
  for (let i = 0; i < length; i++) {
    let sum = 0;
    for (let c = 0; c < format.channels; c++) sum += read(i * frameBytes + c * sampleBytes);
    const mean = sum / format.channels;
    out[i] = whole ? Math.round(mean) : mean;
  }
  requireFinite(out, name);
  return { data: out, dtype: whole ? "int16" : "float32", shape: [length, 1], rateHz: format.rateHz, fullScale: whole ? INT16_SCALE : 1 };
}
