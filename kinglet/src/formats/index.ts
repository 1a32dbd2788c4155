import { KingletError } from "../base/index.ts";
import type { Graph } from "../graph/index.ts";
import { isTflite, readTflite } from "./tflite/index.ts";

export { type NpyArray, readNpy, writeNpy } from "./npy.ts";
export { readTflite } from "./tflite/index.ts";

/**
 * Reads a model of any format Kinglet knows, told by its contents. `name` is used in messages.
 * @throws KingletError `bad-file` or `unsupported`.
 */
export function readModel(bytes: Uint8Array, name: string): Graph {
  if (isTflite(bytes)) return readTflite(bytes, name);
  throw new KingletError("bad-file", `the file of ${bytes.length} bytes is not a model that Kinglet can read`, {
    place: name,
    hint: "A TensorFlow Lite model (.tflite) is expected: it carries TFL3 in its bytes 4 to 7.",
  });
}
