import type { Schedules } from "../../ops/index.ts";
import { convSchedule, denseSchedule } from "./dot-product.ts";
import { depthwiseSchedule } from "./depthwise.ts";

/** Faster ways to run int8 layers with 128-bit vectors; every one gives exactly the plain loops' result. */
export const wasmSchedules: Schedules = {
  conv2d: convSchedule,
  depthwiseConv2d: depthwiseSchedule,
  fullyConnected: denseSchedule,
};
