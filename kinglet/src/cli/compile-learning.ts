import { boardById } from "../boards/index.ts";
import { compileGraph } from "../driver/index.ts";
import type { Graph } from "../graph/index.ts";
import type { Optimize } from "../targets/share.ts";
import { type DeviceLearning, deviceLearning } from "../train/index.ts";

interface Limits {
  readonly board?: string;
  readonly ram?: number;
  readonly optimize: Optimize;
}

/** The training step that a board has memory for. */
export function learningFor(graph: Graph, { board: name, ram, optimize }: Limits): DeviceLearning {
  const board = name === undefined ? undefined : boardById(name);
  const most = ram ?? board?.sramBytes;
  if (most === undefined) return deviceLearning(graph);
  const target = board?.dsp === true ? "c-dsp" : "c";
  return deviceLearning(graph, ({ step }) => compileGraph(step.graph, { target, optimize }).plan.arenaBytes <= most);
}

/** What learns, for a person. */
export function learningText({ update, trained }: DeviceLearning): string[] {
  const layers = update.layers === 1 ? "the last layer" : `the last ${update.layers} layers`;
  const biases = update.biases === 0 ? "" : `, and the biases of ${update.biases} before`;
  return [
    `  learns       ${layers}${biases}: ${trained.join(", ")}`,
    "               one sample at a time, by gradient descent: NAME_run, then NAME_learn",
  ];
}
