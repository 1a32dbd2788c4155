import type { DType, Shape, TypedArray } from "../base/index.ts";

/**
 * Affine quantization of a value: real = scale · (stored − zeroPoint), as in the TensorFlow Lite
 * specification. One entry per tensor, or one for each index along `axis`.
 */
export interface Quantization {
  readonly scales: readonly number[];
  readonly zeroPoints: readonly number[];
  /** The dimension that the entries run along; 0 where there is one entry. */
  readonly axis: number;
}

/** What a shape rule needs to know of a value, and what it answers. */
export interface ValueType {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly quantization?: Quantization | undefined;
}

/** A tensor in the graph: an input, a constant (it has `data`), a node's result, or a variable's state. */
export interface Value extends ValueType {
  readonly id: number;
  readonly name: string;
  /** Constant contents, row-major; shared, never written. */
  readonly data?: TypedArray | undefined;
  /**
   * True for a variable: it keeps its contents from one inference to the next, starting from
   * `initial` (zeros of the value's zero point where absent).
   */
  readonly variable?: boolean | undefined;
  readonly initial?: TypedArray | undefined;
}

/** JSON-like attribute values; each operator types its own. */
export type Attribute = number | string | boolean | readonly number[];
export type Attributes = Readonly<Record<string, Attribute>>;

/** One operation. `inputs` may hold null where an optional input is absent. */
export interface Node<A = Attributes> {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly (Value | null)[];
  readonly outputs: readonly Value[];
  readonly attributes: A;
}

/** A network: nodes in an executable order, each value produced once. Shapes are static. */
export interface Graph {
  readonly name: string;
  readonly values: readonly Value[];
  readonly nodes: readonly Node[];
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  /** Free text that came with the file (description, labels, other subgraphs, signatures). */
  readonly metadata: Readonly<Record<string, string>>;
}
