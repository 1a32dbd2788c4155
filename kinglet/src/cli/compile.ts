import { type Command, InvalidArgumentError, Option } from "commander";
import {
  type Artefact,
  type ArtefactOptions,
  type ArtefactTarget,
  checkOutputFolder,
  type Execution,
  execute,
  makeArtefact,
  outputDifference,
  profileOnCore,
  seededSample,
  writeOutputFolder,
} from "../driver/index.ts";
import { renderReport, reportData } from "../report/index.ts";
import { KingletError } from "../base/index.ts";
import type { Graph } from "../graph/index.ts";
import type { DeviceLearning } from "../train/index.ts";
import type { Optimize } from "../targets/share.ts";
import { memorySize } from "./arguments.ts";
import { bytes, count, plain } from "./format.ts";
import { announceIfLarge, answer, type CommonOptions, type Io, withProgress } from "./io.ts";
import { type LoadedModel, loadModel, type ShapeOptions, shapeOption } from "./model.ts";
import { learningFor, learningText } from "./compile-learning.ts";
import { projectToCompile } from "./project-model.ts";
import { sparseText } from "./project-step.ts";
import { explainText } from "./explain.ts";
import { version } from "./version.ts";

interface CliCompileOptions extends CommonOptions, ShapeOptions {
  readonly target: ArtefactTarget;
  readonly out: string;
  readonly board?: string;
  readonly name?: string;
  readonly optimize: Optimize;
  readonly ram?: number;
  readonly fuse?: boolean;
  readonly streamInput?: boolean;
  readonly trade?: number;
  readonly train?: boolean;
  readonly headOnly?: boolean;
  readonly profile?: boolean;
  readonly explain?: boolean;
}

type AskedOptions = Omit<CliCompileOptions, "target" | "out"> & Partial<Pick<CliCompileOptions, "target" | "out">>;

function reportPage(made: Artefact, path: string, profile: Execution | null): string {
  const runs = profile === null ? [] : [{ via: profile.via, equal: true, execution: profile, note: "one seeded sample, its instructions counted" }];
  const data = reportData(made.compiled, { version: version(), file: path, runs, ...(made.board === null ? {} : { boards: [made.board] }) });
  return renderReport({
    ...data,
    ...(made.codeBytes === null ? {} : { codeBytes: made.codeBytes }),
    ...(made.codeFrom === null ? {} : { codeFrom: made.codeFrom }),
  });
}

function codeText(made: Artefact): string {
  if (made.board?.core === null) return "not measured: there is no emulated core for this processor";
  if (made.codeBytes === null) return "not measured (kinglet doctor tells what is missing)";
  return `${bytes(made.codeBytes)}${made.codeFrom === null ? "" : `, linked for ${made.codeFrom}`}`;
}

function profileText(profile: Execution | null, learning: boolean): string[] {
  if (profile?.core === undefined) return [];
  return [
    `  instructions ${count(profile.core.instructions)} ${learning ? "to infer and learn once" : "an inference"} on the emulated ${profile.via}; outputs equal`,
    "               those of the plain loops",
  ];
}

function profileJson(profile: Execution | null): { readonly instructions?: number; readonly layers?: readonly unknown[] } {
  if (profile?.core === undefined) return {};
  const { steps } = profile.compiled.program;
  const layers = steps.map(({ name, op }, i) => ({ name, op, instructions: profile.core?.stepInstructions?.[i] }));
  return { instructions: profile.core.instructions, layers };
}

const KINDS: Readonly<Record<ArtefactTarget, string>> = { c: "C for any machine", wasm: "WebAssembly", js: "JavaScript" };

function compileText(
  made: Artefact,
  options: CliCompileOptions,
  files: readonly string[],
  profile: Execution | null,
  learning?: DeviceLearning,
): string {
  const { plan, weightBytes, macs } = made.compiled;
  return [
    `${made.id} ${made.board === null ? `as ${KINDS[options.target]}` : `for ${made.board.name}`}, written to ${plain(options.out)}`,
    "",
    `  arena (RAM)  ${bytes(plan.arenaBytes)}${plan.proved ? ", proved minimal for these steps" : ""}`,
    ...(learning === undefined ? [] : learningText(learning)),
    ...planText(made.compiled),
    `  weights      ${bytes(weightBytes)}`,
    `  code         ${codeText(made)}`,
    `  MACs         ${count(macs)}`,
    ...profileText(profile, learning !== undefined),
    "",
    ...sparseText(made.compiled.sparse),
    ...files.map((name) => `  ${name}`),
    ...(options.explain === true ? ["", explainText(made.compiled.program)] : []),
  ].join("\n");
}

/** "macs=1.2": how many times the network's multiply-accumulates a plan may take. */
function tradeOf(text: string): number {
  const match = /^macs=(\d+(?:\.\d+)?)$/.exec(text);
  if (match === null || Number(match[1]) < 1) throw new InvalidArgumentError("Give a factor of at least 1, as in macs=1.2.");
  return Number(match[1]);
}

function memoryOptions({ ram, fuse, streamInput, trade }: CliCompileOptions): Pick<ArtefactOptions, "ram" | "fuse" | "streamInput" | "trade"> {
  return {
    ...(ram === undefined ? {} : { ram }),
    ...(fuse === undefined ? {} : { fuse }),
    ...(streamInput === undefined ? {} : { streamInput }),
    ...(trade === undefined ? {} : { trade }),
  };
}

/** How the plan uses memory, where that is not by whole images. */
function planText({ program, macs, extraMacs }: Artefact["compiled"]): string[] {
  const stages = program.stages ?? [];
  if (stages.length === 0) return [];
  const streamed = stages.some(({ position }) => position !== undefined);
  const what = stages.length === 1 ? "1 stage" : `${stages.length} stages`;
  const again = extraMacs === 0 ? "nothing is computed twice" : `${((macs / (macs - extraMacs) - 1) * 100).toFixed(1)} % is computed again`;
  return [`  plan         by rows in ${what}${streamed ? ", the input comes row by row" : ""}; ${again}`];
}

async function build(graph: Graph, options: CliCompileOptions, learning?: DeviceLearning): Promise<Artefact> {
  return await makeArtefact(graph, {
    target: options.target,
    ...(learning === undefined ? {} : { learnsAfter: learning.learnsAfter }),
    optimize: options.optimize,
    ...(options.board === undefined ? {} : { board: options.board }),
    ...(options.name === undefined ? {} : { id: options.name }),
    ...memoryOptions(options),
  });
}

/**
 * Instructions of each layer, from one seeded inference on the emulated core that the code was linked for.
 * @throws KingletError `check-failed` where it computes anything else than the plain loops: such code is not handed out.
 */
async function profileOf(model: Pick<LoadedModel, "graph" | "path">, made: Artefact, options: CliCompileOptions): Promise<Execution | null> {
  if (options.profile !== true) return null;
  const core = made.board?.core ?? null;
  if (core === null) throw new KingletError("misuse", "--profile needs --target c and a --board whose processor can be emulated");
  const sample = seededSample(model.graph, 1);
  const run = await profileOnCore(model.graph, core, sample, { optimize: options.optimize, ...memoryOptions(options) });
  const difference = outputDifference(run, (await execute(model.graph, "plain", [sample])).outputs, () => "the profiled sample");
  if (difference === undefined) return run;
  throw new KingletError("check-failed", `on the emulated ${core}, ${difference}`, {
    place: model.path,
    hint: `kinglet verify --via ${core} --layers names the first layer that differs.`,
  });
}

/** What a person did not say: a project knows it; without one it must be said. */
async function completed(given: string | undefined, asked: AskedOptions, io: Io): Promise<[path: string, options: CliCompileOptions]> {
  if (given === undefined) {
    const { path, name, board, out } = await projectToCompile(io.folder ?? ".", io, asked.train === true ? "float" : "quantized");
    const target = asked.target ?? "c";
    const onBoard = board === null || target !== "c" ? {} : { board };
    return [path, { name, ...onBoard, ...asked, target, out: asked.out ?? out }];
  }
  for (const name of ["target", "out"] as const)
    if (asked[name] === undefined) throw new KingletError("misuse", `say --${name}`, { hint: "kinglet compile --help shows what is possible." });
  return [given, asked as CliCompileOptions];
}

async function compile(given: string | undefined, asked: AskedOptions, io: Io): Promise<void> {
  const [path, options] = await completed(given, asked, io);
  const model = await loadModel(path, options);
  await checkOutputFolder(options.out);
  announceIfLarge(io, model.bytes, `compiling ${path}`);
  if (options.train === true && options.target !== "c") throw new KingletError("misuse", "--train is for --target c");
  if (options.headOnly === true && options.train !== true) throw new KingletError("misuse", "--head-only goes with --train");
  const learning = options.train === true ? learningFor(model.graph, options) : undefined;
  const graph = learning?.step.graph ?? model.graph;
  const made = await withProgress(io, "measuring the code", () => build(graph, options, learning));
  const profile = await withProgress(io, "counting instructions", () => profileOf({ graph, path: model.path }, made, options));
  const files = await writeOutputFolder(options.out, new Map([...made.files, ["report.html", reportPage(made, path, profile)]]));
  const { plan, weightBytes, macs, parameters } = made.compiled;
  const json = {
    model: path,
    target: options.target,
    board: made.board?.id ?? null,
    id: made.id,
    out: options.out,
    arenaBytes: plan.arenaBytes,
    arenaLowerBoundBytes: plan.lowerBoundBytes,
    ...(learning === undefined ? {} : { learns: learning.trained, update: learning.update }),
    stages: (made.compiled.program.stages ?? []).map(({ name }) => name),
    codeBytes: made.codeBytes,
    codeFrom: made.codeFrom,
    weightBytes,
    macs,
    parameters,
    sparse: made.compiled.sparse,
    ...profileJson(profile),
    ...(options.explain === true ? { kernels: made.compiled.program.steps.map(({ name, op, func, notes }) => ({ name, op, func, ...notes })) } : {}),
    files,
  };
  answer(io, options, json, () => compileText(made, options, files, profile, learning));
}

export function addCompile(program: Command, io: Io): void {
  program
    .command("compile")
    .description("Makes the deployable thing: C for firmware, WebAssembly, or JavaScript.")
    .argument("[model]", "a .tflite, .onnx or .kinglet file (default: the project's quantized one)")
    .addOption(new Option("--target <kind>", "what to make (default in a project: c)").choices(["c", "wasm", "js"]))
    .option("--out <dir>", "folder to write; replaced only if Kinglet made it (default in a project: firmware)")
    .option("--board <name>", "check that it fits this board and build for its processor")
    .option("--name <id>", "start of all names in the output (default: the file's name)")
    .addOption(
      new Option("--optimize <goal>", "share code between layers or give each its own").choices(["size", "speed", "balanced"]).default("balanced"),
    )
    .option("--ram <bytes>", "most bytes for the arena, as 32768 or 32k: the fastest plan that fits is taken", memorySize)
    .option("--fuse", "use as little memory as possible: layers run row by row, no image between them is ever whole")
    .option("--stream-input", "the image comes row by row, as cameras give it, and is never whole in memory")
    .option("--trade <factor>", "by rows, let rows be computed again where that saves memory: macs=1.2 allows 20 % more", tradeOf)
    .option("--train", "of a float or int8 network: firmware that also learns, as much of the network as --ram or the board allows")
    .option("--head-only", "with --train: only the last layer learns")
    .option("--profile", "also run it on the emulated core: instructions of every layer in the report")
    .option("--explain", "also say which kernel each layer has, what was proved for its channels, and why it is not a faster one")
    .addOption(shapeOption())
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      "\nExamples:\n  kinglet compile --board nano-33-ble\n  kinglet compile model.tflite --target c --board nucleo-l4r5zi --out firmware/\n  kinglet compile model.tflite --target c --ram 32k --stream-input --out firmware/\n  kinglet compile float.tflite --target c --train --ram 64k --board nucleo-f746zg --out firmware/\n  kinglet compile model.tflite --target wasm --out web/ --name keyword",
    )
    .action((path: string | undefined, options: AskedOptions) => compile(path, options, io));
}
