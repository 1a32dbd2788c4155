import { open } from "node:fs/promises";
import { elementCount, shapeText } from "../base/index.ts";
import { isWeights, type Weights } from "../formats/index.ts";
import { readWeightsFile } from "../project/index.ts";
import { formatTable } from "../report/index.ts";
import { count, plain, plural } from "./format.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";

const HEAD_BYTES = 64;

/** Whether a path leads to weights without a network; a folder can only be a Core ML package. */
async function leadsToWeights(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    if ((await file.stat()).isDirectory()) return path.replace(/\/$/, "").endsWith(".mlpackage");
    const { buffer, bytesRead } = await file.read(new Uint8Array(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return isWeights(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

function weightsText(path: string, { format, tensors }: Weights, numbers: number): string {
  const rows = tensors.map(({ name, dtype, shape }) => [plain(name), plain(dtype), shapeText(shape), count(elementCount(shape))]);
  const columns = [{ title: "Tensor", most: 60 }, { title: "Type" }, { title: "Shape" }, { title: "Numbers", align: "right" as const }];
  return [`${plain(path)}: ${format}, ${plural(tensors.length, "tensor")}, ${plural(numbers, "number")}`, "", formatTable(columns, rows)].join("\n");
}

/** Lists the tensors of a file of weights; false where the path leads to something else. */
export async function inspectWeights(path: string, options: CommonOptions, io: Io): Promise<boolean> {
  if (!(await leadsToWeights(path))) return false;
  const weights = await readWeightsFile(path);
  const { format, layout, tensors } = weights;
  const numbers = tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const json = { file: path, format, layout, numbers, tensors: tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })) };
  answer(io, options, json, () => weightsText(path, weights, numbers));
  return true;
}
