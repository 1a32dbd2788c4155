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

function tensorBytes(tensor: TestTensor): Uint8Array {
  return message((w) => {
    for (const dim of tensor.dims) intField(w, 1, dim);
    intField(w, 2, tensor.type);
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

function nodeBytes(node: TestNode): Uint8Array {
  return message((w) => {
    for (const name of node.inputs) textField(w, 1, name);
    for (const name of node.outputs) textField(w, 2, name);
    textField(w, 4, node.op);
    for (const [name, values] of Object.entries(node.ints ?? {}))
      bytesField(
        w,
        5,
        message((attribute) => {
          textField(attribute, 1, name);
          for (const value of values) intField(attribute, 8, value);
          intField(attribute, 20, 7);
        }),
      );
    const { axis, domain } = node;
    if (domain !== undefined) textField(w, 7, domain);
    if (axis !== undefined)
      bytesField(
        w,
        5,
        message((attribute) => {
          textField(attribute, 1, "axis");
          intField(attribute, 3, axis);
        }),
      );
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

export function testOnnx(model: TestModel): Uint8Array {
  const graph = message((w) => {
    for (const node of model.nodes) bytesField(w, 1, nodeBytes(node));
    textField(w, 2, "graph");
    for (const tensor of model.tensors ?? []) bytesField(w, 5, tensorBytes(tensor));
    for (const { name, type, dims } of model.inputs) bytesField(w, 11, valueInfo(name, type, dims));
    for (const name of model.outputs) bytesField(w, 12, valueInfo(name, 1, []));
  });
  return message((w) => {
    intField(w, 1, 8);
    textField(w, 2, "test");
    bytesField(w, 7, graph);
    bytesField(
      w,
      8,
      message((opset) => intField(opset, 2, model.opset ?? 17)),
    );
  });
}

export const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
export const longs = (...values: number[]): Uint8Array => new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
