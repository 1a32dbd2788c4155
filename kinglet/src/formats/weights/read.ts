import { KingletError } from "../../base/index.ts";
import { isKinglet } from "../kinglet/index.ts";
import { unzipWanted } from "../unzip.ts";
import { MLPACKAGE_MODEL, MLPACKAGE_WEIGHTS, readMlpackage } from "./coreml.ts";
import { isHdf5 } from "./hdf5.ts";
import { KERAS_CONFIG, KERAS_WEIGHTS, readKeras, readKerasHdf5 } from "./keras.ts";
import { isSafetensors, readSafetensors } from "./safetensors.ts";
import { refuseWeights, type Weights } from "./tensors.ts";

const ZIP = [0x50, 0x4b, 3, 4];
const isZip = (bytes: Uint8Array): boolean => ZIP.every((byte, i) => bytes[i] === byte) && !isKinglet(bytes);

/** Whether a file may be one of weights without a network, by its first 64 bytes. */
export function isWeights(head: Uint8Array): boolean {
  return isSafetensors(head) || isHdf5(head) || isZip(head);
}

/** Most bytes of the files inside a zip that are looked at. */
const MOST: ReadonlyMap<string, number> = new Map([
  [KERAS_WEIGHTS, 2 ** 31 - 1],
  [KERAS_CONFIG, 2 ** 26],
  [MLPACKAGE_MODEL, 2 ** 26],
  [MLPACKAGE_WEIGHTS, 2 ** 31 - 1],
]);

/** A package lies in a zip with its own folder or without it. */
const inPackage = (path: string): string => path.replace(/^[^/]+\.mlpackage\//, "");

async function readZipped(bytes: Uint8Array, name: string): Promise<Weights> {
  const files = unzipWanted(
    bytes,
    (path) => MOST.get(inPackage(path)) ?? 0,
    (where, message) => refuseWeights(where === "" ? name : `${name}/${where}`, message),
  );
  const found = new Map(Object.entries(files).map(([path, file]) => [inPackage(path), file]));
  const [weights, config] = [found.get(KERAS_WEIGHTS), found.get(KERAS_CONFIG)];
  if (weights !== undefined && config !== undefined) return await readKeras({ weights, config }, name);
  if (found.has(MLPACKAGE_MODEL)) return readMlpackage((path) => found.get(path), name);
  return refuseWeights(name, "the zip archive is neither a Keras model nor a Core ML package");
}

/**
 * The named tensors of a file: .safetensors, Keras' .h5, .weights.h5 and .keras, or a zipped .mlpackage, told by its contents. Half,
 * bfloat16 and double precision become single precision; what is not floating-point has no `data`. `name` is used in messages.
 * @throws KingletError `bad-file`
 */
export async function readWeights(bytes: Uint8Array, name: string): Promise<Weights> {
  if (isHdf5(bytes)) return await readKerasHdf5(bytes, name);
  if (isZip(bytes)) return await readZipped(bytes, name);
  if (isSafetensors(bytes)) return readSafetensors(bytes, name);
  throw new KingletError("bad-file", `the file of ${bytes.length} bytes does not hold weights that Kinglet can read`, {
    place: name,
    hint: "Expected is .safetensors, or Keras' .h5, .weights.h5 or .keras, or a zipped .mlpackage.",
  });
}
