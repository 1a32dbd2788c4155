import * as elementwise from "./elementwise.ts";
import * as layers from "./layers.ts";
import * as movement from "./movement.ts";
import type { GradientRule } from "./rule.ts";
import * as sampling from "./sampling.ts";
import * as selection from "./selection.ts";
import type { OpName } from "../table.ts";

export type { GradientContext, GradientRule } from "./rule.ts";

const { activation } = elementwise;

/** The gradient rules by operator; operators that are not here have none. */
const GRADIENTS: Partial<Record<OpName, GradientRule>> = {
  conv2d: layers.conv2d,
  depthwiseConv2d: layers.depthwiseConv2d,
  fullyConnected: layers.fullyConnected,
  averagePool2d: layers.averagePool2d,
  maxPool2d: layers.maxPool2d,
  batchNormTraining: layers.batchNormTraining,
  softmax: layers.softmax,
  logSoftmax: layers.logSoftmax,
  softmaxCrossEntropy: layers.softmaxCrossEntropy,
  dropout: layers.dropout,
  quantize: layers.quantize,
  dequantize: layers.quantize,
  fakeQuantize: layers.fakeQuantize,
  fakeQuantizeWeights: layers.fakeQuantizeWeights,
  add: elementwise.add,
  sub: elementwise.sub,
  mul: elementwise.mul,
  div: elementwise.div,
  addN: elementwise.addN,
  squaredDifference: elementwise.squaredDifference,
  relu: activation,
  relu6: activation,
  reluN1To1: activation,
  leakyRelu: activation,
  hardSwish: activation,
  elu: activation,
  gelu: activation,
  logistic: activation,
  tanh: activation,
  abs: activation,
  exp: elementwise.exp,
  log: elementwise.log,
  sqrt: elementwise.sqrt,
  rsqrt: elementwise.rsqrt,
  square: elementwise.square,
  neg: elementwise.neg,
  sin: elementwise.sin,
  cos: elementwise.cos,
  reshape: movement.reshape,
  transpose: movement.transpose,
  concatenation: movement.concatenation,
  slice: movement.slice,
  split: movement.split,
  pad: movement.pad,
  sum: movement.sum,
  mean: movement.mean,
  broadcastTo: movement.broadcastTo,
  batchMatmul: movement.batchMatmul,
  pack: movement.pack,
  unpack: movement.unpack,
  tile: movement.tile,
  cumsum: movement.cumsum,
  depthToSpace: movement.depthToSpace,
  spaceToDepth: movement.spaceToDepth,
  maximum: selection.maximum,
  minimum: selection.minimum,
  reduceMax: selection.reduceExtreme,
  reduceMin: selection.reduceExtreme,
  select: selection.select,
  prelu: selection.prelu,
  reduceProd: selection.reduceProd,
  pow: elementwise.pow,
  stridedSlice: movement.stridedSlice,
  mirrorPad: movement.mirrorPad,
  fill: movement.fill,
  spaceToBatch: movement.spaceToBatch,
  batchToSpace: movement.batchToSpace,
  gather: sampling.gather,
  embeddingLookup: sampling.embeddingLookup,
  resizeBilinear: sampling.resize,
  resizeNearest: sampling.resize,
  batchNorm: layers.batchNorm,
  l2Normalization: layers.l2Normalization,
  transposeConv2d: layers.transposeConv2d,
};

/** The gradient rule of an operator, or undefined. */
export function findGradient(op: string): GradientRule | undefined {
  return Object.hasOwn(GRADIENTS, op) ? GRADIENTS[op as OpName] : undefined;
}
