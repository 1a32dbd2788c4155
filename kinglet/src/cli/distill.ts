import type { Command } from "commander";
import { prepareForQuantization } from "../passes/index.ts";
import { above0 } from "./arguments.ts";
import type { Io } from "./io.ts";
import { fingerprint, loadModel } from "./model.ts";
import { MODEL_FILE } from "./project-files.ts";
import { type TrainOptions, trainingOptions, trainProject } from "./train.ts";

interface DistillCliOptions extends TrainOptions {
  readonly teacher: string;
  readonly temperature?: number;
  readonly alpha?: number;
}

async function distill(folder: string | undefined, options: DistillCliOptions, io: Io): Promise<void> {
  const { graph } = await loadModel(options.teacher);
  const { temperature, alpha } = options;
  const said = { ...(temperature === undefined ? {} : { temperature }), ...(alpha === undefined ? {} : { alpha }) };
  const teacher = fingerprint(graph);
  await trainProject(folder, options, io, async ({ config }) => ({
    config,
    task: {
      method: { distill: { ...config.distill, ...said, teacher: prepareForQuantization(graph) } },
      agreed: { teacher: JSON.stringify({ teacher, ...config.distill, ...said }) },
      command: `kinglet distill --teacher ${options.teacher}`,
      step: "distilled",
      file: MODEL_FILE,
      checkpoint: ".kinglet/checkpoint-distill",
      next: "kinglet prune, kinglet quantize, kinglet evaluate, kinglet compile",
    },
  }));
}

export function addDistill(program: Command, io: Io): void {
  const command = program
    .command("distill")
    .description("Trains the network of a project on its data and on the answers of a larger one (Hinton et al. 2015).")
    .requiredOption("--teacher <model>", "a .tflite, .onnx or .kinglet file in floating point that takes the same samples and knows the same classes")
    .option("--temperature <t>", "softens both answers (default: the configuration's, or 4)", above0(1000))
    .option("--alpha <share>", "what the teacher counts; the labels have the rest (default: the configuration's, or 0.9)", above0(1));
  trainingOptions(command)
    .addHelpText("after", "\nExamples:\n  kinglet distill --teacher large.kinglet\n  kinglet distill --teacher large.onnx --temperature 8")
    .action((folder: string | undefined, options: DistillCliOptions) => distill(folder, options, io));
}
