import { elementCount } from "../base/index.ts";
import type { Attributes, Node } from "../graph/index.ts";
import { type Expr, f32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { type Descent, floatDescent, integerDescent } from "./descent.ts";
import { attributesOf, type CaseInput, inputOf, type OpCase, type OpDef, refuse, suffixOf, typeAt, unsupportedTypes } from "./op.ts";
import { realInput } from "./real-input.ts";
import { type WindowAttributes, type WindowSizes, windowSizes } from "./window.ts";

/** A filter's gradient and the update by it in one. */
export interface FilterUpdateAttributes extends WindowAttributes {
  readonly filterH: number;
  readonly filterW: number;
  /** Of a convolution: groups of channels. Weights may have fewer channels than a group of the input, the first ones. */
  readonly groups: number;
  /** Of floats: see `descentUpdate`. */
  readonly weightDecay: number;
  /** Of integers: see `quantizedDescentUpdate`. */
  readonly scaled: boolean;
}

const [X, DY, RATE] = [2, 3, 4];

function descentOf(k: KernelBuilder, node: Node, { weightDecay, scaled }: FilterUpdateAttributes): Descent {
  return node.inputs[1] === null ? floatDescent(k, RATE, weightDecay) : integerDescent(k, node, RATE, scaled);
}

/** Sums for one weight over all pixels, in the order of the filter gradients: so the sums have the same bits. */
function gradientSum(
  k: KernelBuilder,
  s: WindowSizes,
  a: WindowAttributes,
  [ky, kx]: readonly [Expr, Expr],
  product: (inputPixel: Expr, outputPixel: Expr) => Expr,
): Expr {
  const acc = k.variable("acc", f32(0));
  k.for("n", 0, s.batches, (n) =>
    k.for("oy", 0, s.outH, (oy) => {
      const iy = k.let(
        "iy",
        oy
          .mul(k.int("stride_h", a.strideH))
          .sub(k.int("pad_top", a.padTop))
          .add(ky.mul(k.int("dilation_h", a.dilationH ?? 1))),
      );
      k.if(iy.ge(0).and(iy.lt(s.inH)), () =>
        k.for("ox", 0, s.outW, (ox) => {
          const ix = k.let(
            "ix",
            ox
              .mul(k.int("stride_w", a.strideW))
              .sub(k.int("pad_left", a.padLeft))
              .add(kx.mul(k.int("dilation_w", a.dilationW ?? 1))),
          );
          k.if(ix.ge(0).and(ix.lt(s.inW)), () => {
            const from = n.mul(s.inH).add(iy).mul(s.inW).add(ix);
            acc.set(acc.get().add(product(from, n.mul(s.outH).add(oy).mul(s.outW).add(ox))));
          });
        }),
      );
    }),
  );
  return k.let("gradient", acc.get());
}

function updateLoops(k: KernelBuilder, node: Node, depthwise: boolean): KernelInstance {
  const a = attributesOf<FilterUpdateAttributes>(node);
  const [w, x, dy] = [inputOf(node, 0), inputOf(node, X), inputOf(node, DY)];
  if (dy.dtype !== "float32") throw unsupportedTypes(node);
  const descent = descentOf(k, node, a);
  const [input, slope] = [realInput(k, node, X, "x"), k.input(DY, "dy")];
  const s = windowSizes(k, x, dy, a.filterH, a.filterW);
  const width = k.int("width", w.shape.at(-1)!);
  const groups = depthwise ? x.shape[3]! : a.groups;
  const [groupIn, groupOut] = [k.int("group_in_c", x.shape[3]! / groups), k.int("group_out_c", dy.shape[3]! / groups)];
  k.for("row", 0, depthwise ? 1 : s.outC, (row) =>
    k.for("ky", 0, s.filterH, (ky) =>
      k.for("kx", 0, s.filterW, (kx) => {
        const tap = k.let("tap", row.mul(s.filterH).add(ky).mul(s.filterW).add(kx).mul(width));
        k.for("c", 0, width, (c) => {
          const from = k.let("from", depthwise ? c.div(groupOut) : row.div(groupOut).mul(groupIn).add(c));
          const channel = depthwise ? c : row;
          const sum = gradientSum(k, s, a, [ky, kx], (inputPixel, outputPixel) =>
            slope.load(outputPixel.mul(s.outC).add(channel)).mul(input(inputPixel.mul(s.inC).add(from), from)),
          );
          descent.move(k.let("at", tap.add(c)), sum, () => channel);
        });
      }),
    ),
  );
  descent.end();
  const kind = depthwise ? "depthwise" : "conv2d";
  return k.finish(
    `${kind}_filter_update_${suffixOf(w.dtype)}_${suffixOf(x.dtype)}`,
    "Moves each weight against its gradient as soon as that is summed up.",
  );
}

function filterUpdate(name: string, depthwise: boolean, cases: readonly OpCase[]): OpDef {
  return {
    name,
    infer(inputs, attributes) {
      const a = attributesOf<FilterUpdateAttributes>({ attributes });
      const [w, dy] = [typeAt(name, inputs, 0), typeAt(name, inputs, DY, 4)];
      typeAt(name, inputs, X, 4);
      const channels = w.shape.at(-1)!;
      if (elementCount(w.shape) !== (depthwise ? 1 : dy.shape[3]!) * a.filterH * a.filterW * channels)
        refuse(name, "weights, gradient and filter do not fit");
      if (elementCount(typeAt(name, inputs, RATE).shape) !== 1) refuse(name, "1 rate is needed");
      return [];
    },
    loops: (k, node) => updateLoops(k, node, depthwise),
    macs: (node) => {
      const pixels = elementCount(inputOf(node, DY).shape.slice(0, 3));
      return pixels * elementCount(inputOf(node, 0).shape);
    },
    cases,
  };
}

const WINDOW: Attributes = {
  strideH: 1,
  strideW: 1,
  padTop: 1,
  padBottom: 1,
  padLeft: 1,
  padRight: 1,
  activation: "none",
  groups: 1,
  weightDecay: 0,
  scaled: true,
};
const floats = (shape: number[]): CaseInput => ({ dtype: "float32", shape });
const int8 = (shape: number[], scales: number[], zeroPoint = 0, axis = 0): CaseInput => ({
  dtype: "int8",
  shape,
  quantization: { scales, zeroPoints: scales.map(() => zeroPoint), axis },
});

function updateCase(name: string, w: CaseInput, x: CaseInput, dy: number[], more: Attributes): OpCase {
  const random: CaseInput | null = w.dtype === "float32" ? null : { dtype: "int32", shape: [1], variable: true, low: 1, high: 1000 };
  const rate: CaseInput = { ...floats([1]), low: 0.001, high: 0.01 };
  return { name, inputs: [{ ...w, variable: true }, random, x, floats(dy), rate], outputs: [], attributes: { ...WINDOW, ...more } };
}

const THREE = { filterH: 3, filterW: 3 };

/**
 * `conv2dFilterGradient` and `descentUpdate` or `quantizedDescentUpdate` in one, with their bits: the gradient is never there as a whole,
 * which takes four times the weights' own bytes. Inputs: weights (change), the random stream of integers (changes; absent for floats), x,
 * dy, rate [1].
 */
export const conv2dFilterUpdate: OpDef = filterUpdate("conv2dFilterUpdate", false, [
  updateCase("3x3", floats([4, 3, 3, 5]), floats([1, 4, 5, 5]), [1, 4, 5, 4], { ...THREE, weightDecay: 0.01 }),
  updateCase("3x3 int8, some channels", int8([4, 3, 3, 2], [0.01, 0.02, 0.03, 0.04]), int8([1, 6, 5, 6], [0.05], -3), [1, 3, 3, 4], {
    ...THREE,
    strideH: 2,
    strideW: 2,
  }),
  updateCase("two groups", int8([4, 3, 3, 3], [0.02]), floats([1, 4, 4, 6]), [1, 4, 4, 4], { ...THREE, groups: 2 }),
]);

/** The same for a depthwise convolution. */
export const depthwiseConv2dFilterUpdate: OpDef = filterUpdate("depthwiseConv2dFilterUpdate", true, [
  updateCase("3x3", floats([1, 3, 3, 6]), floats([2, 5, 4, 3]), [2, 5, 4, 6], THREE),
  updateCase("3x3 int8", int8([1, 3, 3, 4], [0.01, 0.02, 0.03, 0.04], 0, 3), int8([1, 5, 4, 4], [0.05], -3), [1, 5, 4, 4], THREE),
]);
