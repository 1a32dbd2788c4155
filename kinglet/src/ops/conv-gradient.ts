import { elementCount } from "../base/index.ts";
import type { Attributes, Node, ValueType } from "../graph/index.ts";
import { type Expr, f32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { attributesOf, inputOf, type OpCase, type OpDef, outputOf, refuse, typeAt } from "./op.ts";
import { needFloats, realInput, realSuffix } from "./real-input.ts";
import { eachInside, eachPixel, type WindowAttributes, windowPositions, type WindowSizes, windowSizes } from "./window.ts";

/** Of a gradient with respect to the input: its shape, [n, h, w, c]. */
export interface InputGradientAttributes extends WindowAttributes {
  readonly shape: readonly number[];
}

/** Of a gradient with respect to the weights: the filter's size. */
export interface FilterGradientAttributes extends WindowAttributes {
  readonly filterH: number;
  readonly filterW: number;
  /** Input channels of a group (conv2d). */
  readonly groupChannels: number;
}

/** Positions of a window whose results a gradient must have. */
function checkPositions(op: string, x: readonly number[], dy: ValueType, filter: readonly [number, number], a: WindowAttributes): void {
  const h = windowPositions(op, x[1]!, a.padTop, a.padBottom, filter[0], a.strideH, a.dilationH);
  const w = windowPositions(op, x[2]!, a.padLeft, a.padRight, filter[1], a.strideW, a.dilationW);
  if (dy.shape[1] !== h || dy.shape[2] !== w || dy.shape[0] !== x[0]) refuse(op, `a gradient of [${x[0]},${h},${w},…] is needed`);
}

/** Visits the window positions that read input pixel (iy, ix), in their order: the filter element they read it with, and their pixel. */
function eachReader(
  k: KernelBuilder,
  s: WindowSizes,
  a: WindowAttributes,
  n: Expr,
  iy: Expr,
  ix: Expr,
  body: (ky: Expr, kx: Expr, pixel: Expr) => void,
): void {
  const [strideH, strideW] = [k.int("stride_h", a.strideH), k.int("stride_w", a.strideW)];
  k.for("above", 0, s.filterH, (above) => {
    const ky = k.let("ky", s.filterH.sub(1).sub(above));
    const y = k.let("y", iy.add(k.int("pad_top", a.padTop)).sub(ky.mul(k.int("dilation_h", a.dilationH ?? 1))));
    const oy = k.let("oy", y.max(0).div(strideH));
    k.if(y.eq(oy.mul(strideH)).and(oy.lt(s.outH)), () =>
      k.for("before", 0, s.filterW, (before) => {
        const kx = k.let("kx", s.filterW.sub(1).sub(before));
        const x = k.let("x", ix.add(k.int("pad_left", a.padLeft)).sub(kx.mul(k.int("dilation_w", a.dilationW ?? 1))));
        const ox = k.let("ox", x.max(0).div(strideW));
        k.if(x.eq(ox.mul(strideW)).and(ox.lt(s.outW)), () => body(ky, kx, k.let("pixel", n.mul(s.outH).add(oy).mul(s.outW).add(ox))));
      }),
    );
  });
}

function eachInputPixel(k: KernelBuilder, s: WindowSizes, body: (n: Expr, iy: Expr, ix: Expr, pixel: Expr) => void): void {
  k.for("n", 0, s.batches, (n) =>
    k.for("iy", 0, s.inH, (iy) => k.for("ix", 0, s.inW, (ix) => body(n, iy, ix, k.let("to", n.mul(s.inH).add(iy).mul(s.inW).add(ix).mul(s.inC))))),
  );
}

function inputGradientLoops(k: KernelBuilder, node: Node): KernelInstance {
  needFloats(node, [1]);
  const a = attributesOf<InputGradientAttributes>(node);
  const [dy, w, dx] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const [gradient, weight, output] = [k.input(0, "dy"), realInput(k, node, 1, "w"), k.output(0, "dx")];
  const s = windowSizes(k, dx, dy, w.shape[1]!, w.shape[2]!);
  const groupC = k.int("group_in_c", w.shape[3]!);
  const groupOut = k.int("group_out_c", (dy.shape[3]! * w.shape[3]!) / dx.shape[3]!);
  eachInputPixel(k, s, (n, iy, ix, to) =>
    k.for("ic", 0, s.inC, (ic) => {
      const acc = k.variable("acc", f32(0));
      const group = k.let("group", ic.div(groupC));
      const lane = k.let("lane", ic.sub(group.mul(groupC)));
      eachReader(k, s, a, n, iy, ix, (ky, kx, pixel) =>
        k.for("j", 0, groupOut, (j) => {
          const oc = k.let("oc", group.mul(groupOut).add(j));
          const tap = oc.mul(s.filterH).add(ky).mul(s.filterW).add(kx).mul(groupC).add(lane);
          acc.set(acc.get().add(gradient.load(pixel.mul(s.outC).add(oc)).mul(weight(tap, oc))));
        }),
      );
      output.store(to.add(ic), acc.get());
    }),
  );
  return k.finish(
    `conv2d_input_gradient_${realSuffix(node)}`,
    "Gradient of a convolution with respect to its input: each element gathers the results it took part in.",
  );
}

function filterGradientLoops(k: KernelBuilder, node: Node): KernelInstance {
  needFloats(node, [0]);
  const a = attributesOf<FilterGradientAttributes>(node);
  const [x, dy, dw] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const [input, gradient, output] = [realInput(k, node, 0, "x"), k.input(1, "dy"), k.output(0, "dw")];
  const s = windowSizes(k, x, dy, a.filterH, a.filterW);
  const groupC = k.int("group_in_c", a.groupChannels);
  const groupOut = k.int("group_out_c", (dy.shape[3]! * a.groupChannels) / x.shape[3]!);
  k.for("i", 0, k.int("count", elementCount(dw.shape)), (i) => output.store(i, f32(0)));
  eachPixel(k, s, a, (n, oy, ox, y0, x0) => {
    const from = k.let("from", n.mul(s.outH).add(oy).mul(s.outW).add(ox).mul(s.outC));
    eachInside(k, s, a, n, y0, x0, (ky, kx, pixel) =>
      k.for("oc", 0, s.outC, (oc) => {
        const first = k.let("first", oc.div(groupOut).mul(groupC));
        const tap = k.let("tap", oc.mul(s.filterH).add(ky).mul(s.filterW).add(kx).mul(groupC));
        k.for("ic", 0, groupC, (ic) => {
          const product = gradient.load(from.add(oc)).mul(input(pixel.mul(s.inC).add(first).add(ic), ic));
          output.store(tap.add(ic), output.load(tap.add(ic)).add(product));
        });
      }),
    );
  });
  return k.finish(`conv2d_filter_gradient_${realSuffix(node)}`, "Gradient of a convolution with respect to its weights, pixel by pixel.");
}

function depthwiseInputGradientLoops(k: KernelBuilder, node: Node): KernelInstance {
  needFloats(node, [1]);
  const a = attributesOf<InputGradientAttributes>(node);
  const [dy, w, dx] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const [gradient, weight, output] = [k.input(0, "dy"), realInput(k, node, 1, "w"), k.output(0, "dx")];
  const s = windowSizes(k, dx, dy, w.shape[1]!, w.shape[2]!);
  const multiplier = k.int("depth_multiplier", dy.shape[3]! / dx.shape[3]!);
  eachInputPixel(k, s, (n, iy, ix, to) =>
    k.for("ic", 0, s.inC, (ic) => {
      const acc = k.variable("acc", f32(0));
      eachReader(k, s, a, n, iy, ix, (ky, kx, pixel) =>
        k.for("m", 0, multiplier, (m) => {
          const oc = k.let("oc", ic.mul(multiplier).add(m));
          const tap = ky.mul(s.filterW).add(kx).mul(s.outC).add(oc);
          acc.set(acc.get().add(gradient.load(pixel.mul(s.outC).add(oc)).mul(weight(tap, oc))));
        }),
      );
      output.store(to.add(ic), acc.get());
    }),
  );
  return k.finish(`depthwise_input_gradient_${realSuffix(node)}`, "Gradient of a depthwise convolution with respect to its input.");
}

function depthwiseFilterGradientLoops(k: KernelBuilder, node: Node): KernelInstance {
  needFloats(node, [0]);
  const a = attributesOf<FilterGradientAttributes>(node);
  const [x, dy, dw] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const [input, gradient, output] = [realInput(k, node, 0, "x"), k.input(1, "dy"), k.output(0, "dw")];
  const s = windowSizes(k, x, dy, a.filterH, a.filterW);
  const multiplier = k.int("depth_multiplier", dy.shape[3]! / x.shape[3]!);
  k.for("i", 0, k.int("count", elementCount(dw.shape)), (i) => output.store(i, f32(0)));
  eachPixel(k, s, a, (n, oy, ox, y0, x0) => {
    const from = k.let("from", n.mul(s.outH).add(oy).mul(s.outW).add(ox).mul(s.outC));
    eachInside(k, s, a, n, y0, x0, (ky, kx, pixel) =>
      k.for("ic", 0, s.inC, (ic) =>
        k.for("m", 0, multiplier, (m) => {
          const oc = k.let("oc", ic.mul(multiplier).add(m));
          const tap = k.let("tap", ky.mul(s.filterW).add(kx).mul(s.outC).add(oc));
          const product = gradient.load(from.add(oc)).mul(input(pixel.mul(s.inC).add(ic), ic));
          output.store(tap, output.load(tap).add(product));
        }),
      ),
    );
  });
  return k.finish(
    `depthwise_filter_gradient_${realSuffix(node)}`,
    "Gradient of a depthwise convolution with respect to its weights, pixel by pixel.",
  );
}

const SAME: Attributes = { strideH: 1, strideW: 1, padTop: 1, padBottom: 1, padLeft: 1, padRight: 1, activation: "none" };
const floats = (shape: number[]): ValueType => ({ dtype: "float32", shape });

function inputCase(name: string, dy: number[], w: number[], shape: number[], more: Attributes = {}): OpCase {
  return { name, inputs: [floats(dy), floats(w)], outputs: [floats(shape)], attributes: { ...SAME, ...more, shape } };
}

function filterCase(name: string, x: number[], dy: number[], dw: number[], more: Attributes = {}): OpCase {
  const attributes = { ...SAME, ...more, filterH: dw[1]!, filterW: dw[2]!, groupChannels: dw[3]! };
  return { name, inputs: [floats(x), floats(dy)], outputs: [floats(dw)], attributes };
}

/** The same with an operand in int8: it has its scales, one for each index along `axis`. */
function int8Case({ name, inputs, ...rest }: OpCase, index: number, scales: number[], zeroPoint = 0, axis = 0): OpCase {
  const quantization = { scales, zeroPoints: scales.map(() => zeroPoint), axis };
  return { ...rest, name: `${name}, int8`, inputs: inputs.map((input, i) => (i === index ? { ...input!, dtype: "int8", quantization } : input)) };
}

const STRIDED = { strideH: 2, strideW: 2, padTop: 0, padLeft: 0 };

/** dx [n, h, w, c] of y = conv2d(x, w), from dy [n, oh, ow, oc] and w [oc, kh, kw, c / groups]. */
export const conv2dInputGradient: OpDef = {
  name: "conv2dInputGradient",
  infer(inputs, attributes) {
    const a = attributesOf<InputGradientAttributes>({ attributes });
    const [dy, w] = [typeAt("conv2dInputGradient", inputs, 0, 4), typeAt("conv2dInputGradient", inputs, 1, 4)];
    if (dy.shape[3] !== w.shape[0] || a.shape[3]! % w.shape[3]! !== 0) refuse("conv2dInputGradient", "channels of gradient and weights do not fit");
    checkPositions("conv2dInputGradient", a.shape, dy, [w.shape[1]!, w.shape[2]!], a);
    return [{ dtype: dy.dtype, shape: a.shape }];
  },
  loops: inputGradientLoops,
  macs: (node) => elementCount(inputOf(node, 0).shape) * elementCount(inputOf(node, 1).shape.slice(1)),
  cases: [
    inputCase("3x3", [2, 5, 4, 12], [12, 3, 3, 10], [2, 5, 4, 10]),
    inputCase("stride 2", [1, 3, 3, 8], [8, 3, 3, 5], [1, 6, 6, 5], STRIDED),
    inputCase("1x1, stride 2", [2, 3, 3, 9], [9, 1, 1, 8], [2, 6, 6, 8], { ...STRIDED, padBottom: 0, padRight: 0 }),
    inputCase("1x1", [2, 3, 3, 9], [9, 1, 1, 8], [2, 3, 3, 8], { padTop: 0, padLeft: 0, padBottom: 0, padRight: 0 }),
    inputCase("two groups, dilated", [1, 3, 4, 4], [4, 3, 3, 3], [1, 5, 6, 6], { dilationH: 2, dilationW: 2 }),
    int8Case(inputCase("one scale", [1, 3, 3, 5], [5, 3, 3, 4], [1, 3, 3, 4]), 1, [0.02]),
    int8Case(inputCase("a scale for each channel", [1, 3, 3, 4], [4, 3, 3, 8], [1, 3, 3, 8]), 1, [0.01, 0.02, 0.03, 0.011]),
  ],
};

/** dw [oc, kh, kw, c / groups] of y = conv2d(x, w), from x and dy. */
export const conv2dFilterGradient: OpDef = {
  name: "conv2dFilterGradient",
  infer(inputs, attributes) {
    const a = attributesOf<FilterGradientAttributes>({ attributes });
    const [x, dy] = [typeAt("conv2dFilterGradient", inputs, 0, 4), typeAt("conv2dFilterGradient", inputs, 1, 4)];
    checkPositions("conv2dFilterGradient", x.shape, dy, [a.filterH, a.filterW], a);
    if (x.shape[3]! % a.groupChannels !== 0) refuse("conv2dFilterGradient", "groups do not divide the channels");
    return [{ dtype: dy.dtype, shape: [dy.shape[3]!, a.filterH, a.filterW, a.groupChannels] }];
  },
  loops: filterGradientLoops,
  macs: (node) => elementCount(inputOf(node, 1).shape) * elementCount(outputOf(node).shape.slice(1)),
  cases: [
    filterCase("3x3", [2, 5, 4, 10], [2, 5, 4, 12], [12, 3, 3, 10]),
    filterCase("3x3 of 1 channel", [2, 5, 4, 1], [2, 5, 4, 8], [8, 3, 3, 1]),
    filterCase("stride 2", [1, 6, 6, 5], [1, 3, 3, 8], [8, 3, 3, 5], STRIDED),
    filterCase("1x1", [3, 5, 4, 9], [3, 5, 4, 7], [7, 1, 1, 9], { padTop: 0, padLeft: 0, padBottom: 0, padRight: 0 }),
    filterCase("two groups, dilated", [1, 5, 6, 6], [1, 3, 4, 4], [4, 3, 3, 3], { dilationH: 2, dilationW: 2 }),
    int8Case(filterCase("3x3", [1, 4, 4, 5], [1, 4, 4, 8], [8, 3, 3, 5]), 0, [0.05], -3),
  ],
};

/** dx of y = depthwiseConv2d(x, w), from dy and w [1, kh, kw, oc]. */
export const depthwiseConv2dInputGradient: OpDef = {
  name: "depthwiseConv2dInputGradient",
  infer(inputs, attributes) {
    const a = attributesOf<InputGradientAttributes>({ attributes });
    const [dy, w] = [typeAt("depthwiseConv2dInputGradient", inputs, 0, 4), typeAt("depthwiseConv2dInputGradient", inputs, 1, 4)];
    if (dy.shape[3] !== w.shape[3]) refuse("depthwiseConv2dInputGradient", "channels of gradient and weights differ");
    checkPositions("depthwiseConv2dInputGradient", a.shape, dy, [w.shape[1]!, w.shape[2]!], a);
    return [{ dtype: dy.dtype, shape: a.shape }];
  },
  loops: depthwiseInputGradientLoops,
  macs: (node) => elementCount(inputOf(node, 0).shape) * inputOf(node, 1).shape[1]! * inputOf(node, 1).shape[2]!,
  cases: [
    inputCase("3x3", [2, 5, 4, 12], [1, 3, 3, 12], [2, 5, 4, 12]),
    inputCase("stride 2", [1, 3, 3, 8], [1, 3, 3, 8], [1, 6, 6, 8], STRIDED),
    inputCase("multiplier 2", [1, 5, 4, 6], [1, 3, 3, 6], [1, 5, 4, 3]),
    int8Case(inputCase("a scale for each channel", [1, 5, 4, 4], [1, 3, 3, 4], [1, 5, 4, 4]), 1, [0.01, 0.02, 0.03, 0.011], 0, 3),
  ],
};

/** dw [1, kh, kw, oc] of y = depthwiseConv2d(x, w), from x and dy. */
export const depthwiseConv2dFilterGradient: OpDef = {
  name: "depthwiseConv2dFilterGradient",
  infer(inputs, attributes) {
    const a = attributesOf<FilterGradientAttributes>({ attributes });
    const [x, dy] = [typeAt("depthwiseConv2dFilterGradient", inputs, 0, 4), typeAt("depthwiseConv2dFilterGradient", inputs, 1, 4)];
    checkPositions("depthwiseConv2dFilterGradient", x.shape, dy, [a.filterH, a.filterW], a);
    return [{ dtype: dy.dtype, shape: [1, a.filterH, a.filterW, dy.shape[3]!] }];
  },
  loops: depthwiseFilterGradientLoops,
  macs: (node) => elementCount(inputOf(node, 1).shape) * outputOf(node).shape[1]! * outputOf(node).shape[2]!,
  cases: [
    filterCase("3x3", [2, 5, 4, 12], [2, 5, 4, 12], [1, 3, 3, 12]),
    filterCase("stride 2", [1, 6, 6, 8], [1, 3, 3, 8], [1, 3, 3, 8], STRIDED),
    filterCase("multiplier 2", [1, 5, 4, 3], [1, 5, 4, 6], [1, 3, 3, 6]),
    int8Case(filterCase("3x3", [1, 5, 4, 4], [1, 5, 4, 4], [1, 3, 3, 4]), 0, [0.05], -3),
  ],
};
