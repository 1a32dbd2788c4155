import type { Schedules } from "../../ops/index.ts";
import { convSchedule, denseSchedule } from "./conv.ts";
import { depthwiseSchedule, eachChannel } from "./depthwise.ts";
import { fourChannels } from "./depthwise-dual.ts";
import { DUAL_DOT, DUAL_DOT_WITH_REST, SCALAR_DOT } from "./dot.ts";

/** Schedules for machines with scalar registers: every microcontroller core, and the host. */
export const SCALAR_SCHEDULES: Schedules = {
  conv2d: convSchedule(() => SCALAR_DOT),
  depthwiseConv2d: depthwiseSchedule(() => eachChannel),
  fullyConnected: denseSchedule(() => SCALAR_DOT),
};

const dualDotFor = (depth: number): typeof DUAL_DOT => (depth < 4 ? SCALAR_DOT : depth % 4 === 0 ? DUAL_DOT : DUAL_DOT_WITH_REST);

/** Schedules for Arm cores with the DSP extension (Cortex-M4, M7, M33, M55): two 16-bit products an instruction. */
export const DSP_SCHEDULES: Schedules = {
  conv2d: convSchedule(dualDotFor),
  depthwiseConv2d: depthwiseSchedule((channels) => (channels % 4 === 0 ? fourChannels : eachChannel)),
  fullyConnected: denseSchedule(dualDotFor),
};
