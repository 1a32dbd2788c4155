import type { DType } from "../../base/index.ts";
import type { Quantization } from "../../graph/index.ts";

/** The two entries of a `.kinglet` file, in this order: the first one's name is also what the file is known by. */
export const GRAPH_ENTRY = "graph.json";
export const WEIGHTS_ENTRY = "weights.bin";

export const FORMAT = "kinglet graph";
/** Raised when an older reader would misunderstand the file. */
export const VERSION = 1;

/** Every tensor starts at a multiple of so many bytes, enough for any element type. */
export const ALIGNMENT = 16;

/**
 * How a tensor's bytes lie in `weights.bin`, little-endian. `raw` is the element type's own. `float16` and `int4` (two
 * in a byte, the low one first, as in TensorFlow Lite) are taken where they lose nothing: they widen to float32 and int8.
 */
export type Encoding = "raw" | "float16" | "int4";

export interface StoredData {
  /** Bytes from the start of `weights.bin`. */
  readonly offset: number;
  readonly bytes: number;
  readonly encoding?: Encoding;
}

export interface StoredValue {
  readonly id: number;
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly quantization?: Quantization;
  readonly data?: StoredData;
  readonly variable?: true;
  readonly initial?: StoredData;
}

/** JSON has no NaN, no infinities and no negative zero: they travel by name. */
export type StoredNumber = number | { readonly number: "NaN" | "Infinity" | "-Infinity" | "-0" };
export type StoredAttribute = string | boolean | StoredNumber | readonly StoredNumber[];

export interface StoredNode {
  readonly op: string;
  readonly name: string;
  /** Ids of values, null where an optional input is absent. */
  readonly inputs: readonly (number | null)[];
  readonly outputs: readonly number[];
  readonly attributes: Readonly<Record<string, StoredAttribute>>;
}

/** `graph.json`. */
export interface StoredGraph {
  readonly format: typeof FORMAT;
  readonly version: number;
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Size and CRC-32 of `weights.bin`. */
  readonly weights: { readonly bytes: number; readonly crc32: number };
  readonly values: readonly StoredValue[];
  readonly nodes: readonly StoredNode[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}
