import { elementCount, sameShape } from "../../base/index.ts";
import type { Node, Value } from "../../graph/index.ts";
import type { BatchNormAttributes } from "../batch-norm.ts";
import { LEAST_LENGTH } from "../l2-normalization.ts";
import { attributesOf, badNode, inputOf, outputOf } from "../op.ts";
import type { PoolAttributes } from "../pool.ts";
import type { TransposeConvAttributes } from "../transpose-conv.ts";
import type { WindowAttributes } from "../window.ts";
import { binary, channelSums, firstChannels, type GradientContext, type GradientRule, one, reshaped, scaledBy, throughActivation } from "./rule.ts";

/** Where a window lies and how it moves, without its activation. */
function windowOf(node: Node): Record<string, number | string> {
  const a = attributesOf<WindowAttributes>(node);
  const { strideH, strideW, padTop, padBottom, padLeft, padRight, dilationH = 1, dilationW = 1 } = a;
  return { strideH, strideW, padTop, padBottom, padLeft, padRight, dilationH, dilationW, activation: "none" };
}

function biasGradient(g: GradientContext, node: Node, dz: Value): Value | null {
  const bias = node.inputs[2];
  return bias && g.wanted(2) ? channelSums(g, dz, bias.shape) : null;
}

/** Both kinds of convolutions; `inputOp` and `filterOp` are the operators of their gradients. */
function convGradient(inputOp: string, filterOp: string): GradientRule {
  return (g, node, [dy]) => {
    const dz = throughActivation(g, node, dy!);
    const [x, w] = [inputOf(node, 0), inputOf(node, 1)];
    const window = windowOf(node);
    const dx = g.wanted(0) ? one(g, inputOp, [dz, w], { ...window, shape: [...x.shape] }) : null;
    const dw = (): Value => {
      const groupChannels = g.channels(1);
      const from = groupChannels === w.shape[3] ? x : firstChannels(g, x, groupChannels);
      return one(g, filterOp, [from, dz], { ...window, filterH: w.shape[1]!, filterW: w.shape[2]!, groupChannels });
    };
    return [dx, g.wanted(1) ? dw() : null, biasGradient(g, node, dz)];
  };
}

export const conv2d = convGradient("conv2dInputGradient", "conv2dFilterGradient");
export const depthwiseConv2d = convGradient("depthwiseConv2dInputGradient", "depthwiseConv2dFilterGradient");

/** A 1x1 window over rows as pixels. */
const ROWS = { strideH: 1, strideW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0, activation: "none" };

/** A fully connected layer is a 1x1 convolution of its rows. */
export const fullyConnected: GradientRule = (g, node, [dy]) => {
  const [x, w] = [inputOf(node, 0), inputOf(node, 1)];
  const [outC, inC] = w.shape as [number, number];
  const dz = throughActivation(g, node, dy!);
  const rows = elementCount(dz.shape) / outC;
  const pixels = reshaped(g, dz, [1, 1, rows, outC]);
  const filter = reshaped(g, w, [outC, 1, 1, inC]);
  const dx = g.wanted(0) ? reshaped(g, one(g, "conv2dInputGradient", [pixels, filter], { ...ROWS, shape: [1, 1, rows, inC] }), x.shape) : null;
  const dw = (): Value => {
    const groupChannels = g.channels(1);
    const from = firstChannels(g, reshaped(g, x, [1, 1, rows, inC]), groupChannels);
    const filterGradient = one(g, "conv2dFilterGradient", [from, pixels], { ...ROWS, filterH: 1, filterW: 1, groupChannels });
    return reshaped(g, filterGradient, [outC, groupChannels]);
  };
  return [dx, g.wanted(1) ? dw() : null, biasGradient(g, node, dz)];
};

function poolWindow(node: Node): Record<string, number | string> {
  const { filterH, filterW } = attributesOf<PoolAttributes>(node);
  return { ...windowOf(node), filterH, filterW };
}

export const averagePool2d: GradientRule = (g, node, [dy]) => {
  const dz = throughActivation(g, node, dy!);
  return [one(g, "averagePool2dGradient", [dz], { ...poolWindow(node), shape: [...inputOf(node, 0).shape] })];
};

export const maxPool2d: GradientRule = (g, node, [dy]) => {
  const dz = throughActivation(g, node, dy!);
  return [one(g, "maxPool2dGradient", [inputOf(node, 0), dz], poolWindow(node))];
};

export const batchNormTraining: GradientRule = (g, node, [dy, ...rest]) => {
  if (rest.some((each) => each !== null)) throw badNode(node, "has statistics that a loss depends on, which has no gradient here");
  const { epsilon, activation } = attributesOf<BatchNormAttributes>(node);
  const [x, scale, offset] = [0, 1, 2].map((i) => inputOf(node, i)) as [Value, Value, Value];
  const inputs = [x, activation === "none" ? null : offset, dy!, scale, outputOf(node, 1), outputOf(node, 2)];
  return [...g.apply("batchNormGradient", inputs, { epsilon, activation })];
};

/** With given statistics a channel is scaled by scale / √(variance + ε) and shifted. */
export const batchNorm: GradientRule = (g, node, [dy]) => {
  const { epsilon } = attributesOf<BatchNormAttributes>(node);
  const [x, scale, , mean, variance] = [0, 1, 2, 3, 4].map((i) => inputOf(node, i)) as [Value, Value, Value, Value, Value];
  const dz = throughActivation(g, node, dy!);
  const inverse = one(g, "rsqrt", [binary(g, "add", variance, g.constant("epsilon", [1], Float32Array.of(epsilon)))]);
  const factor = binary(g, "mul", scale, inverse);
  const dx = binary(g, "mul", dz, factor);
  const normal = (): Value => binary(g, "mul", binary(g, "sub", x, mean), inverse);
  const dScale = (): Value => channelSums(g, binary(g, "mul", dz, normal()), scale.shape);
  const gradients: readonly (() => Value)[] = [
    () => dx,
    dScale,
    () => channelSums(g, dz, scale.shape),
    () => scaledBy(g, channelSums(g, dx, scale.shape), -1),
    () => scaledBy(g, binary(g, "mul", binary(g, "mul", dScale(), factor), inverse), -0.5),
  ];
  return gradients.map((gradient, i) => (g.wanted(i) ? gradient() : null));
};

/** dx = y · (dy − Σ dy · y) over the last dimension, times beta. */
export const softmax: GradientRule = (g, node, [dy]) => {
  const y = outputOf(node);
  const axes = [y.shape.length - 1];
  const total = one(g, "sum", [binary(g, "mul", dy!, y)], { axes, keepDims: true });
  return [scaledBy(g, binary(g, "mul", y, binary(g, "sub", dy!, total)), attributesOf<{ beta: number }>(node).beta)];
};

/** dx = dy − softmax(x) · Σ dy */
export const logSoftmax: GradientRule = (g, node, [dy]) => {
  const y = outputOf(node);
  const total = one(g, "sum", [dy!], { axes: [y.shape.length - 1], keepDims: true });
  return [binary(g, "sub", dy!, binary(g, "mul", one(g, "exp", [y]), total))];
};

/** d logits = (softmax(logits) · Σ targets − targets) · d loss; targets get none. */
export const softmaxCrossEntropy: GradientRule = (g, node, [dLoss, dProbabilities]) => {
  if (dProbabilities !== null && dProbabilities !== undefined) throw badNode(node, "has probabilities that a loss depends on: use softmax for those");
  const targets = inputOf(node, 1);
  const weights = one(g, "sum", [targets], { axes: [1], keepDims: true });
  const slope = binary(g, "sub", binary(g, "mul", outputOf(node, 1), weights), targets);
  return [binary(g, "mul", slope, reshaped(g, dLoss!, [targets.shape[0]!, 1])), null];
};

/** Straight-through, as behind all rounding: the gradient with respect to the real numbers that the stored ones stand for. */
export const quantize: GradientRule = (_g, _node, [dy]) => [dy!];

/** Straight-through: rounding has no slope worth following. */
export const fakeQuantize: GradientRule = (g, node, [dy]) => [one(g, "fakeQuantizeGradient", [dy!, inputOf(node, 0)], node.attributes)];

export const fakeQuantizeWeights: GradientRule = (_g, _node, [dy]) => [dy!];

export const dropout: GradientRule = (g, node, [dy]) => [one(g, "dropout", [dy!, inputOf(node, 1)], node.attributes), null];

/** x / |x| along the last dimension: (dy − y · Σ dy · y) / |x|, where the length is at least what the operator divides by. */
export const l2Normalization: GradientRule = (g, node, [dy]) => {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const along = { axes: [x.shape.length - 1], keepDims: true };
  const least = g.constant("least", [1], Float32Array.of(LEAST_LENGTH));
  const length = one(g, "maximum", [one(g, "sqrt", [one(g, "sum", [one(g, "square", [x])], along)]), least]);
  const shared = one(g, "sum", [binary(g, "mul", dy!, y)], along);
  return [binary(g, "div", binary(g, "sub", dy!, binary(g, "mul", y, shared)), length)];
};

/** A transposed convolution is the gradient of a convolution, so its own gradients are convolutions with the weights the other way round. */
export const transposeConv2d: GradientRule = (g, node, [dy]) => {
  const whole = throughActivation(g, node, dy!);
  const [x, w] = [inputOf(node, 0), inputOf(node, 1)];
  const a = attributesOf<TransposeConvAttributes>(node);
  // How far the last windows reach: over the output's end there is padding, and what lies behind them no input has reached.
  const height = (x.shape[1]! - 1) * a.strideH + w.shape[1]! - a.padTop;
  const width = (x.shape[2]! - 1) * a.strideW + w.shape[2]! - a.padLeft;
  const [batch, , , channels] = whole.shape as [number, number, number, number];
  const reached = [batch, Math.min(height, a.outputHeight), Math.min(width, a.outputWidth), channels];
  const dz = sameShape(reached, whole.shape) ? whole : one(g, "slice", [whole], { begin: [0, 0, 0, 0], size: reached });
  const window = { ...windowOf(node), padBottom: height - reached[1]!, padRight: width - reached[2]! };
  const turned = (weights: Value): Value => one(g, "transpose", [weights], { permutation: [3, 1, 2, 0] });
  const size = { filterH: w.shape[1]!, filterW: w.shape[2]!, groupChannels: w.shape[0]! };
  const dx = g.wanted(0) ? one(g, "conv2d", [dz, turned(w), null], window) : null;
  const dw = g.wanted(1) ? turned(one(g, "conv2dFilterGradient", [dz, x], { ...window, ...size })) : null;
  return [dx, dw, biasGradient(g, node, whole)];
};
