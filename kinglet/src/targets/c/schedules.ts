import type { Schedules } from "../../ops/index.ts";
import { convSchedule, denseSchedule } from "./conv.ts";
import { depthwiseSchedule } from "./depthwise.ts";
import { eachChannel, fourChannels } from "./depthwise-windows.ts";
import { dualDotFor, SCALAR_DOT } from "./dot.ts";

/** Schedules for machines with scalar registers: every microcontroller core, and the host. */
export const SCALAR_SCHEDULES: Schedules = {
  conv2d: convSchedule(() => SCALAR_DOT),
  depthwiseConv2d: depthwiseSchedule(() => eachChannel),
  fullyConnected: denseSchedule(() => SCALAR_DOT),
};

/** Schedules for Arm cores with the DSP extension (Cortex-M4, M7, M33, M55): two 16-bit products an instruction. */
export const DSP_SCHEDULES: Schedules = {
  conv2d: convSchedule(dualDotFor),
  depthwiseConv2d: depthwiseSchedule((channels) => (channels % 4 === 0 ? fourChannels : eachChannel)),
  fullyConnected: denseSchedule(dualDotFor),
};
