import { mapInto } from "./dtype.ts";

/** IEEE 754 half-precision bits to a number. */
export function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Decodes an array of half-precision bits to single precision (exact). */
export function decodeFloat16(bits: Uint16Array): Float32Array {
  return mapInto(new Float32Array(bits.length), bits, float16ToNumber);
}

/** Decodes bfloat16, the upper halves of single-precision numbers (exact). */
export function decodeBfloat16(bits: Uint16Array): Float32Array {
  return new Float32Array(mapInto(new Uint32Array(bits.length), bits, (half) => half << 16).buffer);
}

const FLOAT = new Float32Array(1);
const BITS = new Uint32Array(FLOAT.buffer);

/** A number, rounded to single and then to half precision (ties to even); what is too large becomes infinite. */
export function numberToFloat16(x: number): number {
  FLOAT[0] = x;
  const bits = BITS[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 255) - 112;
  const fraction = bits & 0x7fffff;
  if (exponent >= 31) return sign | 0x7c00 | (exponent === 143 && fraction !== 0 ? 0x200 : 0);
  if (exponent < -10) return sign;
  // Below the normal range the leading one is part of what is shifted out.
  const [mantissa, drop] = exponent > 0 ? [fraction, 13] : [fraction | 0x800000, 14 - exponent];
  const kept = mantissa >>> drop;
  const rest = mantissa & ((1 << drop) - 1);
  const half = 1 << (drop - 1);
  const up = rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0;
  return sign | ((Math.max(0, exponent) << 10) + kept + up);
}

/** Half-precision bits of single-precision numbers, each rounded to the nearest. */
export function encodeFloat16(data: Float32Array): Uint16Array {
  return mapInto(new Uint16Array(data.length), data, numberToFloat16);
}

/** Half-precision bits that widen to exactly these numbers, signs of zeros and payloads of NaNs included; null where there are none. */
export function losslessFloat16(data: Float32Array): Uint16Array | null {
  const half = encodeFloat16(data);
  const back = new Uint32Array(decodeFloat16(half).buffer);
  const bits = new Uint32Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength));
  return bits.every((each, i) => each === back[i]) ? half : null;
}
