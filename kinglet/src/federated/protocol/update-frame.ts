import { crc32, fromBytes, KingletError } from "../../base/index.ts";
import { type Compression, decompress } from "../compression.ts";
import { Refusal } from "./refusal.ts";

/** An update as it travels: what it is of, what it rests on, and its numbers. A masked one says 0 samples and steps: they are in its sum. */
export interface UpdateFrame {
  readonly round: number;
  /** Version of the model that the client began with. */
  readonly version: number;
  readonly samples: number;
  readonly steps: number;
  /** What `compress` gave, or masked words, little-endian. */
  readonly delta: Uint8Array;
  /** How far the client's control variate moved, float32 little-endian; SCAFFOLD only. */
  readonly control?: Uint8Array;
}

/** How the numbers of a frame are written: compressed or, for secure aggregation, masked words of 32 bits, one more than there are parameters. */
export type Coding = Compression | { readonly kind: "masked" };

/** What updates of a project look like. */
export interface UpdateForm {
  /** Parameters that are learned. */
  readonly length: number;
  readonly coding: Coding;
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
const [FLOAT_BYTES, WORD_BYTES] = [4, 4];

const CODES = { none: 0, quantize8: 8, quantize4: 4, topK: 1, masked: 2 } as const;

function codeOf(coding: Coding): number {
  return coding.kind === "quantize" ? CODES[`quantize${coding.bits}`] : CODES[coding.kind];
}

/** Bytes of the numbers: all have as many but the sparse ones, which may have fewer. */
function mostDeltaBytes({ length, coding }: UpdateForm): number {
  switch (coding.kind) {
    case "none":
      return FLOAT_BYTES * length;
    case "quantize":
      return FLOAT_BYTES + Math.ceil((length * coding.bits) / 8);
    case "topK":
      return 2 * FLOAT_BYTES * Math.max(1, Math.round(coding.share * length));
    case "masked":
      return WORD_BYTES * (length + 1);
    default:
      return coding satisfies never;
  }
}

/** Bytes of the longest frame that can be right. */
export function mostUpdateBytes(form: UpdateForm): number {
  return HEAD_BYTES + mostDeltaBytes(form) + (form.control ? FLOAT_BYTES * form.length : 0) + CHECKSUM_BYTES;
}

/** The bytes of a frame; the same update has the same bytes. */
export function encodeUpdate({ round, version, samples, steps, delta, control }: UpdateFrame, coding: Coding): Uint8Array {
  const controlBytes = control?.length ?? 0;
  const bytes = new Uint8Array(HEAD_BYTES + delta.length + controlBytes + CHECKSUM_BYTES);
  const view = new DataView(bytes.buffer);
  [MAGIC, round, version, samples, steps, codeOf(coding), delta.length, controlBytes].forEach((word, i) => {
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
  if (code !== codeOf(form.coding)) malformed("it is written in another way than the project says");
  if (deltaBytes > mostDeltaBytes(form)) malformed("it has too many numbers");
  if (controlBytes !== (form.control ? FLOAT_BYTES * form.length : 0)) malformed("its control variate has another length than the model");
  if (form.coding.kind === "masked") {
    if (deltaBytes !== mostDeltaBytes(form)) malformed("it has too few numbers");
    if (samples !== 0 || steps !== 0) malformed("it tells what secure aggregation hides");
  } else if (samples === 0 || steps === 0) malformed("it rests on no sample or on no step");
  const delta = bytes.subarray(HEAD_BYTES, HEAD_BYTES + deltaBytes);
  const frame = { round, version, samples, steps, delta };
  return form.control ? { ...frame, control: bytes.subarray(HEAD_BYTES + deltaBytes, end) } : frame;
}

/** The words of a masked frame: any may be. */
export function maskedWords({ delta }: Pick<UpdateFrame, "delta">): Uint32Array {
  return fromBytes("uint32", delta) as Uint32Array;
}

/** The numbers of a frame that is not masked. @throws Refusal `malformed` where they are not finite. */
export function updateNumbers({ delta, control }: UpdateFrame, { length, coding }: UpdateForm): UpdateNumbers {
  if (coding.kind === "masked") throw new KingletError("internal", "a masked update has no numbers");
  try {
    const numbers = decompress(delta, length, coding);
    return control === undefined ? { delta: numbers } : { delta: numbers, control: decompress(control, length, { kind: "none" }) };
  } catch (error) {
    return malformed(error instanceof Error ? error.message : String(error));
  }
}
