import { readFile, stat } from "node:fs/promises";
import { extname } from "node:path";
import { bytesOf, dtypeBytes, elementCount, KingletError, sameShape, shapeText } from "../base/index.ts";
import { readNpy } from "../formats/index.ts";
import type { Graph, Value } from "../graph/index.ts";

function named(value: Value, index: number): string {
  return `input ${index} "${value.name}" is ${value.dtype} ${shapeText(value.shape)}`;
}

function fromNpy(file: Uint8Array, path: string, value: Value, index: number): Uint8Array {
  const array = readNpy(file, path);
  const fits = array.dtype === value.dtype && sameShape(array.shape, value.shape);
  if (!fits)
    throw new KingletError("bad-input", `${named(value, index)}, and the file holds ${array.dtype} ${shapeText(array.shape)}`, {
      place: path,
      hint: `Convert it with array.astype("${value.dtype}").reshape(${value.shape.join(", ")}) in NumPy.`,
    });
  return bytesOf(array.data);
}

function fromRaw(file: Uint8Array, path: string, value: Value, index: number): Uint8Array {
  const needed = elementCount(value.shape) * dtypeBytes(value.dtype);
  if (file.length !== needed)
    throw new KingletError("bad-input", `${named(value, index)} and needs ${needed} bytes; the file has ${file.length}`, { place: path });
  return file;
}

/** Reads one tensor from a .npy or a raw little-endian .bin file. @throws KingletError that names the tensor. */
export async function readTensor(path: string, value: Value, index: number): Promise<Uint8Array> {
  // Reading a folder fails without naming it.
  if ((await stat(path)).isDirectory()) throw new KingletError("bad-input", `${named(value, index)}, and this is a folder`, { place: path });
  const file = await readFile(path);
  return extname(path).toLowerCase() === ".npy" ? fromNpy(file, path, value, index) : fromRaw(file, path, value, index);
}

/** The input tensors of one inference from files in the graph's order. */
export async function readInputs(graph: Graph, paths: readonly string[]): Promise<Uint8Array[]> {
  if (paths.length !== graph.inputs.length) {
    const list = graph.inputs.map((value) => `${value.name} ${value.dtype} ${shapeText(value.shape)}`).join(", ");
    throw new KingletError("misuse", `the network has ${graph.inputs.length} inputs, and --input names ${paths.length} files`, {
      hint: `Inputs in order: ${list}.`,
    });
  }
  return await Promise.all(paths.map((path, i) => readTensor(path, graph.inputs[i]!, i)));
}
