import { elementCount } from "../../base/index.ts";
import type { Attributes, Quantization, Value } from "../../graph/index.ts";
import { add } from "./math.ts";
import { concatenated, sliced } from "./ops-movement.ts";
import type { Rule, Site } from "./site.ts";
import { type WindowPlan, windowPlan } from "./window.ts";

/** Channels last, as Kinglet has them; the layout pass takes the transposes away again. */
export function channelsLast(site: Site, x: Value): Value {
  return site.transpose(x, [0, ...x.shape.slice(2).map((_, d) => d + 2), 1]);
}

export function channelsFirst(site: Site, y: Value): Value {
  const rank = y.shape.length;
  return site.transpose(y, [0, rank - 1, ...y.shape.slice(2).map((_, d) => d + 1)]);
}

/** A plan for rows and columns; one dimension becomes the columns of one row. */
export function flatPlan(plan: WindowPlan): WindowPlan {
  if (plan.kernel.length === 2) return plan;
  const with1 = (list: readonly number[], first: number): number[] => [first, ...list];
  return {
    kernel: with1(plan.kernel, 1),
    strides: with1(plan.strides, 1),
    dilations: with1(plan.dilations, 1),
    before: with1(plan.before, 0),
    after: with1(plan.after, 0),
    extra: with1(plan.extra, 0),
  };
}

export function windowAttributes(p: WindowPlan): Record<string, number | string> {
  return {
    strideH: p.strides[0]!,
    strideW: p.strides[1]!,
    dilationH: p.dilations[0]!,
    dilationW: p.dilations[1]!,
    padTop: p.before[0]!,
    padBottom: p.after[0]! + p.extra[0]!,
    padLeft: p.before[1]!,
    padRight: p.after[1]! + p.extra[1]!,
    activation: "none",
  };
}

/** [n, c, l] as [n, c, 1, l]. */
export function asImage(site: Site, x: Value): Value {
  return x.shape.length === 3 ? site.reshape(x, [x.shape[0]!, x.shape[1]!, 1, x.shape[2]!]) : x;
}

/** One convolution of images: x [n,c,h,w], weights [o,c/g,kh,kw], in the layouts that Kinglet's operators have. */
function convImage(site: Site, x: Value, w: Value, bias: Value | null, plan: WindowPlan, group: number, quantization?: Quantization): Value {
  const attributes: Attributes = windowAttributes(plan);
  const [channels, outputs] = [x.shape[1]!, w.shape[0]!];
  const depthwise = group === channels && group > 1 && outputs % group === 0;
  const image = channelsLast(site, x);
  const weights = depthwise ? perTensorAxis(site, w, [1, 2, 3, 0], 3) : perTensorAxis(site, w, [0, 2, 3, 1], 0);
  const [op, more] = depthwise ? ["depthwiseConv2d", { depthMultiplier: outputs / group }] : ["conv2d", {}];
  return channelsFirst(site, site.emit(op, [image, weights, bias], { ...attributes, ...more }, quantization));
}

/** Transposes weights; scales that run along their first axis move with it. */
function perTensorAxis(site: Site, w: Value, permutation: readonly number[], axis: number): Value {
  const quantization = w.quantization === undefined ? undefined : { ...w.quantization, axis: w.quantization.scales.length > 1 ? axis : 0 };
  return site.emit("transpose", [w], { permutation: [...permutation] }, quantization);
}

function padded(site: Site, x: Value, axis: number, before: number, after: number): Value {
  if (before === 0 && after === 0) return x;
  const at = (amount: number): number[] => x.shape.map((_, d) => (d === axis ? amount : 0));
  return site.emit("pad", [x], { before: at(before), after: at(after), value: 0 });
}

/** The images of a volume that one tap of the filter's depth meets: [n·d, c, h, w]. */
function slicesAt(site: Site, x: Value, first: number, stride: number, count: number): Value {
  const [n, c, , h, w] = x.shape as [number, number, number, number, number];
  const shape = [n, c, count, h, w];
  const picked = site.emit("stridedSlice", [x], { begin: [0, 0, first, 0, 0], strides: [1, 1, stride, 1, 1], shape, newShape: shape });
  return site.reshape(site.transpose(picked, [0, 2, 1, 3, 4]), [n * count, c, h, w]);
}

/** A 3-D convolution is the sum, over the taps of the filter's depth, of 2-D ones. */
function convVolume(site: Site, x: Value, w: Value, bias: Value | null, plan: WindowPlan, group: number): Value {
  const drop = (list: readonly number[]): number[] => list.slice(1);
  const flat: WindowPlan = {
    kernel: drop(plan.kernel),
    strides: drop(plan.strides),
    dilations: drop(plan.dilations),
    before: drop(plan.before),
    after: drop(plan.after),
    extra: drop(plan.extra),
  };
  const [depth, stride, dilation] = [plan.kernel[0]!, plan.strides[0]!, plan.dilations[0]!];
  const volume = padded(site, x, 2, plan.before[0]!, plan.after[0]!);
  const count = Math.floor((volume.shape[2]! - (depth - 1) * dilation - 1) / stride) + 1;
  if (count < 1) site.fail("the window is deeper than the input");
  const taps = Array.from({ length: depth }, (_, k) => {
    const weights = site.reshape(sliced(site, w, 2, k, 1), [...w.shape.slice(0, 2), ...w.shape.slice(3)]);
    return convImage(site, slicesAt(site, volume, k * dilation, stride, count), weights, k === 0 ? bias : null, flat, group);
  });
  const sum = taps.reduce((a, b) => add(site, a, b));
  const [, channels, h, width] = sum.shape as [number, number, number, number];
  return site.transpose(site.reshape(sum, [x.shape[0]!, count, channels, h, width]), [0, 2, 1, 3, 4]);
}

function conv(site: Site): Value {
  const [x, w, bias] = [site.input(0), site.input(1), site.optional(2)];
  const rank = x.shape.length - 2;
  if (rank < 1 || rank > 3 || w.shape.length !== rank + 2)
    site.unsupported(`a convolution of an input of ${x.shape.length} dimensions is not supported`);
  const group = site.int("group", 1);
  const plan = windowPlan(site, x.shape.slice(2), site.ints("kernel_shape") ?? w.shape.slice(2));
  return convOf(site, x, w, bias, plan, group, site.quantization);
}

/** A convolution in one, two or three dimensions. */
export function convOf(site: Site, x: Value, w: Value, bias: Value | null, plan: WindowPlan, group: number, quantization?: Quantization): Value {
  if (w.shape[1]! * group !== x.shape[1]) site.fail(`weights of ${w.shape[1]} channels in ${group} groups do not fit ${x.shape[1]} channels`);
  if (plan.kernel.length === 3) return convVolume(site, x, w, bias, plan, group);
  const y = convImage(site, asImage(site, x), asImage(site, w), bias, flatPlan(plan), group, quantization);
  return x.shape.length === 3 ? site.reshape(y, [y.shape[0]!, y.shape[1]!, y.shape[3]!]) : y;
}

interface TransposedPlan {
  readonly plan: WindowPlan;
  readonly outputs: readonly number[];
}

/** Padding and output sizes of a transposed convolution: its output is what a convolution would have had as its input. */
function transposedPlan(site: Site, sizes: readonly number[], kernel: readonly number[]): TransposedPlan {
  const rank = sizes.length;
  const strides = site.ints("strides") ?? sizes.map(() => 1);
  const dilations = site.ints("dilations") ?? sizes.map(() => 1);
  const extra = site.ints("output_padding") ?? sizes.map(() => 0);
  const pads = site.ints("pads") ?? new Array<number>(2 * rank).fill(0);
  const wanted = site.ints("output_shape")?.slice(-rank);
  const auto = site.text("auto_pad", "NOTSET");
  const same = auto === "SAME_UPPER" || auto === "SAME_LOWER";
  const full = sizes.map((size, d) => (size - 1) * strides[d]! + extra[d]! + (kernel[d]! - 1) * dilations[d]! + 1);
  const outputs = wanted ?? full.map((size, d) => (same ? sizes[d]! * strides[d]! : auto === "VALID" ? size : size - pads[d]! - pads[rank + d]!));
  const before = full.map((size, d) => {
    if (wanted === undefined && !same) return auto === "VALID" ? 0 : pads[d]!;
    const total = Math.max(0, size - outputs[d]!);
    return auto === "SAME_UPPER" ? Math.floor(total / 2) : total - Math.floor(total / 2);
  });
  return { plan: { kernel, strides, dilations, before, after: before, extra: sizes.map(() => 0) }, outputs };
}

/** Weights with zeros between their elements: a dilated filter as a plain one. */
function dilated(site: Site, w: Value, dilations: readonly number[]): Value {
  return dilations.reduce((weights, step, d) => {
    if (step === 1 || weights.shape[d + 2] === 1) return weights;
    const axis = d + 2;
    const spread = [...weights.shape.slice(0, axis + 1), 1, ...weights.shape.slice(axis + 1)];
    const withZeros = padded(site, site.reshape(weights, spread), axis + 1, 0, step - 1);
    const long = site.reshape(withZeros, [...weights.shape.slice(0, axis), weights.shape[axis]! * step, ...weights.shape.slice(axis + 1)]);
    return sliced(site, long, axis, 0, (weights.shape[axis]! - 1) * step + 1);
  }, w);
}

function convTranspose(site: Site): Value {
  const [x, w, bias] = [site.input(0), site.input(1), site.optional(2)];
  const rank = x.shape.length - 2;
  if (rank < 1 || rank > 3) site.unsupported(`a transposed convolution in ${rank} dimensions is not supported`);
  const group = site.int("group", 1);
  const { plan, outputs } = transposedPlan(site, x.shape.slice(2), site.ints("kernel_shape") ?? w.shape.slice(2));
  const weights = dilated(site, w, plan.dilations);
  // One layer has its bias itself; that of several parts, or of a running network, is added to their sum.
  const own = group === 1 && rank < 3 && bias?.data !== undefined ? bias : null;
  const parts = Array.from({ length: group }, (_, g) => {
    const each = { x: x.shape[1]! / group, w: w.shape[0]! / group };
    const part = { x: sliced(site, x, 1, g * each.x, each.x), w: sliced(site, weights, 0, g * each.w, each.w) };
    if (rank === 3) return transposedVolume(site, part.x, part.w, plan, outputs);
    const [image, filters] = [asImage(site, part.x), asImage(site, part.w)];
    return transposedImage(site, image, filters, own, flatPlan(plan), rank === 1 ? [1, ...outputs] : outputs);
  });
  const joined = concatenated(site, parts, 1);
  const y = rank === 1 ? site.reshape(joined, [joined.shape[0]!, joined.shape[1]!, joined.shape[3]!]) : joined;
  return bias === null || own !== null ? y : add(site, y, site.reshape(bias, [elementCount(bias.shape), ...x.shape.slice(2).map(() => 1)]));
}

function transposedImage(site: Site, x: Value, w: Value, bias: Value | null, plan: WindowPlan, outputs: readonly number[]): Value {
  const attributes = { ...windowAttributes(plan), outputHeight: outputs[0]!, outputWidth: outputs[1]! };
  const weights = perTensorAxis(site, w, [1, 2, 3, 0], 0);
  return channelsFirst(site, site.emit("transposeConv2d", [channelsLast(site, x), weights, bias], attributes, site.quantization));
}

/** Every image of the output is the sum of what the images of the input give it. */
function transposedVolume(site: Site, x: Value, w: Value, plan: WindowPlan, outputs: readonly number[]): Value {
  const drop = (list: readonly number[]): number[] => list.slice(1);
  const flat: WindowPlan = {
    ...plan,
    kernel: drop(plan.kernel),
    strides: drop(plan.strides),
    before: drop(plan.before),
    after: drop(plan.after),
    extra: drop(plan.extra),
    dilations: [1, 1],
  };
  const image = (value: Value, d: number): Value => site.reshape(sliced(site, value, 2, d, 1), [...value.shape.slice(0, 2), ...value.shape.slice(3)]);
  const layers = Array.from({ length: outputs[0]! }, (_, o) => {
    const terms: Value[] = [];
    for (let i = 0; i < x.shape[2]!; i++) {
      const tap = o + plan.before[0]! - i * plan.strides[0]!;
      if (tap >= 0 && tap < w.shape[2]!) terms.push(transposedImage(site, image(x, i), image(w, tap), null, flat, drop(outputs)));
    }
    const [first, ...rest] = terms;
    if (first === undefined) return site.unsupported("an output that no input reaches is not supported");
    const sum = rest.reduce((a, b) => add(site, a, b), first);
    return site.reshape(sum, [...sum.shape.slice(0, 2), 1, ...sum.shape.slice(2)]);
  });
  return concatenated(site, layers, 2);
}

export const CONV: Readonly<Record<string, Rule>> = { Conv: conv, ConvTranspose: convTranspose };
