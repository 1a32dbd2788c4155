import { elementCount } from "../../base/index.ts";
import type { Node, Value } from "../../graph/index.ts";
import type { BatchMatmulAttributes } from "../batch-matmul.ts";
import { attributesOf, inputOf } from "../op.ts";
import type { CumsumAttributes } from "../cumsum.ts";
import type { ReduceAttributes } from "../reduce.ts";
import type { PadAttributes, SliceAttributes } from "../slice.ts";
import { type GradientContext, type GradientRule, one, reshaped, scaledBy, sumTo } from "./rule.ts";

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
    return g.wanted(i) ? one(g, "slice", [dy!], { begin, size: [...value!.shape] }) : null;
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

/** What moves elements only is undone by its counterpart. */
const undoneBy =
  (op: "depthToSpace" | "spaceToDepth"): GradientRule =>
  (g, node, [dy]) => [one(g, op, [dy!], node.attributes)];

export const depthToSpace = undoneBy("spaceToDepth");
export const spaceToDepth = undoneBy("depthToSpace");

export const pad: GradientRule = (g, node, [dy]) => {
  const { before } = attributesOf<PadAttributes>(node);
  return [one(g, "slice", [dy!], { begin: [...before], size: [...inputOf(node, 0).shape] })];
};

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
