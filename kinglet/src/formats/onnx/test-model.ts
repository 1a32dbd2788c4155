import { bytesOf } from "../../base/index.ts";
import type { AttributeProto, TensorProto, ValueInfoProto } from "./proto.ts";
import { emptyAttribute, emptyGraph, emptyModel, emptyNode, emptyTensor, emptyValueInfo, encodeModel } from "./schema.ts";

/** Small ONNX files for tests, written field by field. */

export interface TestTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly type: number;
  readonly raw?: Uint8Array;
  readonly texts?: readonly string[];
  readonly external?: Readonly<Record<string, string>>;
}

/** An attribute by its kind. */
export type TestAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly text: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly texts: readonly string[] }
  | { readonly tensor: Omit<TestTensor, "name"> };

export interface TestNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, TestAttribute>>;
  readonly domain?: string;
}

export interface TestModel {
  readonly opset?: number;
  /** The version of ai.onnx.ml, where nodes are of it. */
  readonly classical?: number;
  readonly inputs: readonly { readonly name: string; readonly type: number; readonly dims: readonly (number | string)[] }[];
  readonly outputs: readonly string[];
  readonly tensors?: readonly TestTensor[];
  readonly nodes: readonly TestNode[];
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

function tensorOf({ name, dims, type, raw, texts = [], external }: TestTensor): TensorProto {
  return {
    ...emptyTensor(),
    name,
    dims: [...dims],
    dataType: type,
    raw: raw ?? null,
    strings: texts.map(utf8),
    external: new Map(Object.entries(external ?? {})),
    isExternal: external !== undefined,
  };
}

/** The kind's number in AttributeProto, and its field. */
function attributeOf(name: string, given: TestAttribute): AttributeProto {
  const attribute = (kind: number, contents: Partial<AttributeProto>): AttributeProto => ({ ...emptyAttribute(name), kind, ...contents });
  if ("float" in given) return attribute(1, { float: given.float });
  if ("int" in given) return attribute(2, { int: BigInt(given.int) });
  if ("text" in given) return attribute(3, { text: utf8(given.text) });
  if ("tensor" in given) return attribute(4, { tensor: tensorOf({ ...given.tensor, name }) });
  if ("floats" in given) return attribute(6, { floats: [...given.floats] });
  if ("ints" in given) return attribute(7, { ints: given.ints.map(BigInt) });
  return attribute(8, { texts: given.texts.map(utf8) });
}

const info = (name: string, elementType: number, dims: readonly (number | string)[]): ValueInfoProto => ({
  ...emptyValueInfo(),
  name,
  elementType,
  shape: [...dims],
});

export function testOnnx({ opset = 17, classical, inputs, outputs, tensors = [], nodes }: TestModel): Uint8Array {
  const graph = {
    ...emptyGraph(),
    name: "graph",
    nodes: nodes.map(({ op, domain = "", inputs: taken, outputs: made, attributes = {} }) => ({
      ...emptyNode(),
      op,
      domain,
      inputs: [...taken],
      outputs: [...made],
      attributes: Object.entries(attributes).map(([name, attribute]) => attributeOf(name, attribute)),
    })),
    initializers: tensors.map(tensorOf),
    inputs: inputs.map(({ name, type, dims }) => info(name, type, dims)),
    // An engine finds the types itself.
    outputs: outputs.map((name) => ({ ...emptyValueInfo(), name })),
  };
  const opsets = new Map([["", opset], ...(classical === undefined ? [] : [["ai.onnx.ml", classical] as const])] as const);
  return encodeModel({ ...emptyModel(), irVersion: 8, producer: "test", opsets: new Map(opsets), graph });
}

export const floats = (...values: number[]): Uint8Array => bytesOf(Float32Array.from(values));
export const longs = (...values: number[]): Uint8Array => bytesOf(BigInt64Array.from(values, BigInt));
