import { elementCount, sameShape, type Shape } from "../../base/index.ts";
import type { Node, Value } from "../../graph/index.ts";
import type { BatchMatmulAttributes } from "../batch-matmul.ts";
import { attributesOf, inputOf } from "../op.ts";
import type { CumsumAttributes } from "../cumsum.ts";
import type { ReduceAttributes } from "../reduce.ts";
import type { MirrorPadAttributes } from "../mirror.ts";
import type { PadAttributes, SliceAttributes, StridedSliceAttributes } from "../slice.ts";
import { binary, type GradientContext, type GradientRule, one, reshaped, scaledBy, sumTo } from "./rule.ts";

export const reshape: GradientRule = (g, node, [dy]) => [reshaped(g, dy!, inputOf(node, 0).shape)];

export const transpose: GradientRule = (g, node, [dy]) => {
  const { permutation } = attributesOf<{ permutation: number[] }>(node);
  return [one(g, "transpose", [dy!], { permutation: permutation.map((_, d) => permutation.indexOf(d)) })];
};

/** A box of dy for each input. */
export const concatenation: GradientRule = (g, node, [dy]) => {
  const { axis } = attributesOf<{ axis: number }>(node);
  let start = 0;
  return node.inputs.map((value, i) => {
    const begin = dy!.shape.map((_, d) => (d === axis ? start : 0));
    start += value!.shape[axis]!;
    if (!g.wanted(i)) return null;
    // Of weights in two parts only the gradient of the part that learns is there.
    return sameShape(value!.shape, dy!.shape) ? dy! : one(g, "slice", [dy!], { begin, size: [...value!.shape] });
  });
};

export const slice: GradientRule = (g, node, [dy]) => {
  const { begin, size } = attributesOf<SliceAttributes>(node);
  const after = inputOf(node, 0).shape.map((length, d) => length - begin[d]! - size[d]!);
  return [one(g, "pad", [dy!], { before: [...begin], after })];
};

/** The gradients of all outputs; those that nothing depends on count as zeros. */
function complete(g: GradientContext, node: Node, dy: readonly (Value | null)[]): Value[] {
  return dy.map((each, i) => {
    const { shape } = node.outputs[i]!;
    return each ?? g.constant("zeros", shape, new Float32Array(elementCount(shape)));
  });
}

/** Put together again by `op` along the same axis. */
const joined =
  (op: "concatenation" | "pack"): GradientRule =>
  (g, node, dy) => [one(g, op, complete(g, node, dy), { axis: attributesOf<{ axis: number }>(node).axis })];

export const split = joined("concatenation");
export const unpack = joined("pack");
export const pack: GradientRule = (g, node, [dy]) => g.apply("unpack", [dy!], node.attributes);

/** Copies side by side are dimensions of their own, which are summed up. */
export const tile: GradientRule = (g, node, [dy]) => {
  const { multiples } = attributesOf<{ multiples: number[] }>(node);
  const { shape } = inputOf(node, 0);
  const apart = one(g, "reshape", [dy!], { shape: shape.flatMap((size, d) => [multiples[d]!, size]) });
  return [reshaped(g, one(g, "sum", [apart], { axes: shape.map((_, d) => 2 * d), keepDims: false }), shape)];
};

/** The running sum the other way round. */
export const cumsum: GradientRule = (g, node, [dy]) => {
  const a = attributesOf<CumsumAttributes>(node);
  return [one(g, "cumsum", [dy!], { ...a, reverse: !a.reverse })];
};

/** What moves elements only is undone by its counterpart; `renamed` says how that spells the attributes. */
const undoneBy =
  (op: string, renamed: Readonly<Record<string, string>> = {}): GradientRule =>
  (g, node, [dy]) => [one(g, op, [dy!], Object.fromEntries(Object.entries(node.attributes).map(([key, value]) => [renamed[key] ?? key, value])))];

export const depthToSpace = undoneBy("spaceToDepth");
export const spaceToDepth = undoneBy("depthToSpace");
export const spaceToBatch = undoneBy("batchToSpace", { before: "cropsBefore", after: "cropsAfter" });
export const batchToSpace = undoneBy("spaceToBatch", { cropsBefore: "before", cropsAfter: "after" });

export const pad: GradientRule = (g, node, [dy]) => {
  const { before } = attributesOf<PadAttributes>(node);
  return [one(g, "slice", [dy!], { begin: [...before], size: [...inputOf(node, 0).shape] })];
};

/** A dimension of a shape replaced. */
const along = (shape: Shape, axis: number, size: number): number[] => shape.map((each, d) => (d === axis ? size : each));

function reversed(g: GradientContext, x: Value, axis: number): Value {
  const zeros = x.shape.map(() => 0);
  const strides = along(
    x.shape.map(() => 1),
    axis,
    -1,
  );
  const shape = [...x.shape];
  return one(g, "stridedSlice", [x], { begin: along(zeros, axis, x.shape[axis]! - 1), strides, shape, newShape: shape });
}

/** Zeros around x along one axis. */
function padded(g: GradientContext, x: Value, axis: number, before: number, after: number): Value {
  const zeros = x.shape.map(() => 0);
  return before === 0 && after === 0 ? x : one(g, "pad", [x], { before: along(zeros, axis, before), after: along(zeros, axis, after) });
}

function part(g: GradientContext, x: Value, axis: number, start: number, size: number): Value {
  const zeros = x.shape.map(() => 0);
  return one(g, "slice", [x], { begin: along(zeros, axis, start), size: along(x.shape, axis, size) });
}

/** Elements as far apart as a stride had found them, with zeros between: each is given zeros behind it, which the last one loses again. */
function apart(g: GradientContext, x: Value, axis: number, stride: number): Value {
  const [count, inner] = [x.shape[axis]!, elementCount(x.shape.slice(axis + 1))];
  const filled = padded(g, one(g, "reshape", [x], { shape: [elementCount(x.shape.slice(0, axis + 1)), 1, inner] }), 1, 0, stride - 1);
  return part(g, one(g, "reshape", [filled], { shape: along(x.shape, axis, count * stride) }), axis, 0, (count - 1) * stride + 1);
}

export const stridedSlice: GradientRule = (g, node, [dy]) => {
  const { begin, strides, shape } = attributesOf<StridedSliceAttributes>(node);
  const x = inputOf(node, 0);
  let dx = reshaped(g, dy!, shape);
  strides.forEach((stride, d) => {
    if (stride < 0) dx = reversed(g, dx, d);
    if (Math.abs(stride) > 1) dx = apart(g, dx, d, Math.abs(stride));
  });
  const first = begin.map((at, d) => (strides[d]! < 0 ? at + (shape[d]! - 1) * strides[d]! : at));
  const after = x.shape.map((size, d) => size - first[d]! - dx.shape[d]!);
  return [one(g, "pad", [dx], { before: first, after })];
};

/** What lies in the mirror goes back to where it is mirrored from. */
export const mirrorPad: GradientRule = (g, node, [dy]) => {
  const { before, after, mode } = attributesOf<MirrorPadAttributes>(node);
  const skip = mode === "reflect" ? 1 : 0;
  let dx = dy!;
  inputOf(node, 0).shape.forEach((size, d) => {
    const [left, right] = [before[d]!, after[d]!];
    const terms = [part(g, dx, d, left, size)];
    if (left > 0) terms.push(padded(g, reversed(g, part(g, dx, d, 0, left), d), d, skip, size - skip - left));
    if (right > 0) terms.push(padded(g, reversed(g, part(g, dx, d, left + size, right), d), d, size - skip - right, skip));
    dx = terms.reduce((sum, term) => binary(g, "add", sum, term));
  });
  return [dx];
};

export const fill: GradientRule = (g, node, [dy]) => [sumTo(g, dy!, inputOf(node, 0).shape)];

/** dy seen with the reduced dimensions as 1, repeated along them. */
export function spread(g: GradientContext, node: Node, dy: Value): Value {
  const { axes } = attributesOf<ReduceAttributes>(node);
  const { shape } = inputOf(node, 0);
  const kept = shape.map((size, d) => (axes.includes(d) ? 1 : size));
  return one(g, "broadcastTo", [reshaped(g, dy, kept)], { shape: [...shape] });
}

export const sum: GradientRule = (g, node, [dy]) => [spread(g, node, dy!)];
export const mean: GradientRule = (g, node, [dy]) => [
  spread(g, node, scaledBy(g, dy!, elementCount(node.outputs[0]!.shape) / elementCount(inputOf(node, 0).shape))),
];

export const broadcastTo: GradientRule = (g, node, [dy]) => [sumTo(g, dy!, inputOf(node, 0).shape)];

/** y = a · b: da = dy · bᵀ, db = aᵀ · dy, with each operand as it is stored. */
export const batchMatmul: GradientRule = (g, node, [dy]) => {
  const { adjX, adjY } = attributesOf<BatchMatmulAttributes>(node);
  const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
  const product = (x: Value, y: Value, tx: boolean, ty: boolean): Value => one(g, "batchMatmul", [x, y], { adjX: tx, adjY: ty });
  const da = (): Value => (adjX ? product(b, dy!, adjY, true) : product(dy!, b, false, !adjY));
  const db = (): Value => (adjY ? product(dy!, a, true, adjX) : product(a, dy!, !adjX, false));
  return [g.wanted(0) ? sumTo(g, da(), a.shape) : null, g.wanted(1) ? sumTo(g, db(), b.shape) : null];
};
