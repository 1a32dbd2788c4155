import type { Graph } from "../../graph/index.ts";
import { inputOf, type Schedules } from "../../ops/index.ts";
import { addScheduleFor } from "./add.ts";
import { convScheduleFor, denseScheduleFor } from "./conv.ts";
import { depthwiseScheduleFor } from "./depthwise.ts";
import type { ByteForm } from "./layer.ts";
import { averagePoolScheduleFor } from "./pool.ts";
import { withTraining } from "./training/index.ts";

function schedulesFor(form: ByteForm): Schedules {
  return {
    conv2d: convScheduleFor(form),
    depthwiseConv2d: depthwiseScheduleFor(form),
    fullyConnected: denseScheduleFor(form),
    add: addScheduleFor(form),
    averagePool2d: averagePoolScheduleFor(form),
  };
}

/** Faster ways to run layers with 128-bit vectors; every one gives exactly the plain loops' result. */
export const wasmSchedules: Schedules = withTraining(schedulesFor("words"));

/** The same where an engine multiplies bytes four at a time: bytes are stored as they are, unsigned. */
export const wasmDotSchedules: Schedules = schedulesFor("dots");

const MULTIPLYING = ["conv2d", "depthwiseConv2d", "fullyConnected"];

/** True where no layer of bytes would be slower for dot products of bytes, and some are faster. */
export function gainsByDots(graph: Graph): boolean {
  const layers = graph.nodes.filter((node) => MULTIPLYING.includes(node.op) && ["int8", "uint8"].includes(inputOf(node, 0).dtype));
  const served = layers.filter((node) => wasmSchedules[node.op]!(node) !== undefined);
  return served.length > 0 && served.every((node) => wasmDotSchedules[node.op]!(node) !== undefined);
}
