import type { Permutation } from "../../../base/index.ts";
import { attributesOf } from "../../../ops/index.ts";
import { elementCode } from "../elements.ts";
import { int, ints, text } from "./attributes.ts";
import type { NodeWriter } from "./node-writer.ts";
import type { Tensor } from "./parts.ts";
import { images, type WriteRule, type WriteRules } from "./rule.ts";

interface Reduction {
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

/** The order behind a reduction: that before it, without dimensions that it drops. */
function behind(order: Permutation, { axes, keepDims }: Reduction): Permutation {
  if (keepDims) return order;
  const kept = order.filter((d) => !axes.includes(d));
  const sorted = [...kept].sort((a, b) => a - b);
  return kept.map((d) => sorted.indexOf(d));
}

/** Axes are an input since the operator set `inputSince`, an attribute before. */
function reduction(op: string, inputSince: number): WriteRule {
  return {
    write(w) {
      const a = w.attributes<Reduction>();
      const before = w.inputLayout();
      const axes = a.axes.map((d) => before.indexOf(d)).sort((p, q) => p - q);
      const x = w.real(0, before);
      // ONNX takes no axes for all of them.
      if (axes.length === 0) return w.give(x, before);
      const after = behind(before, a);
      const spatial = x.shape.slice(2).map((_, d) => d + 2);
      if (op === "ReduceMean" && a.keepDims && x.shape.length === 4 && axes.join() === spatial.join())
        return w.give(w.emit("GlobalAveragePool", [x], w.shape(after)), after);
      const isInput = w.opset >= inputSince;
      const attributes = [...(isInput ? [] : [ints("axes", axes)]), int("keepdims", a.keepDims)];
      w.give(w.emit(op, isInput ? [x, w.longs(axes)] : [x], w.shape(after), attributes), after);
    },
  };
}

/** Along the last dimension, wherever that lies. */
function alongLast(write: (w: NodeWriter, x: Tensor, axis: number) => Tensor): WriteRule {
  return {
    write(w) {
      const order = w.inputLayout();
      w.give(write(w, w.real(0, order), order.indexOf(order.length - 1)), order);
    },
  };
}

function softmax(w: NodeWriter, x: Tensor, axis: number): Tensor {
  const { beta } = w.attributes<{ beta: number }>();
  const scaled = beta === 1 ? x : w.emit("Mul", [x, w.parts.numbers("float32", beta)], x.shape);
  return w.emit("Softmax", [scaled], x.shape, [int("axis", axis)]);
}

/** x / √(max(Σ x², 1e-6)) */
function l2Normalization(w: NodeWriter, x: Tensor, axis: number): Tensor {
  const row = x.shape.map((size, d) => (d === axis ? 1 : size));
  const sum = w.emit("ReduceSum", [w.emit("Mul", [x, x], x.shape), w.longs([axis])], row, [int("keepdims", 1)]);
  const length = w.emit("Sqrt", [w.emit("Max", [sum, w.parts.numbers("float32", 1e-6)], row)], row);
  return w.emit("Div", [x, length], x.shape);
}

interface Argument {
  readonly axis: number;
  readonly keepDims: boolean;
  readonly dtype: "int32" | "int64";
}

function argument(op: "ArgMax" | "ArgMin"): WriteRule {
  return {
    write(w) {
      const { axis, keepDims, dtype } = w.attributes<Argument>();
      const y = w.emit(op, [w.real(0)], w.shape(), [int("axis", axis), int("keepdims", keepDims)], elementCode("int64"));
      w.giveStored(w.cast(y, dtype));
    },
  };
}

/** ONNX's places are numbers of 64 bits. */
function topK(w: NodeWriter): void {
  const { k, largest } = w.attributes<{ k: number; largest: boolean }>();
  const outputs = [w.element, elementCode("int64")].map((element) => ({ element, shape: w.shape() }));
  const [best, places] = w.emitAll("TopK", [w.real(0), w.longs([k])], outputs, [int("largest", largest)]);
  w.give(best!);
  w.giveStored(w.cast(places!, w.output(1).dtype), undefined, 1);
}

function cumsum(w: NodeWriter): void {
  const { axis, exclusive, reverse } = w.attributes<{ axis: number; exclusive: boolean; reverse: boolean }>();
  const attributes = [...(exclusive ? [int("exclusive", 1)] : []), ...(reverse ? [int("reverse", 1)] : [])];
  w.give(w.emit("CumSum", [w.real(0), w.parts.numbers("int64", axis)], w.shape(), attributes));
}

const FIRST = [0, 3, 1, 2];

interface Resize {
  readonly alignCorners: boolean;
  readonly halfPixelCenters: boolean;
}

function resize(w: NodeWriter, mode: "linear" | "nearest"): void {
  const { alignCorners, halfPixelCenters } = w.attributes<Resize>();
  const transform = alignCorners ? "align_corners" : halfPixelCenters ? "half_pixel" : "asymmetric";
  // Positions in the middle of pixels, less a half, rounded up from the half: that is the pixel that a position lies in.
  const nearest = transform === "asymmetric" ? "floor" : "round_prefer_ceil";
  const attributes = [
    text("mode", mode),
    text("coordinate_transformation_mode", transform),
    ...(mode === "nearest" ? [text("nearest_mode", nearest)] : []),
  ];
  w.give(w.emit("Resize", [w.real(0, FIRST), null, null, w.longs(w.shape(FIRST))], w.shape(FIRST), attributes), FIRST);
}

export const REDUCTION: WriteRules = {
  mean: reduction("ReduceMean", 18),
  sum: reduction("ReduceSum", 13),
  reduceMax: reduction("ReduceMax", 18),
  reduceMin: reduction("ReduceMin", 18),
  reduceProd: reduction("ReduceProd", 18),
  softmax: alongLast(softmax),
  logSoftmax: alongLast((w, x, axis) => w.emit("LogSoftmax", [x], x.shape, [int("axis", axis)])),
  l2Normalization: alongLast((w, x, axis) => w.activated(l2Normalization(w, x, axis), w.attributes<{ activation: "none" }>().activation)),
  argMax: argument("ArgMax"),
  argMin: argument("ArgMin"),
  topK: { write: topK },
  cumsum: { write: cumsum },
  resizeBilinear: images((w) => resize(w, "linear")),
  resizeNearest: {
    ...images((w) => resize(w, "nearest")),
    obstacle: (node) => {
      const { alignCorners, halfPixelCenters } = attributesOf<Resize>(node);
      return alignCorners && halfPixelCenters ? "ONNX cannot align corners where positions are the middles of pixels" : undefined;
    },
  },
};
