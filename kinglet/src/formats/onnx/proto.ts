import type { PackedNumbers } from "../packed.ts";

/** The messages of onnx.proto that Kinglet reads and writes, under their own names. */

export interface TensorProto {
  name: string;
  dims: number[];
  dataType: number;
  raw: Uint8Array | null;
  floats: PackedNumbers;
  int32s: PackedNumbers;
  int64s: PackedNumbers;
  doubles: PackedNumbers;
  uint64s: PackedNumbers;
  strings: Uint8Array[];
  external: Map<string, string>;
  isExternal: boolean;
  segmented: boolean;
}

export interface SparseTensorProto {
  values: TensorProto | null;
  indices: TensorProto | null;
  dims: number[];
}

export interface AttributeProto {
  name: string;
  /** The name of an attribute of the function around it, whose value this one takes. */
  reference: string;
  kind: number;
  float: number;
  int: bigint;
  text: Uint8Array | null;
  tensor: TensorProto | null;
  sparse: SparseTensorProto | null;
  graph: GraphProto | null;
  floats: number[];
  ints: bigint[];
  texts: Uint8Array[];
}

export interface NodeProto {
  name: string;
  op: string;
  domain: string;
  overload: string;
  inputs: string[];
  outputs: string[];
  attributes: AttributeProto[];
}

/** A dimension: a number, or the name of one ("" where it has none). */
export type DimProto = number | string;

export interface ValueInfoProto {
  name: string;
  /** Element type of a tensor; 0 where the value is something else. */
  elementType: number;
  /** What the value is where it is no tensor. */
  kind: string;
  shape: DimProto[] | null;
}

export interface GraphProto {
  name: string;
  nodes: NodeProto[];
  initializers: TensorProto[];
  sparse: SparseTensorProto[];
  inputs: ValueInfoProto[];
  outputs: ValueInfoProto[];
  /** Types of values between. */
  values: ValueInfoProto[];
}

export interface FunctionProto {
  name: string;
  domain: string;
  overload: string;
  inputs: string[];
  outputs: string[];
  attributes: string[];
  defaults: AttributeProto[];
  nodes: NodeProto[];
  opsets: Map<string, number>;
}

export interface ModelProto {
  irVersion: number;
  producer: string;
  producerVersion: string;
  doc: string;
  opsets: Map<string, number>;
  graph: GraphProto | null;
  functions: FunctionProto[];
  /** Free text by name (`metadata_props`). */
  notes: Map<string, string>;
}
