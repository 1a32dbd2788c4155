import { KingletError } from "../base/index.ts";
import type { Graph } from "../graph/index.ts";
import { isKinglet, readKinglet, writeKinglet } from "./kinglet/index.ts";
import { isOnnx, type OnnxOptions, type OnnxWriteOptions, readOnnx, writeOnnx } from "./onnx/index.ts";
import { isTflite, readTflite, writeTflite } from "./tflite/index.ts";

/** A format of model files. */
export interface ModelFormat {
  /** What people call it. */
  readonly name: string;
  /** With its dot, in small letters. */
  readonly extension: string;
  /** Whether a file is of this format, by its first 64 bytes. */
  readonly is: (head: Uint8Array) => boolean;
  /** `name` is used in messages; `options` are for formats that leave something open. @throws KingletError `bad-file` or `unsupported` */
  readonly read: (bytes: Uint8Array, name: string, options: OnnxOptions) => Graph;
  /** `options` are for formats that have several versions. @throws KingletError `unsupported` that names every node that the format cannot express */
  readonly write: (graph: Graph, options?: OnnxWriteOptions) => Uint8Array;
}

/** Every format that Kinglet knows: a new one becomes known to all commands here. */
const MODEL_FORMATS: readonly ModelFormat[] = [
  { name: "TensorFlow Lite", extension: ".tflite", is: isTflite, read: readTflite, write: writeTflite },
  { name: "Kinglet", extension: ".kinglet", is: isKinglet, read: readKinglet, write: writeKinglet },
  // An ONNX file has no mark of its own, so it is asked last.
  { name: "ONNX", extension: ".onnx", is: isOnnx, read: readOnnx, write: writeOnnx },
];

const listed = (): string => MODEL_FORMATS.map(({ name, extension }) => `${extension} (${name})`).join(", ");

/**
 * Reads a model of any format Kinglet knows, told by its contents. `name` is used in messages; `options` are for ONNX.
 * @throws KingletError `bad-file` or `unsupported`.
 */
export function readModel(bytes: Uint8Array, name: string, options: OnnxOptions = {}): Graph {
  const format = MODEL_FORMATS.find(({ is }) => is(bytes));
  if (format !== undefined) return format.read(bytes, name, options);
  throw new KingletError("bad-file", `the file of ${bytes.length} bytes is not a model that Kinglet can read`, {
    place: name,
    hint: `Expected is a model file: ${listed()}.`,
  });
}

/** The format that a name asks for, of a file that is to be written. @throws KingletError `misuse` for an extension that no such format has */
export function formatFor(path: string): ModelFormat {
  const found = MODEL_FORMATS.find(({ extension }) => path.toLowerCase().endsWith(extension));
  if (found !== undefined) return found;
  throw new KingletError("misuse", "the extension says what to write, and this one is none of a model format", {
    place: path,
    hint: `Possible are ${listed()}.`,
  });
}
