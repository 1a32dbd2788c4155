import { KingletError, type TypedArray } from "../../base/index.ts";
import type { Quantization } from "../../graph/index.ts";
import { roundAway, type TensorQuantization } from "../../ops/index.ts";
import type { IntegerDomain } from "./rules.ts";

/** The real numbers that a tensor's values are expected to lie between. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

export const EMPTY_RANGE: Range = { low: 0, high: 0 };

export function unionRange(a: Range, b: Range): Range {
  return { low: Math.min(a.low, b.low), high: Math.max(a.high, b.high) };
}

/** @throws KingletError `bad-input` where a number is not finite. */
export function rangeOfData(data: TypedArray, name: string): Range {
  let [low, high] = [0, 0];
  for (const x of data as Float32Array) {
    if (!Number.isFinite(x)) throw new KingletError("bad-input", `the tensor "${name}" holds ${x}, which no integer can stand for`);
    low = Math.min(low, x);
    high = Math.max(high, x);
  }
  return { low, high };
}

/**
 * Scale and zero point for a range, which is widened to hold 0. int8 is asymmetric over −128…127, int16 symmetric with
 * zero point 0, as the TensorFlow Lite specifications say. The scale is a single-precision number.
 */
export function quantizationFor(range: Range, domain: IntegerDomain): TensorQuantization {
  const [low, high] = [Math.min(0, range.low), Math.max(0, range.high)];
  if (domain === "int16") return { scale: scaleOf(Math.max(-low, high) / 32767), zeroPoint: 0 };
  const scale = scaleOf((high - low) / 255);
  const zeroPoint = Math.max(-128, Math.min(127, roundAway(-128 - low / scale)));
  return { scale, zeroPoint };
}

/** The smallest scale in use; a tensor of zeros has no range, and any scale will do. */
const LEAST_SCALE = 1e-30;

function scaleOf(exact: number): number {
  return exact < LEAST_SCALE ? 1 : Math.fround(exact);
}

export function perTensor({ scale, zeroPoint }: TensorQuantization): Quantization {
  return { scales: [scale], zeroPoints: [zeroPoint], axis: 0 };
}

const LIMITS = { int8: [-128, 127], int16: [-32768, 32767] } as const;

/** Stored numbers of real ones. */
export function quantizeData(data: TypedArray, { scale, zeroPoint }: TensorQuantization, domain: IntegerDomain): Int8Array | Int16Array {
  const [low, high] = LIMITS[domain];
  const stored = domain === "int8" ? new Int8Array(data.length) : new Int16Array(data.length);
  for (let i = 0; i < data.length; i++) stored[i] = Math.max(low, Math.min(high, roundAway(Number(data[i]) / scale) + zeroPoint));
  return stored;
}
