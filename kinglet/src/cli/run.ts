import type { Command } from "commander";
import { bytesOf, fromBytes } from "../base/index.ts";
import { type Execution, execute, parseVia } from "../driver/index.ts";
import { checkOutputFolder, writeOutputFolder } from "../driver/index.ts";
import { writeNpy } from "../formats/index.ts";
import { formatTable } from "../report/index.ts";
import { count, plain } from "./format.ts";
import { readInputs } from "./inputs.ts";
import { answer, type CommonOptions, type Io, withProgress } from "./io.ts";
import { loadModel, type ShapeOptions, shapeOption } from "./model.ts";

interface RunOptions extends CommonOptions, ShapeOptions {
  readonly input: readonly string[];
  readonly out: string;
  readonly via: string;
  readonly raw?: boolean;
}

function outputFiles(run: Execution, raw: boolean): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  run.compiled.program.outputs.forEach(({ dtype, shape }, i) => {
    const data = fromBytes(dtype, run.outputs[0]![i]!);
    files.set(raw ? `out${i}.bin` : `out${i}.npy`, raw ? bytesOf(data) : writeNpy({ dtype, shape, data }));
  });
  return files;
}

function runText(run: Execution, options: RunOptions, names: readonly string[]): string {
  const rows = run.compiled.program.outputs.map((port, i) => {
    const data = fromBytes(port.dtype, run.outputs[0]![i]!);
    const few = [...data.slice(0, 6)].map((value) => (typeof value === "number" ? Number(value.toPrecision(5)) : value)).join(" ");
    return [names[i]!, port.name, `${port.dtype} [${port.shape.join(",")}]`, data.length > 6 ? `${few} …` : few];
  });
  const table = formatTable([{ title: "File" }, { title: "Tensor", most: 20 }, { title: "Type", most: 22 }, { title: "Values", most: 28 }], rows);
  const counted = run.core === undefined ? "" : `\n${count(run.core.instructions)} instructions, ${count(run.core.stackBytes)} bytes of stack`;
  return `One inference via ${run.via}, written to ${plain(options.out)}\n\n${table}${counted}`;
}

async function run(path: string, options: RunOptions, io: Io): Promise<void> {
  const via = parseVia(options.via);
  const { graph } = await loadModel(path, options);
  const sample = await readInputs(graph, options.input);
  await checkOutputFolder(options.out);
  const result = await withProgress(io, `running via ${via}`, () => execute(graph, via, [sample]));
  const files = outputFiles(result, options.raw === true);
  await writeOutputFolder(options.out, files);
  const names = [...files.keys()];
  const outputs = result.compiled.program.outputs.map(({ name, dtype, shape }, i) => ({ name, dtype, shape, file: names[i] }));
  answer(io, options, { model: path, via, out: options.out, outputs, ...(result.core ?? {}) }, () => runText(result, options, names));
}

export function addRun(program: Command, io: Io): void {
  program
    .command("run")
    .description("Runs one inference and writes its outputs.")
    .argument("<model>", "a .tflite, .onnx or .kinglet file")
    .requiredOption(
      "--input <file...>",
      "a .npy or raw little-endian .bin file for every input, in the graph's order",
      (file: string, before: string[] | undefined) => [...(before ?? []), file],
      [],
    )
    .requiredOption("--out <dir>", "folder for out0.npy, out1.npy …")
    .option("--via <way>", "js, wasm, wasm-scalar, c, plain, or an emulated core:\ncortex-m0, m3, m4, m7, m33, m55, rv32", "js")
    .option("--raw", "write raw little-endian .bin files instead of .npy")
    .addOption(shapeOption())
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      "\nExamples:\n  kinglet run model.tflite --input in0.npy --out out/\n  kinglet run model.tflite --input in0.bin --out out/ --via cortex-m4 --raw",
    )
    .action((path: string, options: RunOptions) => run(path, options, io));
}
