import type { Schedules } from "../../ops/index.ts";
import { addSchedule } from "./add.ts";
import { convSchedule, denseSchedule } from "./conv.ts";
import { depthwiseSchedule } from "./depthwise.ts";
import { averagePoolSchedule } from "./pool.ts";
import { withTraining } from "./training/index.ts";

/** Faster ways to run layers with 128-bit vectors; every one gives exactly the plain loops' result. */
export const wasmSchedules: Schedules = withTraining({
  conv2d: convSchedule,
  depthwiseConv2d: depthwiseSchedule,
  fullyConnected: denseSchedule,
  add: addSchedule,
  averagePool2d: averagePoolSchedule,
});
