import type { Shape } from "../../base/index.ts";
import { refuse } from "./refuse.ts";

/** Element types of samples; the widest integers are exact in single precision up to 2^24. */
export type SampleDType = "float32" | "int8" | "uint8" | "int16" | "uint16" | "int32";

export type SampleArray = Float32Array | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array;

/** One picture or signal as a file holds it, before windows are cut. */
export interface Recording {
  readonly data: SampleArray;
  readonly dtype: SampleDType;
  /** `[h, w, c]` of a picture, `[length, channels]` of a signal. */
  readonly shape: Shape;
  /** The label and group that the file itself states, if any. */
  readonly label?: string;
  readonly group?: string;
  /** The part the file itself states. */
  readonly part?: "train" | "test";
  /** The name inside the file, where one file holds several: labels and groups may be read from it. */
  readonly origin?: string;
  /** Samples per second, where the file says so. */
  readonly rateHz?: number;
  /** The value that stands for 1.0: 32768 for PCM, 255 for pictures; 1 where numbers are what they are. */
  readonly fullScale: number;
  /** Names of the channels, where the file has them. */
  readonly channels?: readonly string[];
}

/** A zeroed array for samples. */
export function newArray(dtype: SampleDType, length: number): SampleArray {
  const arrays = { uint8: Uint8Array, int8: Int8Array, int16: Int16Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array };
  return new arrays[dtype](length);
}

/** Training on a NaN ruins a network without a word, so none gets in. */
export function requireFinite(data: SampleArray, place: string): void {
  if (!(data instanceof Float32Array)) return;
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) refuse(place, `element ${at} is ${data[at]}; every number must be finite`);
}
