import { join } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { KingletError } from "../base/index.ts";
import { boardById } from "../boards/index.ts";
import { measureFootprint } from "../driver/index.ts";
import type { Graph } from "../graph/index.ts";
import { type Pruned, pruneChannels } from "../passes/index.ts";
import { count } from "./format.ts";
import type { ProjectConfig } from "../project/index.ts";
import { zerosOf } from "../train/index.ts";
import type { Io } from "./io.ts";
import { fingerprint, loadModel } from "./model.ts";
import { MODEL_FILE, PRUNED_FILE } from "./project-files.ts";
import { checkTrained } from "./project-model.ts";
import { gentler, type TrainingTask, type TrainOptions, trainingOptions, trainProject } from "./train.ts";

interface PruneCliOptions extends TrainOptions {
  readonly macs?: number;
  readonly parameters?: number;
  readonly weights?: number;
}

/** What training on takes of the configuration's. */
const TRAINED_ON = { epochs: 0.5, rate: 0.5 };

function share(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 1)) throw new InvalidArgumentError("Give a share above 0 and below 1, as 0.5.");
  return value;
}

function toldOf({ removed, macs, parameters }: Pruned): string {
  const lines = removed.map(({ layers, channels, of }) => `  ${layers.join(" + ")}: ${channels.length} of ${of} channels`);
  const went = (of: string, { before, after }: Pruned["macs"]): string => `${count(before)} to ${count(after)} ${of}`;
  return `${went("multiply-accumulates", macs)}, ${went("parameters", parameters)}; removed:\n${lines.join("\n")}\n`;
}

/** Channels become a multiple of this: kernels compute several at once. */
const MULTIPLE = 4;

/** What taking whole channels to the same number of parameters would bring, which zeros alone do not. */
async function tellChannels(network: Graph, zeros: number, { board }: ProjectConfig, io: Io): Promise<void> {
  const parameters = Number((1 - zeros).toFixed(3));
  const where = board === null ? null : boardById(board);
  try {
    const [now, then] = [
      await measureFootprint(network, where),
      await measureFootprint(pruneChannels(network, { parameters, multiple: MULTIPLE }).graph, where),
    ];
    const work = now.instructions === null || then.instructions === null ? "MACs" : "instructions";
    const [before, after] = [now, then].map((each) => (work === "MACs" ? each.macs : each.instructions!)) as [number, number];
    io.err(
      `zeros leave floats as large and as slow as they are; whole channels (kinglet prune --parameters ${parameters}) would leave ${count(then.weightBytes)} of ${count(now.weightBytes)} bytes of tables, ${count(then.arenaBytes)} of ${count(now.arenaBytes)} of the arena, ${count(after)} of ${count(before)} ${work}\n`,
    );
  } catch (error) {
    // So few channels cannot stay, or cannot be followed: there is nothing to compare with.
    if (!(error instanceof KingletError)) throw error;
  }
}

type Pruning = Pick<TrainingTask, "start" | "method" | "agreed" | "finish">;

/** What is trained on: fewer channels, or the same with zeros. The network as it was teaches. */
async function pruningOf(network: Graph, config: ProjectConfig, { macs, parameters, weights }: PruneCliOptions, io: Io): Promise<Pruning> {
  const agreed = {
    "network to prune": fingerprint(network),
    pruning: JSON.stringify({ macs, parameters, weights }),
  };
  const distill = { teacher: network };
  if (weights !== undefined) {
    await tellChannels(network, weights, config, io);
    return { start: network, method: { distill, sparsity: { goal: weights } }, agreed, finish: (graph) => ({ graph, zeros: zerosOf(graph) }) };
  }
  const pruned = pruneChannels(network, { ...(parameters === undefined ? { macs: macs ?? 0.5 } : { parameters }), multiple: MULTIPLE });
  io.err(toldOf(pruned));
  return { start: pruned.graph, method: { distill }, agreed };
}

async function prune(folder: string | undefined, options: PruneCliOptions, io: Io): Promise<void> {
  if ([options.macs, options.parameters, options.weights].filter((goal) => goal !== undefined).length > 1)
    throw new KingletError("misuse", "one goal: --macs, --parameters or --weights");
  await trainProject(folder, options, io, async ({ folder: at, config }) => {
    await checkTrained(at);
    const { graph } = await loadModel(join(at, MODEL_FILE));
    const task: TrainingTask = {
      ...(await pruningOf(graph, config, options, io)),
      command: "kinglet prune",
      step: "pruned",
      file: PRUNED_FILE,
      checkpoint: ".kinglet/checkpoint-prune",
      before: { graph, file: MODEL_FILE },
      next: "kinglet quantize, kinglet evaluate, kinglet compile",
    };
    return { task, config: gentler(config, options, TRAINED_ON) };
  });
}

export function addPrune(program: Command, io: Io): void {
  const command = program
    .command("prune")
    .description(`Makes a project's trained network smaller and trains it on, taught by what it was: ${PRUNED_FILE}.`)
    .addOption(new Option("--macs <share>", "share of the multiply-accumulates that may stay: channels go (default 0.5)").argParser(share))
    .addOption(new Option("--parameters <share>", "the same by parameters").argParser(share))
    .addOption(
      new Option(
        "--weights <share>",
        "share of the weights that become 0: smaller in flash once quantized where unpacking is quick, never faster",
      ).argParser(share),
    );
  trainingOptions(command)
    .addHelpText("after", "\nExamples:\n  kinglet prune\n  kinglet prune --macs 0.3 --epochs 10\n  kinglet prune --weights 0.8")
    .action((folder: string | undefined, options: PruneCliOptions) => prune(folder, options, io));
}
