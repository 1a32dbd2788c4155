import { elementCount } from "../../base/index.ts";
import { type MilConstant, readMilConstants } from "./coreml-schema.ts";
import { checkCount, checkShape, decodeFloats, refuseWeights, type Weights, type WeightTensor } from "./tensors.ts";

/** The files of a package that matter here. */
export const MLPACKAGE_MODEL = "Data/com.apple.CoreML/model.mlmodel";
export const MLPACKAGE_WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin";

/** Element types of MIL, by their numbers. */
const DTYPES: ReadonlyMap<number, string> = new Map([
  [1, "bool"],
  [2, "string"],
  [10, "float16"],
  [11, "float32"],
  [12, "float64"],
  [13, "bfloat16"],
  [21, "int8"],
  [22, "int16"],
  [23, "int32"],
  [24, "int64"],
  [31, "uint8"],
  [32, "uint16"],
]);

/** A record of a blob: sentinel, type, bytes and place of the contents. */
const SENTINEL = 0xdeadbeef;
const RECORD = { bytes: 64, sizeAt: 8, dataAt: 16 } as const;

function blob(file: Uint8Array, at: number, place: string): Uint8Array {
  if (at + RECORD.bytes > file.length) return refuseWeights(place, `its blob at byte ${at} lies beyond the ${file.length} of the weights' file`);
  const view = new DataView(file.buffer, file.byteOffset + at, RECORD.bytes);
  if (view.getUint32(0, true) !== SENTINEL) return refuseWeights(place, `there is no blob at byte ${at} of the weights' file`);
  const [size, start] = [Number(view.getBigUint64(RECORD.sizeAt, true)), Number(view.getBigUint64(RECORD.dataAt, true))];
  if (start + size > file.length) return refuseWeights(place, `its contents lie beyond the ${file.length} bytes of the weights' file`);
  return file.subarray(start, start + size);
}

function tensorOf({ name, dtype: code, shape: dims, blobAt, floats }: MilConstant, file: Uint8Array, at: string): WeightTensor {
  const place = `${at}, constant "${name.slice(0, 80)}"`;
  const shape = checkShape(dims, place);
  const dtype = DTYPES.get(code) ?? `type ${code}`;
  const data = blobAt === null ? floats : decodeFloats(dtype, blob(file, blobAt, place));
  if (data !== null && data.length !== elementCount(shape)) refuseWeights(place, `${data.length} elements do not fit [${shape.join(",")}]`);
  return { name, dtype, shape, data };
}

/**
 * Weights of a Core ML package (`.mlpackage`): constants of its program in their order, those in its file of blobs and the short ones
 * of single precision beside them. `file` gives the files of the package by their paths.
 * @throws KingletError `bad-file`
 */
export function readMlpackage(file: (path: string) => Uint8Array | undefined, place: string): Weights {
  const model = file(MLPACKAGE_MODEL) ?? refuseWeights(place, `the package has no ${MLPACKAGE_MODEL}`);
  const weights = file(MLPACKAGE_WEIGHTS) ?? new Uint8Array(0);
  const constants = readMilConstants(model, place).filter(({ blobAt, floats, shape }) => blobAt !== null || (floats !== null && shape.length > 0));
  checkCount(constants.length, place);
  // Constants that name one blob again and again would multiply a small file.
  let budget = 8 * (model.length + weights.length);
  const tensors = constants.map((constant) => {
    const tensor = tensorOf(constant, weights, place);
    budget -= 4 * (tensor.data?.length ?? 0);
    return budget < 0 ? refuseWeights(place, "the constants hold far more than the file") : tensor;
  });
  return { format: "Core ML package", layout: "pytorch", inOrder: true, tensors };
}
