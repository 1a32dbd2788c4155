import type { Schedules } from "../../ops/index.ts";
import { type ChooseDot, convSchedule, denseSchedule } from "./conv.ts";
import { depthwiseSchedule } from "./depthwise.ts";
import { eachChannel, fourChannels } from "./depthwise-windows.ts";
import { tileSchedule } from "./tile-conv.ts";
import { DUAL_DOT_FOR_ALL, dualDotFor, SCALAR_DOT } from "./dot.ts";

function schedules(dot: ChooseDot, window: (channels: number) => typeof eachChannel): Schedules {
  return { conv2d: convSchedule(dot), depthwiseConv2d: depthwiseSchedule(window), fullyConnected: denseSchedule(dot) };
}

function withTiles(base: Schedules): Schedules {
  return { ...base, conv2d: tileSchedule(base["conv2d"]!) };
}

/** Schedules for machines with scalar registers: every microcontroller core, and the host. */
export const SCALAR_SCHEDULES: Schedules = schedules(() => ({ product: SCALAR_DOT, oneForAll: false }), () => eachChannel);

/** The same with as few kinds of kernels as possible. */
export const SMALL_SCALAR_SCHEDULES: Schedules = schedules(() => ({ product: SCALAR_DOT, oneForAll: true }), () => eachChannel);

/** Schedules for Arm cores with the DSP extension (Cortex-M4, M7, M33, M55): two 16-bit products an instruction. */
export const DSP_SCHEDULES: Schedules = withTiles(schedules(
  (depth) => ({ product: dualDotFor(depth), oneForAll: false }),
  (channels) => (channels % 4 === 0 ? fourChannels : eachChannel),
));

/** The same with as few kinds of kernels as possible. */
export const SMALL_DSP_SCHEDULES: Schedules = schedules(() => ({ product: DUAL_DOT_FOR_ALL, oneForAll: true }), () => eachChannel);
