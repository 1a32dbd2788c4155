import { fromBytes, KingletError } from "../base/index.ts";
import { randomAt, unit } from "../data/browser.ts";

/** How an update travels. */
export type Compression =
  | { readonly kind: "none" }
  /** Each number as one of 2^bits − 1 steps between −m and m, by chance up or down, so that the mean is right (QSGD; Alistarh et al., NeurIPS 2017). */
  | { readonly kind: "quantize"; readonly bits: 4 | 8 }
  /** The largest `share` of the numbers; what is left is added to the next update (Stich et al., NeurIPS 2018). */
  | { readonly kind: "topK"; readonly share: number };

/** An update as it travels, and as the other side reads it. */
export interface Compressed {
  readonly bytes: Uint8Array;
  readonly update: Float32Array;
  /** What did not travel. */
  readonly rest: Float32Array;
}

const FLOAT_BYTES = 4;

function stochastic(update: Float32Array, bits: 4 | 8, seed: readonly number[]): Uint8Array {
  const random = randomAt(...seed);
  const steps = 2 ** (bits - 1) - 1;
  const most = update.reduce((top, x) => Math.max(top, Math.abs(x)), 0);
  const perByte = 8 / bits;
  const bytes = new Uint8Array(FLOAT_BYTES + Math.ceil(update.length / perByte));
  new DataView(bytes.buffer).setFloat32(0, most, true);
  const factor = most === 0 ? 0 : steps / Math.fround(most);
  update.forEach((x, i) => {
    const code = Math.floor(x * factor + unit(random));
    const at = FLOAT_BYTES + Math.floor(i / perByte);
    bytes[at]! |= (Math.max(-steps, Math.min(steps, code)) & (2 ** bits - 1)) << (bits * (i % perByte));
  });
  return bytes;
}

/** The `count` places of the largest magnitude in their order; of equal ones the first. */
function largest(update: Float32Array, count: number): Uint32Array {
  const places = Uint32Array.from(update, (_, i) => i).sort((a, b) => Math.abs(update[b]!) - Math.abs(update[a]!) || a - b);
  return places.slice(0, count).sort();
}

function chosen(update: Float32Array, share: number): Uint8Array {
  const places = largest(update, Math.max(1, Math.round(share * update.length)));
  const bytes = new Uint8Array(places.length * 2 * FLOAT_BYTES);
  const view = new DataView(bytes.buffer);
  places.forEach((place, k) => {
    view.setUint32(8 * k, place, true);
    view.setFloat32(8 * k + FLOAT_BYTES, update[place]!, true);
  });
  return bytes;
}

function damaged(why: string): never {
  throw new KingletError("bad-input", `an update cannot be read: ${why}`);
}

function dequantized(bytes: Uint8Array, view: DataView, bits: 4 | 8, length: number): Float32Array {
  const perByte = 8 / bits;
  if (bytes.length !== FLOAT_BYTES + Math.ceil(length / perByte)) damaged(`it has ${bytes.length} bytes`);
  const most = view.getFloat32(0, true);
  if (!(most >= 0 && Number.isFinite(most))) damaged(`its largest number is ${most}`);
  const unitStep = most / (2 ** (bits - 1) - 1);
  const update = new Float32Array(length);
  // A coordinator reads hundreds of these in a round: a loop takes a quarter of the time of a call for each number.
  for (let i = 0; i < length; i++) {
    const code = bytes[FLOAT_BYTES + Math.floor(i / perByte)]! >> (bits * (i % perByte));
    update[i] = ((code << (32 - bits)) >> (32 - bits)) * unitStep;
  }
  return update;
}

function allFinite(update: Float32Array): boolean {
  // What is not finite makes 0 times itself no 0, and then the sum.
  let sum = 0;
  for (let i = 0; i < update.length; i++) sum += 0 * update[i]!;
  return sum === 0;
}

function scattered(bytes: Uint8Array, view: DataView, length: number): Float32Array {
  if (bytes.length % 8 !== 0) damaged(`it has ${bytes.length} bytes`);
  const update = new Float32Array(length);
  let before = -1;
  for (let at = 0; at < bytes.length; at += 8) {
    const place = view.getUint32(at, true);
    if (place <= before || place >= length) damaged(`place ${place} of ${length} comes after ${before}`);
    update[place] = view.getFloat32(at + FLOAT_BYTES, true);
    before = place;
  }
  return update;
}

/** Reads an update of `length` numbers. @throws KingletError `bad-input` where the bytes are none, or numbers are not finite. */
export function decompress(bytes: Uint8Array, length: number, how: Compression): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (how.kind === "none" && bytes.length !== FLOAT_BYTES * length) damaged(`it has ${bytes.length} bytes for ${length} numbers`);
  const update =
    how.kind === "none"
      ? (fromBytes("float32", bytes) as Float32Array)
      : how.kind === "quantize"
        ? dequantized(bytes, view, how.bits, length)
        : scattered(bytes, view, length);
  if (!allFinite(update)) damaged("it has numbers that are not finite");
  return update;
}

/**
 * Makes an update light. `seed`: the place of the random stream, such as round and client.
 * @throws KingletError `misuse` for a share that cannot be, `bad-input` for numbers that are not finite.
 */
export function compress(update: Float32Array, how: Compression, seed: readonly number[]): Compressed {
  if (how.kind === "topK" && !(how.share > 0 && how.share <= 1)) throw new KingletError("misuse", `the share to send is ${how.share}`);
  const bytes =
    how.kind === "none"
      ? new Uint8Array(update.slice().buffer)
      : how.kind === "quantize"
        ? stochastic(update, how.bits, seed)
        : chosen(update, how.share);
  const read = decompress(bytes, update.length, how);
  return { bytes, update: read, rest: update.map((x, i) => x - read[i]!) };
}
