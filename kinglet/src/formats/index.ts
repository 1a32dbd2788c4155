import { KingletError } from "../base/index.ts";
import type { Graph } from "../graph/index.ts";
import { isKinglet, readKinglet } from "./kinglet/index.ts";
import { isTflite, readTflite } from "./tflite/index.ts";

export { crc32, isKinglet, readKinglet, writeKinglet } from "./kinglet/index.ts";
export { type NpyArray, readNpy, writeNpy } from "./npy.ts";
export { readTflite } from "./tflite/index.ts";

/**
 * Reads a model of any format Kinglet knows, told by its contents. `name` is used in messages.
 * @throws KingletError `bad-file` or `unsupported`.
 */
export function readModel(bytes: Uint8Array, name: string): Graph {
  if (isTflite(bytes)) return readTflite(bytes, name);
  if (isKinglet(bytes)) return readKinglet(bytes, name);
  throw new KingletError("bad-file", `the file of ${bytes.length} bytes is not a model that Kinglet can read`, {
    place: name,
    hint: "Expected is a TensorFlow Lite model (.tflite: TFL3 in its bytes 4 to 7) or one of Kinglet's own (.kinglet).",
  });
}
