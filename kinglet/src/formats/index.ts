import { KingletError } from "../base/index.ts";
import type { Graph } from "../graph/index.ts";
import { isKinglet, readKinglet } from "./kinglet/index.ts";
import { isOnnx, type OnnxOptions, readOnnx } from "./onnx/index.ts";
import { isTflite, readTflite } from "./tflite/index.ts";

export { crc32, isKinglet, readKinglet, writeKinglet } from "./kinglet/index.ts";
export { type NpyArray, readNpy, writeNpy } from "./npy.ts";
export { type OnnxOptions, readOnnx, readTensorFile } from "./onnx/index.ts";
export { readTflite } from "./tflite/index.ts";

/**
 * Reads a model of any format Kinglet knows, told by its contents. `name` is used in messages; `options` are for ONNX.
 * @throws KingletError `bad-file` or `unsupported`.
 */
export function readModel(bytes: Uint8Array, name: string, options: OnnxOptions = {}): Graph {
  if (isTflite(bytes)) return readTflite(bytes, name);
  if (isKinglet(bytes)) return readKinglet(bytes, name);
  if (isOnnx(bytes)) return readOnnx(bytes, name, options);
  throw new KingletError("bad-file", `the file of ${bytes.length} bytes is not a model that Kinglet can read`, {
    place: name,
    hint: "Expected is a TensorFlow Lite model (.tflite: TFL3 in its bytes 4 to 7), an ONNX model (.onnx) or one of Kinglet's own (.kinglet).",
  });
}
