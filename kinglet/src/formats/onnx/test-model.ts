import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Small ONNX files for tests, written field by field. */

const bytesField = (w: BinaryWriter, field: number, bytes: Uint8Array): void => void w.tag(field, WireType.LengthDelimited).bytes(bytes);
const textField = (w: BinaryWriter, field: number, text: string): void => void w.tag(field, WireType.LengthDelimited).string(text);
const intField = (w: BinaryWriter, field: number, value: number | bigint): void => void w.tag(field, WireType.Varint).int64(BigInt(value).toString());

function message(write: (w: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter();
  write(writer);
  return writer.finish();
}

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

function tensorBytes(tensor: TestTensor): Uint8Array {
  return message((w) => {
    for (const dim of tensor.dims) intField(w, 1, dim);
    intField(w, 2, tensor.type);
    for (const text of tensor.texts ?? []) textField(w, 6, text);
    textField(w, 8, tensor.name);
    if (tensor.raw !== undefined) bytesField(w, 9, tensor.raw);
    for (const [key, value] of Object.entries(tensor.external ?? {}))
      bytesField(
        w,
        13,
        message((entry) => {
          textField(entry, 1, key);
          textField(entry, 2, value);
        }),
      );
    if (tensor.external !== undefined) intField(w, 14, 1);
  });
}

const floatField = (w: BinaryWriter, field: number, value: number): void => void w.tag(field, WireType.Bit32).float(value);

/** The kind's number in AttributeProto, and its field. */
function attributeBytes(name: string, attribute: TestAttribute): Uint8Array {
  return message((w) => {
    textField(w, 1, name);
    if ("float" in attribute) floatField(w, 2, attribute.float);
    else if ("int" in attribute) intField(w, 3, attribute.int);
    else if ("text" in attribute) textField(w, 4, attribute.text);
    else if ("tensor" in attribute) bytesField(w, 5, tensorBytes({ ...attribute.tensor, name }));
    else if ("floats" in attribute) for (const value of attribute.floats) floatField(w, 7, value);
    else if ("ints" in attribute) for (const value of attribute.ints) intField(w, 8, value);
    else for (const value of attribute.texts) textField(w, 9, value);
    intField(w, 20, ["float", "int", "text", "tensor", "", "floats", "ints", "texts"].indexOf(Object.keys(attribute)[0]!) + 1);
  });
}

function nodeBytes(node: TestNode): Uint8Array {
  return message((w) => {
    for (const name of node.inputs) textField(w, 1, name);
    for (const name of node.outputs) textField(w, 2, name);
    textField(w, 4, node.op);
    for (const [name, attribute] of Object.entries(node.attributes ?? {})) bytesField(w, 5, attributeBytes(name, attribute));
    if (node.domain !== undefined) textField(w, 7, node.domain);
  });
}

function valueInfo(name: string, type: number, dims: readonly (number | string)[]): Uint8Array {
  const shape = message((w) => {
    for (const dim of dims)
      bytesField(
        w,
        1,
        message((d) => (typeof dim === "number" ? intField(d, 1, dim) : textField(d, 2, dim))),
      );
  });
  const tensor = message((w) => {
    intField(w, 1, type);
    bytesField(w, 2, shape);
  });
  return message((w) => {
    textField(w, 1, name);
    bytesField(
      w,
      2,
      message((t) => bytesField(t, 1, tensor)),
    );
  });
}

function opsetBytes(domain: string, version: number): Uint8Array {
  return message((w) => {
    textField(w, 1, domain);
    intField(w, 2, version);
  });
}

export function testOnnx(model: TestModel): Uint8Array {
  const graph = message((w) => {
    for (const node of model.nodes) bytesField(w, 1, nodeBytes(node));
    textField(w, 2, "graph");
    for (const tensor of model.tensors ?? []) bytesField(w, 5, tensorBytes(tensor));
    for (const { name, type, dims } of model.inputs) bytesField(w, 11, valueInfo(name, type, dims));
    // An engine finds the types itself.
    for (const name of model.outputs)
      bytesField(
        w,
        12,
        message((output) => textField(output, 1, name)),
      );
  });
  return message((w) => {
    intField(w, 1, 8);
    textField(w, 2, "test");
    bytesField(w, 7, graph);
    bytesField(w, 8, opsetBytes("", model.opset ?? 17));
    if (model.classical !== undefined) bytesField(w, 8, opsetBytes("ai.onnx.ml", model.classical));
  });
}

export const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
export const longs = (...values: number[]): Uint8Array => new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
