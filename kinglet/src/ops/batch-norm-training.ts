import { elementCount, sameShape } from "../base/index.ts";
import type { Node, ValueType } from "../graph/index.ts";
import { type Buffer, type Expr, f32, type KernelBuilder, type KernelInstance, type Variable } from "../loops/index.ts";
import type { BatchNormAttributes } from "./batch-norm.ts";
import { activatePlain } from "./elementwise.ts";
import { attributesOf, inputOf, type OpDef, refuse, typeAt, unsupportedTypes } from "./op.ts";
import type { Activation } from "./quantization.ts";

function needFloats(node: Node): void {
  if ([...node.inputs, ...node.outputs].some((value) => value !== null && value.dtype !== "float32")) throw unsupportedTypes(node);
}

/** Images, pixels of one, and channels, as kernel parameters. */
interface NormSizes {
  readonly images: number;
  readonly pixels: number;
  readonly channels: number;
}

function normSizes(x: ValueType): NormSizes {
  const channels = x.shape.at(-1)!;
  return { images: x.shape[0]!, pixels: elementCount(x.shape.slice(1, -1)), channels };
}

/** Sums over all pixels of a channel: image by image first, which keeps rounding small and lets images be summed apart. */
function channelSum(k: KernelBuilder, s: NormSizes, c: Expr, terms: number, term: (at: Expr) => readonly Expr[]): Expr[] {
  const totals = Array.from({ length: terms }, (_, i) => k.variable(`total${i}`, f32(0)));
  const channels = k.int("channels", s.channels);
  k.for("n", 0, k.int("images", s.images), (n) => {
    const sums = totals.map((_, i): Variable => k.variable(`sum${i}`, f32(0)));
    k.for("p", 0, k.int("pixels", s.pixels), (p) => {
      const at = k.let("at", n.mul(k.int("pixels", s.pixels)).add(p).mul(channels).add(c));
      term(at).forEach((value, i) => sums[i]!.set(sums[i]!.get().add(value)));
    });
    totals.forEach((total, i) => total.set(total.get().add(sums[i]!.get())));
  });
  return totals.map((total, i) => k.let(`all${i}`, total.get()));
}

/** A channel's elements one by one. */
function eachOfChannel(k: KernelBuilder, s: NormSizes, c: Expr, body: (at: Expr) => void): void {
  k.for("i", 0, k.int("elements", s.images * s.pixels), (i) => body(k.let("to", i.mul(k.int("channels", s.channels)).add(c))));
}

function trainingLoops(k: KernelBuilder, node: Node): KernelInstance {
  needFloats(node);
  const { epsilon, activation } = attributesOf<BatchNormAttributes>(node);
  const s = normSizes(inputOf(node, 0));
  const [x, scale, offset] = [k.input(0, "x"), k.input(1, "scale"), k.input(2, "offset")];
  const [y, mean, variance] = [k.output(0, "y"), k.output(1, "mean"), k.output(2, "variance")];
  const count = k.float("count", s.images * s.pixels);
  k.for("c", 0, k.int("channels", s.channels), (c) => {
    const [sum] = channelSum(k, s, c, 1, (at) => [x.load(at)]);
    const average = k.let("average", sum!.div(count));
    mean.store(c, average);
    const [squares] = channelSum(k, s, c, 1, (at) => {
      const d = k.let("d", x.load(at).sub(average));
      return [d.mul(d)];
    });
    const spread = k.let("spread", squares!.div(count));
    variance.store(c, spread);
    const factor = k.let("factor", scale.load(c).div(spread.add(k.float("epsilon", epsilon)).sqrt()));
    const shift = k.let("shift", offset.load(c).sub(average.mul(factor)));
    eachOfChannel(k, s, c, (at) => y.store(at, activatePlain(k, x.load(at).mul(factor).add(shift), activation)));
  });
  return k.finish(`batch_norm_training_${activation.toLowerCase()}_f32`, "Batch normalization by the batch's own statistics.");
}

/** Which results lie inside the bounds of a fused activation. */
function isOpen(activation: Activation, result: Expr): Expr {
  const above = result.gt(f32(activation === "reluN1To1" ? -1 : 0));
  return activation === "relu" ? above : above.and(result.lt(f32(activation === "relu6" ? 6 : 1)));
}

interface Normalized {
  readonly x: Buffer;
  readonly dy: Buffer;
  /** The channel's numbers. */
  readonly offset: Expr | undefined;
  readonly scale: Expr;
  readonly average: Expr;
  readonly deviation: Expr;
}

/** dy before the fused activation: 0 where that cut the result off, which is computed again as it was. */
function beforeActivation(k: KernelBuilder, activation: Activation, { x, dy, offset, scale, average, deviation }: Normalized): (at: Expr) => Expr {
  if (offset === undefined) return (at) => dy.load(at);
  const factor = k.let("factor", scale.div(deviation));
  const shift = k.let("shift", offset.sub(average.mul(factor)));
  return (at) => isOpen(activation, x.load(at).mul(factor).add(shift)).select(dy.load(at), f32(0));
}

function gradientLoops(k: KernelBuilder, node: Node): KernelInstance {
  needFloats(node);
  const { epsilon, activation } = attributesOf<BatchNormAttributes>(node);
  if (activation === "tanh") throw unsupportedTypes(node);
  const s = normSizes(inputOf(node, 0));
  const x = k.input(0, "x");
  const offset = activation === "none" ? null : k.input(1, "offset");
  const [dy, scale, mean, variance] = [k.input(2, "dy"), k.input(3, "scale"), k.input(4, "mean"), k.input(5, "variance")];
  const [dx, dScale, dOffset] = [k.output(0, "dx"), k.output(1, "dscale"), k.output(2, "doffset")];
  const count = k.float("count", s.images * s.pixels);
  k.for("c", 0, k.int("channels", s.channels), (c) => {
    const average = k.let("average", mean.load(c));
    const deviation = k.let("deviation", variance.load(c).add(k.float("epsilon", epsilon)).sqrt());
    const inverse = k.let("inverse", f32(1).div(deviation));
    const before = beforeActivation(k, activation, { x, dy, offset: offset?.load(c), scale: scale.load(c), average, deviation });
    const [sum, products] = channelSum(k, s, c, 2, (at) => {
      const gradient = k.let("gradient", before(at));
      return [gradient, gradient.mul(x.load(at).sub(average))];
    });
    dOffset.store(c, sum!);
    const slope = k.let("slope", products!.mul(inverse));
    dScale.store(c, slope);
    // dx = scale · inverse · (dy − mean(dy) − x̂ · mean(dy · x̂)), written as a · dy + b · x + d
    const a = k.let("a", scale.load(c).mul(inverse));
    const b = k.let("b", f32(0).sub(a.mul(slope).mul(inverse).div(count)));
    const d = k.let("rest", f32(0).sub(a.mul(sum!).div(count)).sub(b.mul(average)));
    eachOfChannel(k, s, c, (at) => dx.store(at, a.mul(before(at)).add(b.mul(x.load(at)).add(d))));
  });
  return k.finish(`batch_norm_gradient_${activation.toLowerCase()}_f32`, "Gradients of a batch normalization by the batch's own statistics.");
}

const floats = (shape: number[]): ValueType => ({ dtype: "float32", shape });

/** y = scale · (x − mean) / √(variance + epsilon) + offset with the batch's mean and biased variance, which are outputs 1 and 2. */
export const batchNormTraining: OpDef = {
  name: "batchNormTraining",
  infer(inputs) {
    const [x, scale, offset] = [0, 1, 2].map((i) => typeAt("batchNormTraining", inputs, i)) as [ValueType, ValueType, ValueType];
    const channels = [x.shape.at(-1)!];
    if (x.shape.length < 2 || !sameShape(scale.shape, channels) || !sameShape(offset.shape, channels))
      refuse("batchNormTraining", `scale and offset must be [${channels[0]}]`);
    return [
      { dtype: x.dtype, shape: x.shape },
      { dtype: x.dtype, shape: channels },
      { dtype: x.dtype, shape: channels },
    ];
  },
  loops: trainingLoops,
  cases: (["none", "relu", "relu6"] as const).map((activation) => ({
    name: activation,
    inputs: [floats([3, 4, 5, 12]), floats([12]), floats([12])],
    outputs: [floats([3, 4, 5, 12]), floats([12]), floats([12])],
    attributes: { epsilon: 1e-3, activation },
  })),
};

/** dx, dscale and doffset from x, offset (null without an activation), dy, scale, and the batch's mean and variance. */
export const batchNormGradient: OpDef = {
  name: "batchNormGradient",
  infer(inputs) {
    const [x, scale] = [typeAt("batchNormGradient", inputs, 0), typeAt("batchNormGradient", inputs, 3)];
    const channels = { dtype: x.dtype, shape: scale.shape };
    return [{ dtype: x.dtype, shape: x.shape }, channels, channels];
  },
  loops: gradientLoops,
  cases: (["none", "relu", "relu6"] as const).map((activation) => ({
    name: activation,
    inputs: [
      floats([3, 4, 5, 12]),
      activation === "none" ? null : { ...floats([12]), low: -1, high: 7 },
      floats([3, 4, 5, 12]),
      floats([12]),
      floats([12]),
      { ...floats([12]), low: 0.5, high: 2 },
    ],
    outputs: [floats([3, 4, 5, 12]), floats([12]), floats([12])],
    attributes: { epsilon: 1e-3, activation },
  })),
};
