import { elementCount } from "../../base/index.ts";
import type { Graph } from "../../graph/index.ts";
import type { Schedules } from "../../ops/index.ts";
import { sumSchedule } from "./add.ts";
import { averagePoolSchedule } from "./average-pool.ts";
import { type ChooseDot, convSchedule, denseSchedule } from "./conv.ts";
import { depthwiseSchedule } from "./depthwise.ts";
import { planarSchedule } from "./depthwise-planar.ts";
import { eachChannel } from "./depthwise-windows.ts";
import { explained } from "./explain.ts";
import { floatConvSchedule, floatDenseSchedule } from "./float.ts";
import { pairDenseSchedule } from "./pair-dense.ts";
import type { TileShape } from "./tile.ts";
import { quantizeSchedule } from "./quantize.ts";
import { winogradSchedule } from "./winograd.ts";
import { tileSchedule } from "./tile-conv.ts";
import { DUAL_DOT, SCALAR_DOT } from "./dot.ts";

const scalar: ChooseDot = () => ({ product: SCALAR_DOT, oneForAll: false });
const smallScalar: ChooseDot = () => ({ product: SCALAR_DOT, oneForAll: true });
const smallDual: ChooseDot = () => ({ product: DUAL_DOT, oneForAll: true });

/** Schedules for machines with scalar registers: every microcontroller core, and the host. */
export const SCALAR_SCHEDULES: Schedules = {
  conv2d: convSchedule(scalar),
  depthwiseConv2d: depthwiseSchedule(eachChannel),
  fullyConnected: denseSchedule(scalar),
};

/** The same with as few kinds of kernels as possible. */
export const SMALL_SCALAR_SCHEDULES: Schedules = {
  conv2d: convSchedule(smallScalar),
  depthwiseConv2d: depthwiseSchedule(eachChannel),
  fullyConnected: denseSchedule(smallScalar),
};

/** Schedules for Arm cores with the DSP extension (Cortex-M4, M7, M33, M55): two 16-bit products an instruction. */
function dspSchedules(shape: TileShape): Schedules {
  return {
    conv2d: floatConvSchedule(tileSchedule(shape, explained(convSchedule(smallDual)))),
    depthwiseConv2d: planarSchedule(!shape.shared),
    add: sumSchedule,
    sub: sumSchedule,
    averagePool2d: averagePoolSchedule,
    quantize: quantizeSchedule,
    fullyConnected: floatDenseSchedule(pairDenseSchedule(shape, explained(denseSchedule(smallDual)))),
  };
}

/** Maps of at least this share of the largest are where the arena has its peak. */
const NEAR_PEAK = 0.95;

/** Kernels that layers share, and little working memory where a network's maps are largest. */
export function balancedDspSchedules(graph: Graph): Schedules {
  const sizes = graph.nodes.flatMap((node) => node.outputs.map((value) => elementCount(value.shape)));
  return dspSchedules({ shared: true, largeMap: Math.max(1, ...sizes) * NEAR_PEAK });
}

/** The same for speed: one kernel for each kind of layer, inner loops written out. */
const fast = dspSchedules({ shared: false, largeMap: Infinity });

export const FAST_DSP_SCHEDULES: Schedules = { ...fast, conv2d: winogradSchedule(fast["conv2d"]!) };

/** The same with as few kinds of kernels as possible. */
export const SMALL_DSP_SCHEDULES: Schedules = {
  conv2d: convSchedule(smallDual),
  depthwiseConv2d: depthwiseSchedule(eachChannel),
  fullyConnected: denseSchedule(smallDual),
};
