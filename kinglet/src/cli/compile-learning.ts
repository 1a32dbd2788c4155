import { boardById } from "../boards/index.ts";
import { compileGraph } from "../driver/index.ts";
import type { Graph } from "../graph/index.ts";
import type { Optimize } from "../targets/share.ts";
import { type DeviceLearning, deviceLearning } from "../train/index.ts";

interface Limits {
  readonly board?: string;
  readonly ram?: number;
  readonly headOnly?: boolean;
  readonly optimize: Optimize;
}

/** The training step that a board has memory for. */
export function learningFor(graph: Graph, { board: name, ram: given, headOnly = false, optimize }: Limits): DeviceLearning {
  const board = name === undefined ? undefined : boardById(name);
  const ram = given ?? board?.sramBytes;
  if (ram === undefined) return deviceLearning(graph, { headOnly });
  const target = board?.dsp === true ? "c-dsp" : "c";
  return deviceLearning(graph, {
    headOnly,
    limit: { ram, arenaBytes: ({ step }) => compileGraph(step.graph, { target, optimize }).plan.arenaBytes },
  });
}

/** "conv_1, conv_2 (8 of 32 channels)" */
function weightsText(weights: DeviceLearning["update"]["weights"]): string {
  if (weights.length === 0) return "no weights";
  return `weights of ${weights.map(({ layer, channels, of }) => (channels === of ? layer : `${layer} (${channels} of ${of} channels)`)).join(", ")}`;
}

/** What learns, for a person. */
export function learningText({ update, step }: DeviceLearning): string[] {
  const biases = update.biases === 1 ? "the last layer" : `the last ${update.biases} layers`;
  const bytes = step.state.some(({ value }) => value.dtype === "int8") ? "stored integers, with quantization-aware scaling" : "floats";
  return [
    `  learns       biases of ${biases}; ${weightsText(update.weights)}`,
    `               one sample at a time, by gradient descent on ${bytes}: NAME_run, then NAME_learn`,
  ];
}
