import { elementCount } from "../../base/index.ts";
import type { Graph } from "../../graph/index.ts";
import type { Schedules } from "../../ops/index.ts";
import { sumSchedule } from "./add.ts";
import { averagePoolSchedule } from "./average-pool.ts";
import { byteLanesDenseSchedule, FEW_REGISTER_LANES, type LaneShape, MANY_REGISTER_LANES } from "./byte-lanes-dense.ts";
import { type ChooseDot, convSchedule, denseSchedule } from "./conv.ts";
import { depthwiseSchedule } from "./depthwise.ts";
import { planarSchedule } from "./depthwise-planar.ts";
import { eachChannel } from "./depthwise-windows.ts";
import { explained } from "./explain.ts";
import { floatConvSchedule, floatDenseSchedule } from "./float.ts";
import { vectorAddSchedule } from "./mve-add.ts";
import { vectorConvSchedule, vectorDenseSchedule } from "./mve-conv.ts";
import { FEW_REGISTERS, MANY_REGISTERS, type PairShape } from "./pixel-pairs.ts";
import { pixelPairConvSchedule, pixelPairDenseSchedule } from "./pixel-pairs-conv.ts";
import { ringDepthwiseSchedule } from "./ring-depthwise.ts";
import { vectorDepthwiseSchedule } from "./mve-depthwise.ts";
import { pairDenseSchedule } from "./pair-dense.ts";
import type { TileShape } from "./tile.ts";
import { quantizeSchedule } from "./quantize.ts";
import { tileSchedule } from "./tile-conv.ts";
import { winogradSchedule } from "./winograd.ts";
import { treeSchedule } from "./trees.ts";
import { FEW_REGISTER_WORDS, MANY_REGISTER_WORDS, winogradWordsSchedule, type WordTile } from "./winograd-words.ts";
import { DUAL_DOT, SCALAR_DOT } from "./dot.ts";

const scalar: ChooseDot = () => ({ product: SCALAR_DOT, oneForAll: false });
const smallScalar: ChooseDot = () => ({ product: SCALAR_DOT, oneForAll: true });
const smallDual: ChooseDot = () => ({ product: DUAL_DOT, oneForAll: true });

/** Portable schedules for as many registers as `shape` is made for. */
function portableSchedules(shape: PairShape): Schedules {
  return {
    conv2d: pixelPairConvSchedule(shape, convSchedule(scalar)),
    depthwiseConv2d: depthwiseSchedule(eachChannel),
    fullyConnected: pixelPairDenseSchedule(shape, denseSchedule(scalar)),
    treeEnsemble: treeSchedule,
  };
}

/** The same, faster with more RAM and flash. */
function fastPortableSchedules(shape: PairShape, tile: WordTile, lanes: LaneShape): Schedules {
  const portable = portableSchedules(shape);
  return {
    ...portable,
    conv2d: winogradWordsSchedule(tile, portable["conv2d"]!),
    depthwiseConv2d: ringDepthwiseSchedule(portable["depthwiseConv2d"]!),
    fullyConnected: byteLanesDenseSchedule(lanes, portable["fullyConnected"]!),
  };
}

/** Schedules for machines with scalar registers: every microcontroller core, and the host. */
export const SCALAR_SCHEDULES: Schedules = portableSchedules(FEW_REGISTERS);
export const FAST_SCALAR_SCHEDULES: Schedules = fastPortableSchedules(FEW_REGISTERS, FEW_REGISTER_WORDS, FEW_REGISTER_LANES);

/** The same for machines with about thirty registers (RISC-V). */
export const MANY_REGISTER_SCHEDULES: Schedules = portableSchedules(MANY_REGISTERS);
export const FAST_MANY_REGISTER_SCHEDULES: Schedules = fastPortableSchedules(MANY_REGISTERS, MANY_REGISTER_WORDS, MANY_REGISTER_LANES);

/** The same with as few kinds of kernels as possible. */
export const SMALL_SCALAR_SCHEDULES: Schedules = {
  conv2d: convSchedule(smallScalar),
  depthwiseConv2d: depthwiseSchedule(eachChannel),
  fullyConnected: denseSchedule(smallScalar),
  treeEnsemble: treeSchedule,
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

/** Depthwise layers read inputs where they lie, without working memory: for limits that the usual kernels do not meet. */
export function thriftyDspSchedules(graph: Graph): Schedules {
  return { ...balancedDspSchedules(graph), depthwiseConv2d: depthwiseSchedule(eachChannel) };
}

/** For speed: one kernel for each kind of layer, inner loops written out. */
const fast = dspSchedules({ shared: false, largeMap: Infinity });

export const FAST_DSP_SCHEDULES: Schedules = { ...fast, conv2d: winogradSchedule(fast["conv2d"]!) };

/** Schedules for Arm cores with Helium vectors (Cortex-M55, M85); what has no vector kernel takes the one for the DSP extension. */
function heliumSchedules(dsp: Schedules): Schedules {
  return {
    ...dsp,
    conv2d: vectorConvSchedule(dsp["conv2d"]!),
    add: vectorAddSchedule,
    depthwiseConv2d: vectorDepthwiseSchedule(dsp["depthwiseConv2d"]!),
    fullyConnected: vectorDenseSchedule(dsp["fullyConnected"]!),
  };
}

export function balancedHeliumSchedules(graph: Graph): Schedules {
  return heliumSchedules(balancedDspSchedules(graph));
}

export const FAST_HELIUM_SCHEDULES: Schedules = heliumSchedules(fast);

/** The same with as few kinds of kernels as possible. */
export const SMALL_DSP_SCHEDULES: Schedules = {
  conv2d: convSchedule(smallDual),
  depthwiseConv2d: depthwiseSchedule(eachChannel),
  fullyConnected: denseSchedule(smallDual),
};
