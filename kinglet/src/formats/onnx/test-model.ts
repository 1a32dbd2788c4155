import { bytesOf } from "../../base/index.ts";
import type { ValueInfoProto } from "./proto.ts";
import { emptyAttribute, emptyGraph, emptyModel, emptyNode, emptyTensor, emptyValueInfo, encodeModel } from "./schema.ts";

/** Small ONNX files for tests, written field by field. */

export interface TestTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly type: number;
  readonly raw?: Uint8Array;
  readonly external?: Readonly<Record<string, string>>;
}

export interface TestNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly ints?: Readonly<Record<string, readonly number[]>>;
  readonly axis?: number;
  readonly domain?: string;
}

export interface TestModel {
  readonly opset?: number;
  readonly inputs: readonly { readonly name: string; readonly type: number; readonly dims: readonly (number | string)[] }[];
  readonly outputs: readonly string[];
  readonly tensors?: readonly TestTensor[];
  readonly nodes: readonly TestNode[];
}

const INT = 2;
const INTS = 7;

function attributesOf({ ints = {}, axis }: TestNode): ReturnType<typeof emptyAttribute>[] {
  const lists = Object.entries(ints).map(([name, values]) => ({ ...emptyAttribute(name), ints: values.map(BigInt), kind: INTS }));
  return axis === undefined ? lists : [...lists, { ...emptyAttribute("axis"), int: BigInt(axis), kind: INT }];
}

const info = (name: string, elementType: number, dims: readonly (number | string)[]): ValueInfoProto => ({
  ...emptyValueInfo(),
  name,
  elementType,
  shape: [...dims],
});

export function testOnnx({ opset = 17, inputs, outputs, tensors = [], nodes }: TestModel): Uint8Array {
  const graph = {
    ...emptyGraph(),
    name: "graph",
    nodes: nodes.map((node) => ({
      ...emptyNode(),
      op: node.op,
      domain: node.domain ?? "",
      inputs: [...node.inputs],
      outputs: [...node.outputs],
      attributes: attributesOf(node),
    })),
    initializers: tensors.map(({ name, dims, type, raw = null, external }) => ({
      ...emptyTensor(),
      name,
      dims: [...dims],
      dataType: type,
      raw,
      external: new Map(Object.entries(external ?? {})),
      isExternal: external !== undefined,
    })),
    inputs: inputs.map(({ name, type, dims }) => info(name, type, dims)),
    outputs: outputs.map((name) => info(name, 1, [])),
  };
  return encodeModel({ ...emptyModel(), irVersion: 8, producer: "test", opsets: new Map([["", opset]]), graph });
}

export const floats = (...values: number[]): Uint8Array => bytesOf(Float32Array.from(values));
export const longs = (...values: number[]): Uint8Array => bytesOf(BigInt64Array.from(values, BigInt));
