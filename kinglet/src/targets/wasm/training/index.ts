import type { Schedule, Schedules } from "../../../ops/index.ts";
import { batchNormGradientSchedule, batchNormTrainingSchedule } from "./batch-norm.ts";
import { inputGradientSchedule, packingConvSchedule, packingDenseSchedule } from "./conv.ts";
import { depthwiseFilterGradientSchedule, depthwiseInputGradientSchedule, variableDepthwiseSchedule } from "./depthwise.ts";
import { activationGradientSchedule, averagePoolGradientSchedule, channelSumSchedule } from "./elements.ts";
import { filterGradientSchedule } from "./filter-gradient.ts";
import { adamSchedule, descentSchedule, sgdSchedule } from "./updates.ts";

/** The first of two schedules that suits a node. */
function firstOf(a: Schedule | undefined, b: Schedule): Schedule {
  return (node, walk, room) => a?.(node, walk, room) ?? b(node, walk, room);
}

/** What training needs beside inference: layers whose weights change, gradients, updates. */
export function withTraining(inference: Schedules): Schedules {
  return {
    ...inference,
    conv2d: firstOf(inference["conv2d"], packingConvSchedule),
    depthwiseConv2d: firstOf(inference["depthwiseConv2d"], variableDepthwiseSchedule),
    fullyConnected: firstOf(inference["fullyConnected"], packingDenseSchedule),
    conv2dInputGradient: inputGradientSchedule,
    conv2dFilterGradient: filterGradientSchedule,
    depthwiseConv2dInputGradient: depthwiseInputGradientSchedule,
    depthwiseConv2dFilterGradient: depthwiseFilterGradientSchedule,
    batchNormTraining: batchNormTrainingSchedule,
    batchNormGradient: batchNormGradientSchedule,
    activationGradient: activationGradientSchedule,
    averagePool2dGradient: averagePoolGradientSchedule,
    sum: channelSumSchedule,
    sgdUpdate: sgdSchedule,
    descentUpdate: descentSchedule,
    adamUpdate: adamSchedule,
  };
}
