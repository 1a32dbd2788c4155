import { join } from "node:path";
import { KingletError } from "../base/index.ts";
import { layerReports, type QuantizationPlan, type Sample } from "../driver/index.ts";
import type { Graph } from "../graph/index.ts";
import { quantizeGraph } from "../passes/index.ts";
import { projectSplit } from "../project/index.ts";
import { evaluateOn, quantizationAware } from "../train/index.ts";
import { noiseOf } from "./history.ts";
import type { Io } from "./io.ts";
import { juryOf } from "./judge.ts";
import { fingerprint, loadModel } from "./model.ts";
import { floatFile, QUANTIZED_FILE } from "./project-files.ts";
import { checkTrained, projectCalibration } from "./project-model.ts";
import type { Project } from "./project-step.ts";
import { planModel, type QuantizeSettings } from "./quantization.ts";
import { gentler, type TrainingTask, type TrainOptions, trainProject } from "./train.ts";
import { percent } from "./train-text.ts";

interface AwareOptions extends QuantizeSettings, TrainOptions {
  readonly calibrate?: string;
  readonly out?: string;
  readonly samples: number;
}

/** What it takes of the configuration's: the network knows already, and only moves to where rounding harms less. */
const TRAINED_ON = { epochs: 0.25, rate: 0.1 };

/** Remedies that move weights between layers come before training; others are what training does better. */
const BEFORE = ["equalize", "absorb-bias"];

function checkAsked(given: string | undefined, { activations, weights, explain, out, calibrate, remedy = [] }: AwareOptions): void {
  const bad = (what: string): never => {
    throw new KingletError("misuse", what);
  };
  if (given !== undefined) bad("--aware trains on a project's data: leave out the model, or take --remedy tune");
  if (activations === "float" || weights === "float16") bad("--aware needs integers to train for");
  if (explain === true) bad("--explain and --aware are two ways: choose one");
  if (out !== undefined || calibrate !== undefined) bad(`--aware works in a project: it takes its samples and writes ${QUANTIZED_FILE}`);
  const late = remedy.find((each) => !BEFORE.includes(each));
  if (late !== undefined) bad(`the remedy ${late} is undone by --aware; possible are ${BEFORE.join(" and ")}`);
}

/** How well the integers do before they are trained. */
async function tellUntrained({ source, options }: QuantizationPlan, { dataset, config }: Project, io: Io): Promise<void> {
  const jury = juryOf(dataset, projectSplit(config, dataset));
  const { accuracy } = await evaluateOn(quantizeGraph(source, options).graph, dataset, jury.positions);
  io.err(`without this training the integers have ${percent(accuracy)} of the ${jury.name} right\n`);
}

/** The network as it is quantized, to be trained and then quantized with the very same ranges. */
function taskFor(network: Graph, file: string, plan: QuantizationPlan, samples: readonly Sample[], settings: QuantizeSettings): TrainingTask {
  const { method, percentile, weights, activations, perTensor, remedy, int16, io } = settings;
  const aware = quantizationAware(plan.source, plan.options);
  return {
    start: aware.graph,
    agreed: {
      "network to quantize": fingerprint(network),
      quantization: JSON.stringify({ method, percentile, weights, activations, perTensor, remedy, int16, io, samples: samples.length }),
    },
    command: "kinglet quantize --aware",
    step: "quantization-aware",
    file: QUANTIZED_FILE,
    checkpoint: ".kinglet/checkpoint-aware",
    before: { graph: network, file },
    finish: (trained) => {
      const model = quantizeGraph(aware.sourceOf(trained), plan.options);
      return { graph: model.graph, noise: noiseOf(layerReports(model, samples, plan.options)) };
    },
    next: "kinglet evaluate, kinglet compile",
  };
}

/** Quantization-aware training of a project's network (Jacob et al., CVPR 2018): its rounding is trained along, its ranges stay. */
export async function quantizeAware(given: string | undefined, options: AwareOptions, io: Io): Promise<void> {
  checkAsked(given, options);
  await trainProject(undefined, options, io, async (project) => {
    const { folder, config } = project;
    await checkTrained(folder);
    const file = await floatFile(folder);
    const { graph } = await loadModel(join(folder, file));
    const samples = await projectCalibration(folder, { graph, file }, options.samples);
    const plan = planModel(graph, samples, options, io);
    await tellUntrained(plan, project, io);
    return { task: taskFor(graph, file, plan, samples, options), config: gentler(config, options, TRAINED_ON) };
  });
}
