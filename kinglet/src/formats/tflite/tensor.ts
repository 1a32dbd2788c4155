import { type DType, decodeFloat16, dtypeBytes, elementCount, fromBytes, type TypedArray, mapInto } from "../../base/index.ts";
import type { Quantization, ValueType } from "../../graph/index.ts";
import type { FlatFile, Table } from "./flatfile.ts";
import { QUANTIZATION, type StoredType, TENSOR, TENSOR_TYPES } from "./schema.ts";
import { expandSparse, readSparsity } from "./sparse.ts";

/** More than any operator takes; keeps what a hostile shape can cost small. */
const MAX_RANK = 8;

/** A tensor of a subgraph as the file describes it. */
export interface Tensor {
  readonly index: number;
  readonly where: string;
  readonly name: string;
  readonly stored: StoredType;
  readonly shape: readonly number[];
  readonly quantization: Quantization | undefined;
  readonly isVariable: boolean;
  readonly buffer: number;
  readonly sparsity: Table | null;
  /** The exporter left a dimension open: `shape` then holds a placeholder there. */
  readonly isOpen: boolean;
}

export function readTensor(file: FlatFile, table: Table, index: number): Tensor {
  const name = table.text(TENSOR.name);
  const where = `tensor ${index} "${name.slice(0, 80)}"`;
  const stored = TENSOR_TYPES[table.byte(TENSOR.type)];
  if (stored === undefined) return file.fail(where, `the tensor type ${table.byte(TENSOR.type)} is not known`);
  const shape = table.ints(TENSOR.shape);
  if (shape.length > MAX_RANK) file.fail(where, `the tensor has ${shape.length} dimensions; at most ${MAX_RANK} are possible`);
  return {
    index,
    where,
    name: name === "" ? `tensor_${index}` : name,
    stored,
    shape,
    quantization: readQuantization(file, table.table(TENSOR.quantization, where), stored, shape),
    isVariable: table.bool(TENSOR.isVariable),
    buffer: table.uint(TENSOR.buffer),
    sparsity: table.table(TENSOR.sparsity, where),
    isOpen: table.ints(TENSOR.signature).includes(-1),
  };
}

function readQuantization(file: FlatFile, table: Table | null, stored: StoredType, shape: readonly number[]): Quantization | undefined {
  // Training leaves ranges on float tensors; only stored integers have an affine meaning.
  if (table === null || !/^u?int/.test(stored)) return undefined;
  if (table.byte(QUANTIZATION.detailsType) !== 0) {
    file.unsupported(table.where, "the tensor has a custom or blockwise quantization", "Export the model with per-tensor or per-axis quantization.");
  }
  const scales = table.floats(QUANTIZATION.scale);
  if (scales.length === 0) return undefined;
  const stored0 = table.longs(QUANTIZATION.zeroPoint);
  const zeroPoints = stored0.length <= 1 ? scales.map(() => stored0[0] ?? 0) : stored0;
  // Some exporters give a bias the axis of its filters; a vector has only one.
  const axis = scales.length === 1 || shape.length === 1 ? 0 : table.int(QUANTIZATION.dimension);
  if (zeroPoints.length !== scales.length) file.fail(table.where, `the tensor has ${scales.length} scales but ${zeroPoints.length} zero points`);
  if (scales.length > 1 && shape[axis] !== scales.length)
    file.fail(table.where, `the tensor has ${scales.length} scales along dimension ${axis} of ${shape[axis] ?? "none"}`);
  if (!zeroPoints.every((zero) => Math.abs(zero) <= 2 ** 31)) file.fail(table.where, "a zero point does not fit in 32 bits");
  return { scales, zeroPoints, axis };
}

/** Element type in the graph: int4 travels as int8. */
function tensorDType(file: FlatFile, tensor: Tensor): DType {
  const stored = tensor.stored;
  switch (stored) {
    case "int4":
      return "int8";
    case "resource":
    case "string":
    case "complex64":
    case "complex128":
    case "variant":
    case "bfloat16":
      return file.unsupported(
        tensor.where,
        `the tensor holds ${stored} elements, which Kinglet cannot compute with`,
        "Cut this part out of the model, or export it with numeric tensors.",
      );
    default:
      return stored;
  }
}

/** The type of the graph value for a tensor; refuses shapes that no value can have. */
export function tensorType(file: FlatFile, tensor: Tensor): ValueType {
  const dtype = tensorDType(file, tensor);
  const bad = tensor.shape.find((dim) => dim < 1);
  if (bad !== undefined) file.fail(tensor.where, `the tensor has a dimension of ${bad}; Kinglet needs fixed dimensions of at least 1`);
  if (elementCount(tensor.shape) > 2 ** 31) file.fail(tensor.where, "the tensor has more elements than any target can hold");
  return { dtype, shape: tensor.shape, quantization: tensor.quantization };
}

/** Two's complement nibbles, low one first. */
function unpackInt4(bytes: Uint8Array, length: number): Int8Array {
  return Int8Array.from({ length }, (_, i) => ((bytes[i >> 1]! >> (4 * (i & 1))) << 28) >> 28);
}

function unpack(stored: StoredType, dtype: DType, bytes: Uint8Array, length: number): TypedArray {
  if (stored === "int4") return unpackInt4(bytes, length);
  if (stored === "bool") return mapInto(new Uint8Array(bytes.length), bytes, (byte) => (byte === 0 ? 0 : 1));
  return fromBytes(dtype, bytes);
}

/** Elements that `bytes` hold: for int4 the last nibble may be padding, so there `wanted` decides. */
function storedLength(stored: StoredType, dtype: DType, bytes: Uint8Array, wanted: number): number {
  if (stored !== "int4") return bytes.length / dtypeBytes(dtype);
  return Math.ceil(wanted / 2) === bytes.length ? wanted : bytes.length * 2;
}

/** The dense contents of a constant tensor from its buffer's bytes. */
export function decodeConstant(file: FlatFile, tensor: Tensor, bytes: Uint8Array): TypedArray {
  const dtype = tensorDType(file, tensor);
  file.spend(bytes.length, tensor.where);
  const wanted = elementCount(tensor.shape);
  if (tensor.sparsity !== null) {
    const length = storedLength(tensor.stored, dtype, bytes, bytes.length * 2);
    if (!Number.isInteger(length)) file.fail(tensor.where, `the tensor's ${bytes.length} bytes are not whole ${dtype} elements`);
    const stored = unpack(tensor.stored, dtype, bytes, length);
    return expandSparse(file, tensor, readSparsity(file, tensor.sparsity, tensor.where), stored, dtype, tensor.stored === "int4");
  }
  const length = storedLength(tensor.stored, dtype, bytes, wanted);
  if (length !== wanted)
    file.fail(tensor.where, `the tensor holds ${bytes.length} bytes, which do not fit ${tensor.stored}[${tensor.shape.join(",")}]`);
  return unpack(tensor.stored, dtype, bytes, length);
}

/** Half precision constants become single precision where the model itself does so. */
export function widenFloat16(data: TypedArray): Float32Array {
  return decodeFloat16(data as Uint16Array);
}
