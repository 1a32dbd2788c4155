import { createHash } from "node:crypto";
import { readFileSync, realpathSync, statSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname, extname, isAbsolute, join, sep } from "node:path";
import { InvalidArgumentError, Option } from "commander";
import { KingletError, type Shape } from "../base/index.ts";
import { readModel, writeKinglet } from "../formats/index.ts";
import type { Graph } from "../graph/index.ts";

/** No model for these machines comes near; a FlatBuffer's offsets end here too. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;

export interface LoadedModel {
  readonly graph: Graph;
  readonly path: string;
  readonly bytes: number;
}

/** Shapes of inputs by name, for models that leave them open. */
export interface ShapeOptions {
  readonly shape?: ReadonlyMap<string, Shape>;
}

/** `--shape NAME=1x3x224x224`, as often as there are open inputs. */
export function shapeOption(): Option {
  return new Option("--shape <name=dims>", "shape of an input that an ONNX model leaves open, as x=1x3x224x224; may be given again").argParser(
    (text: string, before: ReadonlyMap<string, Shape> | undefined): ReadonlyMap<string, Shape> => {
      const parts = /^(.+)=(\d+(?:x\d+)*)$/.exec(text);
      const shape = (parts?.[2] ?? "0").split("x").map(Number);
      if (parts === null || shape.some((dim) => dim < 1)) throw new InvalidArgumentError("It is the input's name and its shape, as x=1x3x224x224.");
      return new Map([...(before ?? []), [parts[1]!, shape]]);
    },
  );
}

/** Reads tensors that lie in files beside a model; nothing outside of the model's folder is opened. */
function filesBeside(path: string): (location: string, place: string) => Uint8Array {
  const known = new Map<string, Uint8Array>();
  return (location, place) => {
    const refuse = (message: string): never => {
      throw new KingletError("bad-file", message, { place, hint: "Tensors of a model lie in files in its own folder." });
    };
    if (location === "" || isAbsolute(location) || location.split(/[\\/]/).includes("..") || location.includes("\0"))
      return refuse(`the tensor's file "${location}" does not lie in the model's folder`);
    const found = known.get(location);
    if (found !== undefined) return found;
    const folder = realpathSync(dirname(path));
    const info = statSync(join(folder, location), { throwIfNoEntry: false });
    if (info === undefined || !info.isFile()) return refuse(`the tensor's file "${location}" is missing`);
    const real = realpathSync(join(folder, location));
    if (!real.startsWith(folder.endsWith(sep) ? folder : folder + sep))
      return refuse(`the tensor's file "${location}" does not lie in the model's folder`);
    if (info.size > MAX_MODEL_BYTES) return refuse(`the tensor's file "${location}" of ${info.size} bytes is too large`);
    const bytes = readFileSync(real);
    known.set(location, bytes);
    return bytes;
  };
}

/** Reads a model; the graph is named after the file, without its folders and extension. */
export async function loadModel(path: string, { shape }: ShapeOptions = {}): Promise<LoadedModel> {
  const info = await stat(path);
  if (info.isDirectory()) throw new KingletError("bad-file", "this is a folder, and a model file is expected", { place: path });
  if (info.size > MAX_MODEL_BYTES) throw new KingletError("bad-file", `the file of ${info.size} bytes is too large to be a model`, { place: path });
  // The other way to read a file joins pieces: twice the memory, for a model of a hundred megabytes.
  const bytes = readFileSync(path);
  const graph = readModel(bytes, path, { shapeOf: (input) => shape?.get(input), files: filesBeside(path) });
  const unknown = [...(shape?.keys() ?? [])].find((name) => !graph.inputs.some((input) => input.name === name));
  if (unknown !== undefined)
    throw new KingletError("misuse", `--shape names "${unknown}", which is no input`, {
      place: path,
      hint: `Inputs: ${graph.inputs.map((input) => input.name).join(", ")}.`,
    });
  return { graph: { ...graph, name: basename(path, extname(path)) }, path, bytes: bytes.length };
}

/** What tells a network from any other, to the bit. */
export function fingerprint(graph: Graph): string {
  return createHash("sha256").update(writeKinglet(graph)).digest("hex");
}
