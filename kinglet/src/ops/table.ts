import { elu, gelu, hardSwish, leakyRelu, prelu, relu, relu6, reluN1To1 } from "./activations.ts";
import { add, addN, div, mul, squaredDifference, sub } from "./arithmetic.ts";
import { equal, greater, greaterEqual, less, lessEqual, logicalAnd, logicalNot, logicalOr, notEqual, select } from "./compare.ts";
import { floorDiv, floorMod, maximum, minimum, pow } from "./integer-math.ts";
import { logistic, tanh } from "./sigmoid.ts";
import { logSoftmax, softmax } from "./softmax.ts";
import { abs, atan, ceil, cos, erf, exp, floor, log, neg, round, rsqrt, sin, sqrt, square } from "./unary.ts";
import { conv2d, depthwiseConv2d } from "./conv.ts";
import { fullyConnected } from "./dense.ts";
import { batchMatmul } from "./batch-matmul.ts";
import { batchNorm } from "./batch-norm.ts";
import { lstm } from "./lstm.ts";
import { mean, reduceMax, reduceMin, reduceProd, sum } from "./reduce.ts";
import { svdf } from "./svdf.ts";
import { transposeConv2d } from "./transpose-conv.ts";
import { argMax, argMin } from "./arg.ts";
import { bitwiseAnd, bitwiseNot, bitwiseOr, bitwiseXor, shiftLeft, shiftRight } from "./bitwise.ts";
import { roundFloat } from "./round-float.ts";
import { scatter } from "./scatter.ts";
import { topK } from "./top-k.ts";
import { nonMaxSuppression } from "./non-max-suppression.ts";
import { roiAlign } from "./roi-align.ts";
import { detectionPostprocess } from "./detection-postprocess.ts";
import { embeddingLookup, gather, gatherNd } from "./gather.ts";
import { concatenation, pack, split, unpack } from "./concat.ts";
import { cast, dequantize, quantize } from "./convert.ts";
import { batchToSpace, broadcastTo, depthToSpace, fill, spaceToBatch, spaceToDepth, tile, transpose } from "./rearrange.ts";
import { mirrorPad } from "./mirror.ts";
import { pad, slice, stridedSlice } from "./slice.ts";
import { assignVariable, readVariable } from "./variables.ts";
import type { OpDef } from "./op.ts";
import { fftAutoScale, filterBankLog, filterBankSquareRoot, signalWindow, spectrumEnergy } from "./audio-frontend.ts";
import { pcanGain, spectralSubtraction } from "./audio-gain.ts";
import { filterBank, filterBankAccumulate } from "./filter-bank.ts";
import { biquad } from "./biquad.ts";
import { frames, spectrogram } from "./frames.ts";
import { pcen } from "./pcen.ts";
import { rfft, spectrumPower } from "./rfft.ts";
import { streamFrames } from "./stream-frames.ts";
import { timeStatistics } from "./time-statistics.ts";
import { cumsum } from "./cumsum.ts";
import { l2Normalization } from "./l2-normalization.ts";
import { reshape } from "./reshape.ts";
import { resizeBilinear, resizeNearest } from "./resize.ts";
import { averagePool2d, maxPool2d } from "./pool.ts";
import { activationGradient } from "./activation-gradient.ts";
import { batchNormGradient, batchNormTraining } from "./batch-norm-training.ts";
import { conv2dFilterGradient, conv2dInputGradient, depthwiseConv2dFilterGradient, depthwiseConv2dInputGradient } from "./conv-gradient.ts";
import { softmaxCrossEntropy } from "./cross-entropy.ts";
import { dropout } from "./dropout.ts";
import { fakeQuantize, fakeQuantizeGradient, fakeQuantizeWeights } from "./fake-quantize.ts";
import { conv2dFilterUpdate, depthwiseConv2dFilterUpdate } from "./filter-update.ts";
import { mapValues } from "./map-values.ts";
import { oneVersusOneProbabilities, oneVersusOneScores, oneVersusOneVotes } from "./one-versus-one.ts";
import { squaredDistances } from "./squared-distances.ts";
import { treeEnsemble } from "./tree-ensemble.ts";
import { adamUpdate, descentUpdate, movingAverage, rmsPropUpdate, sgdUpdate } from "./optimizer-updates.ts";
import { averagePool2dGradient, maxPool2dGradient } from "./pool-gradient.ts";
import { quantizedDescentUpdate } from "./quantized-update.ts";

/** Every operator by name. A family's file gives its operators; this is the only place that lists them. */
export const OPS = {
  conv2d,
  depthwiseConv2d,
  fullyConnected,
  batchNorm,
  averagePool2d,
  maxPool2d,
  add,
  sub,
  mul,
  div,
  addN,
  squaredDifference,
  maximum,
  minimum,
  pow,
  floorDiv,
  floorMod,
  equal,
  notEqual,
  less,
  lessEqual,
  greater,
  greaterEqual,
  logicalAnd,
  logicalOr,
  logicalNot,
  select,
  bitwiseAnd,
  bitwiseOr,
  bitwiseXor,
  bitwiseNot,
  shiftLeft,
  shiftRight,
  relu,
  relu6,
  reluN1To1,
  leakyRelu,
  prelu,
  hardSwish,
  elu,
  gelu,
  logistic,
  tanh,
  exp,
  log,
  sqrt,
  rsqrt,
  abs,
  neg,
  floor,
  ceil,
  round,
  sin,
  cos,
  atan,
  erf,
  square,
  softmax,
  logSoftmax,
  reshape,
  transposeConv2d,
  batchMatmul,
  svdf,
  lstm,
  mean,
  sum,
  reduceMax,
  reduceMin,
  reduceProd,
  concatenation,
  split,
  pack,
  unpack,
  slice,
  stridedSlice,
  pad,
  mirrorPad,
  transpose,
  tile,
  broadcastTo,
  fill,
  spaceToBatch,
  batchToSpace,
  depthToSpace,
  spaceToDepth,
  cast,
  quantize,
  dequantize,
  roundFloat,
  readVariable,
  assignVariable,
  gather,
  gatherNd,
  scatter,
  embeddingLookup,
  argMax,
  argMin,
  topK,
  nonMaxSuppression,
  detectionPostprocess,
  roiAlign,
  resizeBilinear,
  resizeNearest,
  cumsum,
  l2Normalization,
  activationGradient,
  conv2dInputGradient,
  conv2dFilterGradient,
  depthwiseConv2dInputGradient,
  depthwiseConv2dFilterGradient,
  averagePool2dGradient,
  maxPool2dGradient,
  batchNormTraining,
  batchNormGradient,
  softmaxCrossEntropy,
  dropout,
  fakeQuantize,
  fakeQuantizeGradient,
  fakeQuantizeWeights,
  sgdUpdate,
  descentUpdate,
  quantizedDescentUpdate,
  conv2dFilterUpdate,
  depthwiseConv2dFilterUpdate,
  adamUpdate,
  rmsPropUpdate,
  movingAverage,
  frames,
  rfft,
  spectrumPower,
  filterBank,
  spectrogram,
  pcen,
  biquad,
  timeStatistics,
  streamFrames,
  signalWindow,
  fftAutoScale,
  spectrumEnergy,
  filterBankAccumulate,
  filterBankSquareRoot,
  spectralSubtraction,
  pcanGain,
  filterBankLog,
  treeEnsemble,
  squaredDistances,
  oneVersusOneScores,
  oneVersusOneVotes,
  oneVersusOneProbabilities,
  mapValues,
} satisfies Record<string, OpDef>;

export type OpName = keyof typeof OPS;

/** The operator of that name, or undefined. */
export function findOp(name: string): OpDef | undefined {
  return Object.hasOwn(OPS, name) ? OPS[name as OpName] : undefined;
}
