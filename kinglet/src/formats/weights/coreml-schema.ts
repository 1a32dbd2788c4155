import { WireType } from "@bufbuild/protobuf/wire";
import { type Fields, int, readMessage, readOnly, size, text } from "../wire.ts";

/** The messages of a Core ML program, as far as constants need them. Numbers of fields are those of Apple's Model.proto and MIL.proto. */

/** A constant: where its contents lie in a file of blobs, or the contents of a short one. */
export interface MilConstant {
  readonly name: string;
  readonly dtype: number;
  readonly shape: readonly number[];
  /** Where the blob's record begins, or null. */
  readonly blobAt: number | null;
  readonly floats: Float32Array | null;
}

type Open<T> = { -readonly [key in keyof T]: T[key] };

interface TensorType {
  dtype: number;
  shape: number[];
}

interface Value extends TensorType {
  blobAt: number | null;
  floats: number[];
}

interface Operation {
  type: string;
  outputs: string[];
  value: Value | null;
}

const emptyValue = (): Value => ({ dtype: 0, shape: [], blobAt: null, floats: [] });

const CONSTANT_DIMENSION: Fields<{ size: number }> = { 1: size("size") };
const DIMENSION: Fields<{ size: number }> = {
  1: readOnly((c, m) => {
    m.size = c.message({ size: -1 }, CONSTANT_DIMENSION).size;
  }),
};
const TENSOR_TYPE: Fields<TensorType> = {
  1: int("dtype"),
  3: readOnly((c, m) => void m.shape.push(c.message({ size: -1 }, DIMENSION).size)),
};
const VALUE_TYPE: Fields<TensorType> = { 1: readOnly((c, m) => void c.message(m, TENSOR_TYPE)) };

const FLOATS: Fields<number[]> = { 1: readOnly((c, m) => c.repeated(m, WireType.Bit32, (r) => r.float())) };
const TENSOR: Fields<Value> = { 1: readOnly((c, m) => void c.message(m.floats, FLOATS)) };
const IMMEDIATE: Fields<Value> = { 1: readOnly((c, m) => void c.message(m, TENSOR)) };
const BLOB: Fields<Value> = {
  2: readOnly((c, m) => {
    m.blobAt = Number(c.long());
  }),
};
const VALUE: Fields<Value> = {
  2: readOnly((c, m) => void c.message(m, VALUE_TYPE)),
  3: readOnly((c, m) => void c.message(m, IMMEDIATE)),
  5: readOnly((c, m) => {
    m.blobAt ??= 0;
    c.message(m, BLOB);
  }),
};
const ATTRIBUTE: Fields<{ key: string; value: Value }> = {
  1: text("key"),
  2: readOnly((c, m) => void c.message(m.value, VALUE)),
};
const OUTPUT: Fields<string[]> = { 1: readOnly((c, m) => void m.push(c.text())) };

const OPERATION: Fields<Operation> = {
  1: text("type"),
  3: readOnly((c, m) => void c.message(m.outputs, OUTPUT)),
  5: readOnly((c, m) => {
    const { key, value } = c.message({ key: "", value: emptyValue() }, ATTRIBUTE);
    if (key === "val") m.value = value;
  }),
};

type Found = Open<MilConstant>[];

function addConstant({ type, outputs: [name], value }: Operation, found: Found): void {
  if (type !== "const" || name === undefined || value === null) return;
  const { dtype, shape, blobAt, floats } = value;
  found.push({ name, dtype, shape, blobAt, floats: floats.length > 0 ? Float32Array.from(floats) : null });
}

const BLOCK: Fields<Found> = { 3: readOnly((c, m) => addConstant(c.message({ type: "", outputs: [], value: null }, OPERATION), m)) };
const BLOCK_ENTRY: Fields<Found> = { 2: readOnly((c, m) => void c.message(m, BLOCK)) };
const FUNCTION: Fields<Found> = { 3: readOnly((c, m) => void c.message(m, BLOCK_ENTRY)) };
const FUNCTION_ENTRY: Fields<Found> = { 2: readOnly((c, m) => void c.message(m, FUNCTION)) };
const PROGRAM: Fields<Found> = { 2: readOnly((c, m) => void c.message(m, FUNCTION_ENTRY)) };
const MODEL: Fields<Found> = { 502: readOnly((c, m) => void c.message(m, PROGRAM)) };

/** The constants of a Core ML program in its order. @throws KingletError `bad-file` */
export function readMilConstants(model: Uint8Array, place: string): readonly MilConstant[] {
  return readMessage<Found>(model, place, [], MODEL);
}
