import { crc32 } from "../../base/index.ts";
import { type Compression, decompress } from "../compression.ts";
import { Refusal } from "./refusal.ts";

/** An update as it travels: what it is of, what it rests on, and the compressed numbers. */
export interface UpdateFrame {
  readonly round: number;
  /** Version of the model that the client began with. */
  readonly version: number;
  readonly samples: number;
  readonly steps: number;
  /** What `compress` gave. */
  readonly delta: Uint8Array;
  /** How far the client's control variate moved, float32 little-endian; SCAFFOLD only. */
  readonly control?: Uint8Array;
}

/** What updates of a project look like. */
export interface UpdateForm {
  /** Parameters that are learned. */
  readonly length: number;
  readonly compression: Compression;
  readonly control: boolean;
}

/** The numbers of an update. */
export interface UpdateNumbers {
  readonly delta: Float32Array;
  readonly control?: Float32Array;
}

/** "KFU" and the version of the frame, as a little-endian word. */
const MAGIC = 0x01_55_46_4b;
/** Magic, round, version, samples, steps, compression, bytes of delta, bytes of control. */
const HEAD_BYTES = 32;
const CHECKSUM_BYTES = 4;
const FLOAT_BYTES = 4;

const CODES = { none: 0, quantize8: 8, quantize4: 4, topK: 1 } as const;

function codeOf(compression: Compression): number {
  return compression.kind === "quantize" ? CODES[`quantize${compression.bits}`] : CODES[compression.kind];
}

/** Bytes of the compressed numbers: all have as many but the sparse ones, which may have fewer. */
function mostDeltaBytes({ length, compression }: UpdateForm): number {
  switch (compression.kind) {
    case "none":
      return FLOAT_BYTES * length;
    case "quantize":
      return FLOAT_BYTES + Math.ceil((length * compression.bits) / 8);
    case "topK":
      return 2 * FLOAT_BYTES * Math.max(1, Math.round(compression.share * length));
    default:
      return compression satisfies never;
  }
}

/** Bytes of the longest frame that can be right. */
export function mostUpdateBytes(form: UpdateForm): number {
  return HEAD_BYTES + mostDeltaBytes(form) + (form.control ? FLOAT_BYTES * form.length : 0) + CHECKSUM_BYTES;
}

/** The bytes of a frame; the same update has the same bytes. */
export function encodeUpdate({ round, version, samples, steps, delta, control }: UpdateFrame, compression: Compression): Uint8Array {
  const controlBytes = control?.length ?? 0;
  const bytes = new Uint8Array(HEAD_BYTES + delta.length + controlBytes + CHECKSUM_BYTES);
  const view = new DataView(bytes.buffer);
  [MAGIC, round, version, samples, steps, codeOf(compression), delta.length, controlBytes].forEach((word, i) => {
    view.setUint32(4 * i, word, true);
  });
  bytes.set(delta, HEAD_BYTES);
  if (control !== undefined) bytes.set(control, HEAD_BYTES + delta.length);
  const end = bytes.length - CHECKSUM_BYTES;
  view.setUint32(end, crc32(bytes.subarray(0, end)), true);
  return bytes;
}

function malformed(why: string): never {
  throw new Refusal("malformed", `the update cannot be read: ${why}`);
}

/** Reads a frame of this form; the parts point into `bytes`. @throws Refusal `malformed` or `oversized`. */
export function decodeUpdate(bytes: Uint8Array, form: UpdateForm): UpdateFrame {
  if (bytes.length > mostUpdateBytes(form)) throw new Refusal("oversized", `an update has at most ${mostUpdateBytes(form)} bytes here`);
  if (bytes.length < HEAD_BYTES + CHECKSUM_BYTES) malformed("it is too short");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (i: number): number => view.getUint32(4 * i, true);
  if (word(0) !== MAGIC) malformed("it does not begin as one of this version");
  const [round, version, samples, steps, code, deltaBytes, controlBytes] = [word(1), word(2), word(3), word(4), word(5), word(6), word(7)];
  const end = bytes.length - CHECKSUM_BYTES;
  if (HEAD_BYTES + deltaBytes + controlBytes !== end) malformed("its parts do not add up to its length");
  if (view.getUint32(end, true) !== crc32(bytes.subarray(0, end))) malformed("its checksum is wrong");
  if (code !== codeOf(form.compression)) malformed("it is compressed in another way than the project says");
  if (deltaBytes > mostDeltaBytes(form)) malformed("it has too many numbers");
  if (controlBytes !== (form.control ? FLOAT_BYTES * form.length : 0)) malformed("its control variate has another length than the model");
  if (samples === 0 || steps === 0) malformed("it rests on no sample or on no step");
  const delta = bytes.subarray(HEAD_BYTES, HEAD_BYTES + deltaBytes);
  const frame = { round, version, samples, steps, delta };
  return form.control ? { ...frame, control: bytes.subarray(HEAD_BYTES + deltaBytes, end) } : frame;
}

/** The numbers of a frame. @throws Refusal `malformed` where they are not finite. */
export function updateNumbers({ delta, control }: UpdateFrame, { length, compression }: UpdateForm): UpdateNumbers {
  try {
    const numbers = decompress(delta, length, compression);
    return control === undefined ? { delta: numbers } : { delta: numbers, control: decompress(control, length, { kind: "none" }) };
  } catch (error) {
    return malformed(error instanceof Error ? error.message : String(error));
  }
}
