import type { Schedules } from "../../ops/index.ts";
import { conv2dSchedule, fullyConnectedSchedule } from "./conv.ts";
import { depthwiseSchedule } from "./depthwise.ts";

/** Schedules for machines with scalar registers: every microcontroller core, and the host. */
export const SCALAR_SCHEDULES: Schedules = {
  conv2d: conv2dSchedule,
  depthwiseConv2d: depthwiseSchedule,
  fullyConnected: fullyConnectedSchedule,
};
