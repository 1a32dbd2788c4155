import { addSchedule } from "./add.ts";
import { averagePoolSchedule } from "./pool.ts";
import type { Schedules } from "../../ops/index.ts";
import { convSchedule, denseSchedule } from "./conv.ts";
import { depthwiseSchedule } from "./depthwise.ts";

function schedules(fused: boolean): Schedules {
  return {
    conv2d: convSchedule(fused),
    depthwiseConv2d: depthwiseSchedule(fused),
    fullyConnected: denseSchedule(fused),
    add: addSchedule,
    averagePool2d: averagePoolSchedule,
  };
}

/** Faster ways to run layers with 128-bit vectors; every one gives exactly the plain loops' result. */
export const wasmSchedules: Schedules = schedules(false);
