import { elementCount } from "../base/index.ts";
import type { Node, ValueType } from "../graph/index.ts";
import type { Expr, KernelBuilder, KernelInstance } from "../loops/index.ts";
import { accumulatorFor, convMultipliers, denseMultipliers, finishAccumulator } from "./accumulate.ts";
import { quantized } from "./conv.ts";
import { attributesOf, inputOf, type OpCase, type OpDef, outputOf, refuse, suffixOf, typeAt } from "./op.ts";
import { type WindowAttributes, windowSizes } from "./window.ts";

/** The padding is cut off the output; its size is stated because a stride leaves it open. */
export interface TransposeConvAttributes extends WindowAttributes {
  readonly outputHeight: number;
  readonly outputWidth: number;
}

/** The input rows (or columns) that reach one output row: from <= i < to, each with the tap `shifted − i · stride`. */
interface Reach {
  readonly shifted: Expr;
  readonly from: Expr;
  readonly to: Expr;
}

/** An output position o gathers the inputs i with 0 <= o + pad − i · stride < size. */
function reach(k: KernelBuilder, axis: string, o: Expr, pad: Expr, stride: Expr, size: Expr, length: Expr): Reach {
  const shifted = k.let(`${axis}_shifted`, o.add(pad));
  const from = k.let(`${axis}_from`, shifted.sub(size).add(stride).max(0).div(stride));
  const to = k.let(`${axis}_to`, shifted.div(stride).add(1).min(length));
  return { shifted, from, to };
}

function transposeConvLoops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<TransposeConvAttributes>(node);
  const [x, w, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const input = k.input(0, "x");
  const weights = k.input(1, "w");
  // TensorFlow Lite's uint8 layers have one factor, formed as that of a fully connected layer.
  const start = accumulatorFor(k, node, a.activation, x.dtype === "uint8" ? denseMultipliers : convMultipliers);
  const output = k.output(0, "y");
  const s = windowSizes(k, x, y, w.shape[1]!, w.shape[2]!);
  const [strideH, strideW] = [k.int("stride_h", a.strideH), k.int("stride_w", a.strideW)];
  const [padTop, padLeft] = [k.int("pad_top", a.padTop), k.int("pad_left", a.padLeft)];
  const element = (n: Expr, oy: Expr, ox: Expr, rows: Reach, columns: Reach, oc: Expr): void => {
    const acc = start(oc);
    k.for("iy", rows.from, rows.to, (iy) => {
      const line = k.let(
        "line",
        oc
          .mul(s.filterH)
          .add(rows.shifted.sub(iy.mul(strideH)))
          .mul(s.filterW),
      );
      k.for("ix", columns.from, columns.to, (ix) => {
        const from = k.let("from", n.mul(s.inH).add(iy).mul(s.inW).add(ix).mul(s.inC));
        const tap = k.let("tap", line.add(columns.shifted.sub(ix.mul(strideW))).mul(s.inC));
        k.for("ic", 0, s.inC, (ic) => {
          const [left, right] = [input.load(from.add(ic)), weights.load(tap.add(ic))];
          const product = acc.type === "f32" ? left.mul(right) : left.add(acc.inputOffset).mul(right.add(acc.weightOffset)).to(acc.type);
          acc.variable.set(acc.variable.get().add(product));
        });
      });
    });
    output.store(n.mul(s.outH).add(oy).mul(s.outW).add(ox).mul(s.outC).add(oc), finishAccumulator(k, acc, oc));
  };
  k.for("n", 0, s.batches, (n) =>
    k.for("oy", 0, s.outH, (oy) => {
      const rows = reach(k, "y", oy, padTop, strideH, s.filterH, s.inH);
      k.for("ox", 0, s.outW, (ox) => {
        const columns = reach(k, "x", ox, padLeft, strideW, s.filterW, s.inW);
        k.for("oc", 0, s.outC, (oc) => element(n, oy, ox, rows, columns, oc));
      });
    }),
  );
  return k.finish(`transpose_conv2d_${suffixOf(x.dtype)}`, "Transposed 2-D convolution: each output element gathers the inputs that reach it.");
}

const ATTRIBUTES: TransposeConvAttributes = {
  strideH: 2,
  strideW: 2,
  padTop: 0,
  padBottom: 1,
  padLeft: 0,
  padRight: 1,
  activation: "none",
  outputHeight: 6,
  outputWidth: 8,
};
const tensor = (dtype: ValueType["dtype"], shape: number[], scale: number, zeroPoint = 0): ValueType => ({
  dtype,
  shape,
  quantization: quantized(scale, zeroPoint),
});
const PER_CHANNEL = { scales: [0.01, 0.02, 0.015, 0.011, 0.03], zeroPoints: [0, 0, 0, 0, 0], axis: 0 };

const cases: readonly OpCase[] = [
  {
    name: "int8 by channel",
    attributes: { ...ATTRIBUTES },
    inputs: [
      tensor("int8", [1, 3, 4, 3], 0.05, -3),
      { dtype: "int8", shape: [5, 3, 3, 3], quantization: PER_CHANNEL, constant: true },
      { dtype: "int32", shape: [5], constant: true, low: -2000, high: 2000 },
    ],
    outputs: [tensor("int8", [1, 6, 8, 5], 0.2, 7)],
  },
  {
    name: "int8, uneven strides, gaps, relu",
    attributes: {
      ...ATTRIBUTES,
      strideH: 3,
      strideW: 1,
      padTop: 1,
      padBottom: 0,
      padLeft: 2,
      padRight: 1,
      outputHeight: 7,
      outputWidth: 4,
      activation: "relu",
    },
    inputs: [tensor("int8", [2, 3, 5, 2], 0.05, 4), { ...tensor("int8", [3, 2, 4, 2], 0.02), constant: true }, null],
    outputs: [tensor("int8", [2, 7, 4, 3], 0.2, -20)],
  },
  {
    name: "uint8",
    attributes: { ...ATTRIBUTES },
    inputs: [
      tensor("uint8", [1, 3, 4, 2], 0.05, 120),
      { ...tensor("uint8", [4, 3, 3, 2], 0.01, 131), constant: true },
      { dtype: "int32", shape: [4], constant: true, low: -2000, high: 2000 },
    ],
    outputs: [tensor("uint8", [1, 6, 8, 4], 0.1, 100)],
  },
  {
    name: "16x8",
    attributes: { ...ATTRIBUTES },
    inputs: [
      tensor("int16", [1, 3, 4, 2], 0.001),
      { ...tensor("int8", [4, 3, 3, 2], 0.01), constant: true },
      { dtype: "int64", shape: [4], constant: true, low: -2000, high: 2000 },
    ],
    outputs: [tensor("int16", [1, 6, 8, 4], 0.003)],
  },
  {
    name: "16x8 with a 32-bit bias",
    attributes: { ...ATTRIBUTES },
    inputs: [
      tensor("int16", [1, 3, 4, 2], 0.001),
      { ...tensor("int8", [4, 3, 3, 2], 0.01), constant: true },
      { dtype: "int32", shape: [4], constant: true, low: -2000, high: 2000 },
    ],
    outputs: [tensor("int16", [1, 6, 8, 4], 0.003)],
  },
  {
    name: "float",
    attributes: { ...ATTRIBUTES, activation: "relu6" },
    inputs: [
      { dtype: "float32", shape: [1, 3, 4, 2] },
      { dtype: "float32", shape: [4, 3, 3, 2], constant: true },
      { dtype: "float32", shape: [4], constant: true },
    ],
    outputs: [{ dtype: "float32", shape: [1, 6, 8, 4] }],
  },
];

const NAME = "transposeConv2d";

export const transposeConv2d: OpDef = {
  name: NAME,
  infer(inputs, attributes) {
    const a = attributesOf<TransposeConvAttributes>({ attributes });
    const [x, w] = [typeAt(NAME, inputs, 0, 4), typeAt(NAME, inputs, 1, 4)];
    const channels = w.shape[0]!;
    if (x.shape[3] !== w.shape[3]) refuse(NAME, `weights of ${w.shape[3]} channels do not fit an input of ${x.shape[3]}`);
    if (!(a.strideH >= 1) || !(a.strideW >= 1) || a.padTop < 0 || a.padLeft < 0) refuse(NAME, "strides must be at least 1 and padding at least 0");
    if (!(a.outputHeight >= 1) || !(a.outputWidth >= 1)) refuse(NAME, `an output of ${a.outputHeight} x ${a.outputWidth} is empty`);
    const bias = inputs[2];
    if (bias && elementCount(bias.shape) !== channels) refuse(NAME, `the bias must have ${channels} elements`);
    return [{ dtype: x.dtype, shape: [x.shape[0]!, a.outputHeight, a.outputWidth, channels] }];
  },
  loops: transposeConvLoops,
  parameters: [1, 2],
  macs: (node) => elementCount(inputOf(node, 0).shape) * elementCount(inputOf(node, 1).shape.slice(0, 3)),
  cases,
};
