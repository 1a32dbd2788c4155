import { join, relative } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { KingletError } from "../base/index.ts";
import { REMEDIES, type Sample } from "../driver/index.ts";
import type { Graph } from "../graph/index.ts";
import { CALIBRATION_METHODS } from "../passes/index.ts";
import { isProject, loadConfig, projectData } from "../project/index.ts";
import { positive } from "./arguments.ts";
import { readCalibration } from "./calibration.ts";
import { bytes, plain, wrapText } from "./format.ts";
import { noiseOf } from "./history.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import { constantBytes } from "./judge.ts";
import { loadModel, type ShapeOptions, shapeOption } from "./model.ts";
import { checkModelFile, writeModelFile } from "./model-file.ts";
import { floatFile, QUANTIZED_FILE } from "./project-files.ts";
import { checkTrained, projectCalibration } from "./project-model.ts";
import { finishStep, judgedJson, stepText } from "./project-step.ts";
import { type AskedRemedy, type Quantized, quantizeModel, type QuantizeSettings } from "./quantization.ts";
import { quantizeAware } from "./quantize-aware.ts";
import { explainQuantization, keptText, qualityText } from "./quantize-text.ts";
import { trainingFlags, type TrainOptions } from "./train.ts";

interface QuantizeCliOptions extends CommonOptions, ShapeOptions, QuantizeSettings, TrainOptions {
  readonly calibrate?: string;
  readonly out?: string;
  readonly samples: number;
  readonly aware?: boolean;
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

/** @throws KingletError `misuse` for options that contradict each other, or that only a project could do without */
function checkOptions(options: QuantizeCliOptions, alone: boolean): void {
  if (alone && options.out === undefined && options.explain !== true)
    throw new KingletError("misuse", "name the file to write with --out, or ask for --explain");
  if (options.weights === "float16" && options.activations !== "float")
    throw new KingletError("misuse", "weights of half precision go with --activations float");
  if (options.activations === "float" && options.explain === true) throw new KingletError("misuse", "--explain needs integer activations");
  if (options.percentile !== undefined && options.method !== "percentile")
    throw new KingletError("misuse", "--percentile goes with --method percentile");
  if (alone && options.activations !== "float" && options.calibrate === undefined)
    throw new KingletError("misuse", "integer activations need samples: name them with --calibrate", {
      hint: "--activations float needs none: weights alone become smaller.",
    });
}

/** @throws KingletError `misuse` for what only training could use */
function checkUntrained(options: QuantizeCliOptions): void {
  const name = (["resume", "epochs", "rate", "seed", "threads"] as const).find((each) => options[each] !== undefined);
  if (name !== undefined) throw new KingletError("misuse", `--${name} goes with --aware`);
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

/** All that is told of a quantized network. */
interface Told {
  readonly path: string;
  readonly out: string | undefined;
  readonly made: Quantized;
  /** Bytes of constants. */
  readonly before: number;
  readonly after: number;
  readonly fileBytes: number | undefined;
}

function toldOf(path: string, out: string | undefined, graph: Graph, made: Quantized, fileBytes: number | undefined): Told {
  return { path, out, made, before: constantBytes(graph), after: constantBytes(made.graph), fileBytes };
}

function resultText({ path, out, made, before, after, fileBytes }: Told, options: QuantizeCliOptions): string {
  const types = `${options.weights} weights, ${options.activations} activations, ${options.activations === "float" ? "float" : options.io} inputs and outputs`;
  const lines = [
    `${plain(path)}: ${types}`,
    "",
    `  weights      ${bytes(after)} (${((after / before) * 100).toFixed(1)} % of ${bytes(before)})`,
    ...(made.quality === undefined
      ? []
      : [wrapText(`outputs: ${qualityText(made.quality, made.samples)}`)].map((line) => `  ${line.replaceAll("\n", "\n  ")}`)),
    ...(fileBytes === undefined ? [] : [`  written to   ${plain(out ?? "")}, ${bytes(fileBytes)}`]),
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

function resultJson({ path, out, made, before, after, fileBytes }: Told, options: QuantizeCliOptions): Record<string, unknown> {
  const found = made.diagnosis;
  const json = {
    model: path,
    out: out ?? null,
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

/** Where samples come from: named ones, or those of the project. */
async function calibrationOf(project: string | null, path: string, graph: Graph, options: QuantizeCliOptions): Promise<Sample[]> {
  if (options.activations === "float") return [];
  if (options.calibrate !== undefined) return await readCalibration(options.calibrate, graph, options.samples);
  return await projectCalibration(project!, { graph, file: relative(project!, path) }, options.samples);
}

/** A network of a project, whose result takes its usual place there: a step of the project. */
async function quantizeInProject(folder: string, path: string, options: QuantizeCliOptions, io: Io): Promise<void> {
  const file = relative(folder, path);
  const { graph } = await loadModel(path, options);
  await checkModelFile(join(folder, QUANTIZED_FILE));
  const made = quantizeModel(graph, await calibrationOf(folder, path, graph, options), options, io);
  const [config, dataset] = [await loadConfig(folder), await projectData(folder)];
  try {
    const details = { step: "quantized", noise: noiseOf(made.layers()) } as const;
    const result = await finishStep({ folder, config, dataset }, { graph: made.graph, file: QUANTIZED_FILE }, [{ graph, file }], details, io);
    const told = toldOf(path, join(folder, QUANTIZED_FILE), graph, made, result.verdicts.at(-1)!.network.fileBytes);
    answer(io, options, { ...resultJson(told, options), judged: judgedJson(result), steps: result.steps }, () =>
      [resultText(told, options), "", stepText(folder, result, "kinglet evaluate, kinglet compile")].join("\n"),
    );
  } finally {
    await dataset.close();
  }
}

async function quantizeFile(path: string, project: string | null, options: QuantizeCliOptions, io: Io): Promise<void> {
  const { graph } = await loadModel(path, options);
  if (options.out !== undefined) await checkModelFile(options.out);
  const made = quantizeModel(graph, await calibrationOf(project, path, graph, options), options, io);
  const fileBytes = options.out === undefined ? undefined : await writeModelFile(options.out, made.graph);
  const told = toldOf(path, options.out, graph, made, fileBytes);
  answer(io, options, resultJson(told, options), () => resultText(told, options));
}

/** In a project the samples and the place of the result are its own, and the model where none is named. */
async function quantize(given: string | undefined, options: QuantizeCliOptions, io: Io): Promise<void> {
  if (options.aware === true) return await quantizeAware(given, options, io);
  checkUntrained(options);
  const folder = io.folder ?? ".";
  if (given === undefined) await checkTrained(folder);
  const project = (await isProject(folder)) ? folder : null;
  checkOptions(options, project === null);
  const path = given ?? join(folder, await floatFile(folder));
  // A named model that is explained stays as it is.
  const explained = given !== undefined && options.explain === true;
  if (project !== null && options.out === undefined && !explained) return await quantizeInProject(project, path, options, io);
  await quantizeFile(path, project, options, io);
}

/** All that can come out, and what helps. */
const FORMS = `
Forms:
  int8            weights with a scale for each output channel; the default
  16x8            --activations int16: 8-bit weights, 16-bit activations
  4-bit weights   --weights int4
  dynamic range   --activations float: 8-bit weights alone, no samples needed
  half precision  --activations float --weights float16

Ranges of activations (--method):
  minmax          the smallest and largest number seen
  moving-average  the same, as a moving average over samples
  percentile      all but a share of the outermost (--percentile 99.9)
  mse             the range with the least mean square error
  entropy         the range that keeps most of the distribution (Kullback-Leibler)

Remedies (--remedy, or let --explain choose):
  equalize        cross-layer equalisation: weights of neighbours share the range
  absorb-bias     large biases move into the next layer
  correct-bias    takes the mean error of each channel off its bias
  adaround        chooses for each weight whether to round it up or down
  tune            short training towards the float network's own answers
`;

export function addQuantize(program: Command, io: Io): void {
  const command = program
    .command("quantize")
    .description("Makes an integer network of a floating-point one, and says what that costs.")
    .argument("[model]", "a .tflite, .onnx or .kinglet file with floating-point layers (default: the one that the project is at)")
    .option("--calibrate <path>", "real samples: a .npy or .bin file, or a folder of them (default: the project's training part)")
    .option("--out <file>", `the model file to write, .kinglet, .tflite or .onnx (default in a project: ${QUANTIZED_FILE})`)
    .option("--samples <n>", "use at most so many samples", positive, 200)
    .addOption(new Option("--method <name>", "how ranges are chosen").choices(CALIBRATION_METHODS).default("minmax"))
    .option("--percentile <p>", "for that method, per cent of the elements to hold (default 99.99)", percent)
    .addOption(new Option("--weights <type>", "element type of weights").choices(["int8", "int4", "float16"]).default("int8"))
    .addOption(
      new Option("--activations <type>", "int16: 16x8; float: weights alone (dynamic range)").choices(["int8", "int16", "float"]).default("int8"),
    )
    .addOption(new Option("--io <type>", "element type of inputs and outputs").choices(["float", "int8", "int16"]).default("float"))
    .option("--per-tensor", "one scale for all weights of a layer")
    .option("--remedy <a,b,...>", "equalize, absorb-bias, correct-bias, adaround, tune: see below", remedyList)
    .option("--int16 <layer...>", "16 bits for the outputs of these layers")
    .option("--explain", "measure every layer, try all remedies in order of cost, keep what helps")
    .option("--aware", "in a project: train on with the rounding of integers in it, then quantize")
    .addOption(shapeOption())
    .option("--json", "one JSON document on stdout, with every channel's figures")
    .addHelpText(
      "after",
      `${FORMS}\nExamples:\n  kinglet quantize\n  kinglet quantize model.federated.kinglet\n  kinglet quantize --aware --epochs 10 --rate 0.0005\n  kinglet quantize float.tflite --calibrate samples.npy --io int8 --out q.kinglet\n  kinglet quantize float.tflite --calibrate samples/ --explain\n  kinglet quantize float.tflite --activations float --out dynamic.kinglet`,
    )
    .action((path: string | undefined, options: QuantizeCliOptions) => quantize(path, options, io));
  trainingFlags(command.optionsGroup("With --aware:"));
}
