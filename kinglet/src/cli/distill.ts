import { createHash } from "node:crypto";
import type { Command } from "commander";
import { writeKinglet } from "../formats/index.ts";
import { prepareForQuantization } from "../passes/index.ts";
import { above0 } from "./arguments.ts";
import type { Io } from "./io.ts";
import { loadModel } from "./model.ts";
import { MODEL_FILE } from "./project-files.ts";
import { type TrainOptions, trainingOptions, trainProject } from "./train.ts";

interface DistillCliOptions extends TrainOptions {
  readonly teacher: string;
  readonly temperature: number;
  readonly alpha: number;
}

async function distill(folder: string | undefined, options: DistillCliOptions, io: Io): Promise<void> {
  const { graph } = await loadModel(options.teacher);
  const { temperature, alpha } = options;
  const teacher = createHash("sha256").update(writeKinglet(graph)).digest("hex");
  await trainProject(folder, options, io, async ({ config }) => ({
    config,
    task: {
      method: { distill: { teacher: prepareForQuantization(graph), temperature, alpha } },
      agreed: { teacher: JSON.stringify({ teacher, temperature, alpha }) },
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
    .option("--temperature <t>", "softens both answers", above0(1000), 4)
    .option("--alpha <share>", "what the teacher counts; the labels have the rest", above0(1), 0.9);
  trainingOptions(command)
    .addHelpText("after", "\nExamples:\n  kinglet distill --teacher large.kinglet\n  kinglet distill --teacher large.onnx --temperature 8")
    .action((folder: string | undefined, options: DistillCliOptions) => distill(folder, options, io));
}
