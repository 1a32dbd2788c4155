import { readdir, readFile, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { bytesOf, type DType, dtypeBytes, elementCount, fromBytes, KingletError, sameShape, shapeText, type TypedArray } from "../base/index.ts";
import type { Sample } from "../driver/index.ts";
import { readNpy } from "../formats/index.ts";
import type { Graph, Value } from "../graph/index.ts";

function describe(value: Value): string {
  return `the input "${value.name}" is ${value.dtype} ${shapeText(value.shape)}`;
}

/** Whole numbers and doubles become the floats that a floating-point input takes; other types must fit as they are. */
function asType(data: TypedArray, from: DType, value: Value, path: string): Uint8Array {
  if (from === value.dtype) return bytesOf(data);
  if (value.dtype === "float32" && from !== "float16") return bytesOf(Float32Array.from(data as Float64Array, Number));
  throw new KingletError("bad-input", `${describe(value)}, and the file holds ${from}`, { place: path });
}

/** How many samples of a value an array holds: one of its very shape, or several along a first dimension. */
function samplesIn(shape: readonly number[], value: Value, path: string): number {
  if (sameShape(shape, value.shape)) return 1;
  const batch = value.shape[0] === 1 ? value.shape.slice(1) : value.shape;
  if (shape.length > 0 && shape[0]! > 0 && (sameShape(shape.slice(1), value.shape) || sameShape(shape.slice(1), batch))) return shape[0]!;
  throw new KingletError("bad-input", `${describe(value)}, and the file holds an array ${shapeText(shape)}`, {
    place: path,
    hint: "Expected is one sample, or several along a new first dimension.",
  });
}

function cut(bytes: Uint8Array, count: number): Uint8Array[] {
  const each = bytes.length / count;
  return Array.from({ length: count }, (_, i) => bytes.slice(i * each, (i + 1) * each));
}

/** The samples of one input in a .npy or raw little-endian .bin file. */
async function readSamples(path: string, value: Value): Promise<Uint8Array[]> {
  const file = await readFile(path);
  if (extname(path).toLowerCase() === ".npy") {
    const array = readNpy(file, path);
    return cut(asType(array.data, array.dtype, value, path), samplesIn(array.shape, value, path));
  }
  const each = elementCount(value.shape) * dtypeBytes(value.dtype);
  if (file.length === 0 || file.length % each !== 0)
    throw new KingletError("bad-input", `${describe(value)} and needs ${each} bytes for each sample; the file has ${file.length}`, { place: path });
  return cut(bytesOf(fromBytes("uint8", file)), file.length / each);
}

const natural = new Intl.Collator("en", { numeric: true });

/** Files of a folder by input: inK_0, inK_1 … where the network has several inputs, all arrays where it has one. */
async function filesOf(folder: string, graph: Graph): Promise<string[][]> {
  const files = (await readdir(folder)).filter((file) => /\.(npy|bin)$/i.test(file)).sort(natural.compare);
  if (graph.inputs.length === 1) {
    // A folder of stored cases holds their outputs, too.
    const cases = files.filter((file) => /^in\d+(_0)?\.(npy|bin)$/i.test(file));
    return [(cases.length > 0 ? cases : files).map((file) => join(folder, file))];
  }
  return graph.inputs.map((_, i) =>
    files.filter((file) => new RegExp(`^in\\d*_${i}\\.(npy|bin)$`, "i").test(file)).map((file) => join(folder, file)),
  );
}

function checkFinite(sample: Sample, graph: Graph, index: number): void {
  graph.inputs.forEach((value, i) => {
    if (value.dtype !== "float32") return;
    const bad = (fromBytes("float32", sample[i]!) as Float32Array).find((x) => !Number.isFinite(x));
    if (bad !== undefined) throw new KingletError("bad-input", `sample ${index + 1} holds ${bad} in the input "${value.name}"`);
  });
}

/**
 * Calibration samples: a .npy or .bin file, or a folder of them in the order of their numbers, each with one sample or
 * several along the first dimension. A network with several inputs takes a folder of in1_0, in1_1, in2_0 ….
 * @throws KingletError `bad-input` that names the file
 */
export async function readCalibration(path: string, graph: Graph, limit: number): Promise<Sample[]> {
  const isFolder = (await stat(path)).isDirectory();
  if (!isFolder && graph.inputs.length !== 1)
    throw new KingletError("misuse", `the network has ${graph.inputs.length} inputs: give a folder of in1_0.npy, in1_1.npy, in2_0.npy …`);
  const files = isFolder ? await filesOf(path, graph) : [[path]];
  const columns: Uint8Array[][] = [];
  for (const [i, list] of files.entries()) {
    const column: Uint8Array[] = [];
    for (const file of list) if (column.length < limit) column.push(...(await readSamples(file, graph.inputs[i]!)));
    columns.push(column.slice(0, limit));
  }
  const count = columns[0]?.length ?? 0;
  if (count === 0) throw new KingletError("bad-input", "there are no .npy or .bin files with samples", { place: path });
  if (columns.some((column) => column.length !== count))
    throw new KingletError("bad-input", "the inputs have different numbers of samples", { place: path });
  const samples = Array.from({ length: count }, (_, k) => columns.map((column) => column[k]!));
  samples.forEach((sample, k) => {
    checkFinite(sample, graph, k);
  });
  return samples;
}
