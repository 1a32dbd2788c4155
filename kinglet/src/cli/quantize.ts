import { join } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { KingletError } from "../base/index.ts";
import { REMEDIES, type Sample } from "../driver/index.ts";
import type { Graph } from "../graph/index.ts";
import { CALIBRATION_METHODS } from "../passes/index.ts";
import { positive } from "./arguments.ts";
import { readCalibration } from "./calibration.ts";
import { bytes, plain, wrapText } from "./format.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import { loadModel, type ShapeOptions, shapeOption } from "./model.ts";
import { checkModelFile, writeModelFile } from "./model-file.ts";
import { constantBytes } from "./judge.ts";
import { floatFile, QUANTIZED_FILE } from "./project-files.ts";
import { checkTrained, projectCalibration } from "./project-model.ts";
import { type AskedRemedy, type Quantized, quantizeModel, type QuantizeSettings } from "./quantization.ts";
import { explainQuantization, keptText, qualityText } from "./quantize-text.ts";

interface QuantizeCliOptions extends CommonOptions, ShapeOptions, QuantizeSettings {
  readonly calibrate?: string;
  readonly out?: string;
  readonly samples: number;
}

function remedyList(text: string): AskedRemedy[] {
  const names = text.split(",").map((name) => name.trim());
  const known: readonly string[] = REMEDIES.filter((remedy) => remedy !== "per-axis" && remedy !== "int16");
  const wrong = names.find((name) => !known.includes(name));
  if (wrong !== undefined) throw new InvalidArgumentError(`"${wrong}" is none of ${known.join(", ")}.`);
  return names as AskedRemedy[];
}

function percent(text: string): number {
  const value = Number(text);
  if (!(value > 50 && value <= 100)) throw new InvalidArgumentError("Give a number of per cent above 50, as 99.9.");
  return value;
}

function checkOptions(options: QuantizeCliOptions): void {
  if (options.out === undefined && options.explain !== true)
    throw new KingletError("misuse", "name the file to write with --out, or ask for --explain");
  if (options.weights === "float16" && options.activations !== "float")
    throw new KingletError("misuse", "weights of half precision go with --activations float");
  if (options.activations === "float" && options.explain === true) throw new KingletError("misuse", "--explain needs integer activations");
  if (options.activations !== "float" && options.calibrate === undefined)
    throw new KingletError("misuse", "integer activations need samples: name them with --calibrate", {
      hint: "--activations float needs none: weights alone become smaller.",
    });
}

/** What a reader of the result must know about how weights are stored. */
function storageNote(options: QuantizeCliOptions): string[] {
  if (options.weights === "int4")
    return [wrapText("4-bit weights take half a byte in a .kinglet file; compiled code keeps each in a byte, for want of a packed kernel.")];
  if (options.weights === "float16")
    return [wrapText("Half-precision weights take two bytes in the file; compiled code keeps them in single precision.")];
  return [];
}

/** Layers that have 16 bits where the others have 8. */
function wideText({ model }: Quantized): string[] {
  const wide = model?.layers.filter(({ domain }) => domain === "int16") ?? [];
  if (wide.length === 0 || wide.length === model?.layers.length) return [];
  return [wrapText(plain(`16-bit activations in ${wide.map(({ source }) => source.name).join(", ")}`, 400))];
}

function resultText(
  path: string,
  made: Quantized,
  before: number,
  after: number,
  fileBytes: number | undefined,
  options: QuantizeCliOptions,
): string {
  const types = `${options.weights} weights, ${options.activations} activations, ${options.activations === "float" ? "float" : options.io} inputs and outputs`;
  const lines = [
    `${plain(path)}: ${types}`,
    "",
    `  weights      ${bytes(after)} (${((after / before) * 100).toFixed(1)} % of ${bytes(before)})`,
    ...(made.quality === undefined
      ? []
      : [wrapText(`outputs: ${qualityText(made.quality, made.samples)}`)].map((line) => `  ${line.replaceAll("\n", "\n  ")}`)),
    ...(fileBytes === undefined ? [] : [`  written to   ${plain(options.out ?? "")}, ${bytes(fileBytes)}`]),
    ...wideText(made),
    ...storageNote(options),
    ...(made.model === undefined ? [] : keptText(made.model)),
  ];
  return [...(made.diagnosis === undefined ? [] : [explainQuantization(made.diagnosis), ""]), ...lines].join("\n");
}

/** JSON has no infinities: an exact layer has no ratio. */
function finite(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? null : value;
}

function resultJson(
  path: string,
  made: Quantized,
  before: number,
  after: number,
  fileBytes: number | undefined,
  options: QuantizeCliOptions,
): unknown {
  const found = made.diagnosis;
  const json = {
    model: path,
    out: options.out ?? null,
    samples: made.samples,
    weights: options.weights,
    activations: options.activations,
    weightBytesBefore: before,
    weightBytes: after,
    fileBytes: fileBytes ?? null,
    weightsPacked: options.weights === "int4" ? false : null,
    outputs: made.quality ?? null,
    float: made.model?.kept.map(({ source, why }) => ({ name: source.name, op: source.op, why })) ?? [],
    ...(found === undefined
      ? {}
      : {
          start: found.start,
          worst: found.worst?.name ?? null,
          layers: found.layers,
          remedies: found.remedies,
          final: found.final,
          finalLayers: found.finalLayers,
        }),
  };
  return JSON.parse(JSON.stringify(json, finite));
}

/** Without a model it is the project's, and so are the place of the result and the samples. */
async function withProject(model: string | undefined, options: QuantizeCliOptions, io: Io): Promise<[path: string, options: QuantizeCliOptions]> {
  if (model !== undefined) return [model, options];
  const folder = io.folder ?? ".";
  await checkTrained(folder);
  return [join(folder, await floatFile(folder)), { out: join(folder, QUANTIZED_FILE), calibrate: folder, ...options }];
}

async function calibrationOf(given: string | undefined, graph: Graph, options: QuantizeCliOptions, io: Io): Promise<Sample[]> {
  if (options.activations === "float") return [];
  const ofProject = given === undefined && options.calibrate === (io.folder ?? ".");
  return ofProject
    ? await projectCalibration(options.calibrate!, graph, options.samples)
    : await readCalibration(options.calibrate!, graph, options.samples);
}

async function quantize(given: string | undefined, asked: QuantizeCliOptions, io: Io): Promise<void> {
  const [path, options] = await withProject(given, asked, io);
  checkOptions(options);
  const { graph } = await loadModel(path, options);
  if (options.out !== undefined) await checkModelFile(options.out);
  const samples = await calibrationOf(given, graph, options, io);
  const made = quantizeModel(graph, samples, options, io);
  const [before, after] = [constantBytes(graph), constantBytes(made.graph)];
  const fileBytes = options.out === undefined ? undefined : await writeModelFile(options.out, made.graph);
  answer(io, options, resultJson(path, made, before, after, fileBytes, options), () => resultText(path, made, before, after, fileBytes, options));
}

export function addQuantize(program: Command, io: Io): void {
  program
    .command("quantize")
    .description("Makes an integer network of a floating-point one, and says what that costs.")
    .argument("[model]", "a .tflite, .onnx or .kinglet file with floating-point layers (default: the project's)")
    .option("--calibrate <path>", "real samples: a .npy or .bin file, or a folder of them (default: the project's training part)")
    .option("--out <file>", `the model file to write, .kinglet, .tflite or .onnx (default in a project: ${QUANTIZED_FILE})`)
    .option("--samples <n>", "use at most so many samples", positive, 200)
    .addOption(new Option("--method <name>", "how ranges are chosen").choices(CALIBRATION_METHODS).default("minmax"))
    .option("--percentile <p>", "for that method, per cent of the elements to hold (default 99.99)", percent)
    .addOption(new Option("--weights <type>", "element type of weights").choices(["int8", "int4", "float16"]).default("int8"))
    .addOption(new Option("--activations <type>", "float: weights alone (dynamic range)").choices(["int8", "int16", "float"]).default("int8"))
    .addOption(new Option("--io <type>", "element type of inputs and outputs").choices(["float", "int8", "int16"]).default("float"))
    .option("--per-tensor", "one scale for all weights of a layer")
    .option("--remedy <a,b,...>", "equalize, absorb-bias, tune (short quantization-aware training), correct-bias, adaround", remedyList)
    .option("--int16 <layer...>", "16 bits for the outputs of these layers")
    .option("--explain", "measure every layer, try all remedies in order of cost, keep what helps")
    .addOption(shapeOption())
    .option("--json", "one JSON document on stdout, with every channel's figures")
    .addHelpText(
      "after",
      "\nExamples:\n  kinglet quantize\n  kinglet quantize float.tflite --calibrate samples.npy --io int8 --out q.kinglet\n  kinglet quantize float.tflite --calibrate samples/ --explain\n  kinglet quantize float.tflite --activations float --out dynamic.kinglet",
    )
    .action((path: string | undefined, options: QuantizeCliOptions) => quantize(path, options, io));
}
