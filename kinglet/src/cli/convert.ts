import { type Command, Option } from "commander";
import { KingletError } from "../base/index.ts";
import { formatFor } from "../formats/index.ts";
import type { Graph } from "../graph/index.ts";
import { foldBatchNorm, layOut } from "../passes/index.ts";
import { positive } from "./arguments.ts";
import { readCalibration } from "./calibration.ts";
import { bytes, plain, plural, wrapText } from "./format.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import { loadModel, shapeOption, type ShapeOptions } from "./model.ts";
import { checkModelFile, writeModelFile } from "./model-file.ts";
import { type Quantized, quantizeModel, type QuantizeSettings } from "./quantization.ts";
import { keptText, qualityText } from "./quantize-text.ts";

/** What `--quantize` can ask for; `kinglet quantize` has everything else. */
const KINDS = {
  int8: { activations: "int8", weights: "int8" },
  int16: { activations: "int16", weights: "int8" },
  weights: { activations: "float", weights: "int8" },
  float16: { activations: "float", weights: "float16" },
} as const satisfies Readonly<Record<string, Pick<QuantizeSettings, "activations" | "weights">>>;

interface ConvertOptions extends CommonOptions, ShapeOptions {
  readonly quantize?: keyof typeof KINDS;
  readonly calibrate?: string;
  readonly samples: number;
  readonly io: QuantizeSettings["io"];
  readonly opset?: number;
}

async function quantized(graph: Graph, { quantize, calibrate, samples, io: types }: ConvertOptions, io: Io): Promise<Quantized | null> {
  if (quantize === undefined) {
    if (calibrate !== undefined) throw new KingletError("misuse", "samples calibrate a quantization: ask for one with --quantize");
    return null;
  }
  const kind = KINDS[quantize];
  if (kind.activations !== "float" && calibrate === undefined)
    throw new KingletError("misuse", "integer activations need samples: name them with --calibrate", {
      hint: "--quantize weights and float16 need none: weights alone become smaller.",
    });
  const given = kind.activations === "float" ? [] : await readCalibration(calibrate!, graph, samples);
  return quantizeModel(graph, given, { ...kind, method: "minmax", io: types }, io);
}

/** Normalizations that training needs are factors of the weights before them in all formats but Kinglet's own; images lie as the format has them. */
function prepared(graph: Graph, out: string): Graph {
  const { name } = formatFor(out);
  return name === "Kinglet" ? graph : foldBatchNorm(name === "ONNX" ? graph : layOut(graph));
}

function checkOpset({ opset }: ConvertOptions, out: string): void {
  if (opset !== undefined && formatFor(out).name !== "ONNX")
    throw new KingletError("misuse", "operator sets are what ONNX has: --opset needs an .onnx file to write", { place: out });
}

async function convert(path: string, out: string, options: ConvertOptions, io: Io): Promise<void> {
  await checkModelFile(out);
  checkOpset(options, out);
  const source = await loadModel(path, options);
  const made = await quantized(source.graph, options, io);
  const graph = prepared(made?.graph ?? source.graph, out);
  const fileBytes = await writeModelFile(out, graph, options);
  const json = { model: path, out, format: formatFor(out).name, nodes: graph.nodes.length, sourceBytes: source.bytes, fileBytes };
  const quality = made?.quality;
  answer(io, options, { ...json, ...(options.quantize === undefined ? {} : { quantize: options.quantize, outputs: quality ?? null }) }, () =>
    [
      `${plain(path)}, ${bytes(source.bytes)}, is now ${plain(out)}, ${bytes(fileBytes)}: ${plural(graph.nodes.length, "node")}`,
      ...(quality === undefined ? [] : [wrapText(`outputs: ${qualityText(quality, made!.samples)}`)]),
      ...(made?.model === undefined ? [] : keptText(made.model)),
    ].join("\n"),
  );
}

export function addConvert(program: Command, io: Io): void {
  program
    .command("convert")
    .description("Writes a model in another format, as the extension says; quantizes it on the way if asked to.")
    .argument("<in>", "a .tflite, .onnx or .kinglet file")
    .argument("<out>", "the file to write: .tflite, .onnx or .kinglet")
    .addOption(
      new Option(
        "--quantize <kind>",
        "int8; int16 activations with int8 weights; weights\nalone in 8 bits (dynamic range) or half precision",
      ).choices(Object.keys(KINDS)),
    )
    .option("--calibrate <path>", "real samples: a .npy or .bin file, or a folder of them")
    .option("--samples <n>", "use at most so many samples", positive, 200)
    .addOption(
      new Option("--io <type>", "element type of a quantized network's inputs and outputs").choices(["float", "int8", "int16"]).default("float"),
    )
    .option("--opset <n>", "operator set of an .onnx file, 13 to 21 (default: the first that suffices)", positive)
    .addOption(shapeOption())
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      "\nWhat a format cannot express is refused once, with every such node named.\n\nExamples:\n  kinglet convert model.kinglet model.tflite\n  kinglet convert model.tflite model.onnx --opset 17\n  kinglet convert float.tflite --quantize int8 --calibrate samples/ int8.tflite",
    )
    .action((path: string, out: string, options: ConvertOptions) => convert(path, out, options, io));
}
