import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { KingletError } from "../base/index.ts";
import type { VerifyCase } from "../driver/index.ts";
import type { Graph, Value } from "../graph/index.ts";
import { readTensor } from "./inputs.ts";

/** Where the tensors of one case lie: one each by number, or `null` where a file is absent. */
type Namer = (kind: "in" | "out", index: number) => readonly string[];

/** Spellings of case K: inK.bin, or inK_0.bin, inK_1.bin … where there are several. */
function numbered(k: string): Namer {
  return (kind, index) => [".bin", ".npy"].flatMap((end) => [`${kind}${k}_${index}${end}`, ...(index === 0 ? [`${kind}${k}${end}`] : [])]);
}

/** in0.npy, in1.npy … and out0.npy …: one case, a file a tensor. */
const singleCase: Namer = (kind, index) => [`${kind}${index}.npy`, `${kind}${index}.bin`];

function caseNames(files: ReadonlySet<string>): string[] {
  const numbers = [...files].flatMap((file) => /^in(\d+)(?:_0)?\.(?:bin|npy)$/.exec(file)?.[1] ?? []);
  return [...new Set(numbers)].sort((a, b) => Number(a) - Number(b));
}

async function readCase(folder: string, files: ReadonlySet<string>, name: string, namer: Namer, graph: Graph): Promise<VerifyCase> {
  const read = async (kind: "in" | "out", value: Value, index: number): Promise<Uint8Array | null> => {
    const file = namer(kind, index).find((each) => files.has(each));
    return file === undefined ? null : await readTensor(join(folder, file), value, index);
  };
  const inputs = await Promise.all(graph.inputs.map((value, i) => read("in", value, i)));
  const missing = inputs.indexOf(null);
  if (missing >= 0)
    throw new KingletError("bad-input", `case ${name} has no file for input ${missing} "${graph.inputs[missing]!.name}"`, { place: folder });
  const outputs = await Promise.all(graph.outputs.map((value, i) => read("out", value, i)));
  if (outputs.every((each) => each === null)) throw new KingletError("bad-input", `case ${name} has no outputs to compare with`, { place: folder });
  return { name, inputs: inputs as Uint8Array[], outputs };
}

/**
 * Stored cases of a folder: inK.bin and outK.bin (K = 1, 2 …; several tensors as inK_0.bin …), or one case as
 * in0.npy, in1.npy … and out0.npy ….
 */
export async function readCases(folder: string, graph: Graph): Promise<VerifyCase[]> {
  const files = new Set(await readdir(folder));
  // A 0 without a part number can only be the layout of one case with a file a tensor.
  if (files.has("in0.npy") || files.has("in0.bin")) return [await readCase(folder, files, "0", singleCase, graph)];
  const names = caseNames(files);
  if (names.length === 0)
    throw new KingletError("bad-input", "the folder holds no cases", {
      place: folder,
      hint: "Expected in1.bin and out1.bin (in1_0.bin … for several tensors), or in0.npy and out0.npy.",
    });
  return await Promise.all(names.map((name) => readCase(folder, files, name, numbered(name), graph)));
}
