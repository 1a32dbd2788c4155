import { elementCount, type Shape } from "../../base/index.ts";
import type { Node, Value } from "../../graph/index.ts";
import { attributesOf, badNode, inputOf } from "../op.ts";
import { type GradientContext, type GradientRule, one, reshaped } from "./rule.ts";

/** Rows of dy, [before, indices, behind], added up where they were taken from: [before, size, behind]. */
function returned(g: GradientContext, dy: Value, indices: Value, shape: Shape, axis: number): Value {
  const [count, size] = [elementCount(indices.shape), shape[axis]!];
  const [before, behind] = [elementCount(shape.slice(0, axis)), elementCount(shape.slice(axis + 1))];
  const swapped = (x: Value): Value => one(g, "transpose", [x], { permutation: [1, 0, 2] });
  const rows = reshaped(g, swapped(reshaped(g, dy, [before, count, behind])), [count, before * behind]);
  const zeros = g.constant("zeros", [size, before * behind], new Float32Array(size * before * behind));
  const sums = one(g, "scatter", [zeros, reshaped(g, indices, [count]), rows], { reduction: "add" });
  return reshaped(g, swapped(reshaped(g, sums, [size, before, behind])), shape);
}

export const gather: GradientRule = (g, node, [dy]) => {
  const { axis, batchDims } = attributesOf<{ axis: number; batchDims: number }>(node);
  if (batchDims > 0) throw badNode(node, "picks from each batch by its own indices, which has no gradient here");
  return [returned(g, dy!, inputOf(node, 1), inputOf(node, 0).shape, axis), null];
};

export const embeddingLookup: GradientRule = (g, node, [dy]) => [null, returned(g, dy!, inputOf(node, 0), inputOf(node, 1).shape, 0)];

/** What a resize does along one axis, as a matrix [1, output, input]: the resized picture of the identity. */
function resizeMatrix(g: GradientContext, node: Node, axis: 1 | 2): Value {
  const [from, to] = [inputOf(node, 0).shape[axis]!, node.outputs[0]!.shape[axis]!];
  const identity = Float32Array.from({ length: from * from }, (_, i) => (i % (from + 1) === 0 ? 1 : 0));
  const picture = g.constant("identity", axis === 1 ? [1, from, 1, from] : [1, 1, from, from], identity);
  const resized = one(g, node.op, [picture], { ...node.attributes, height: axis === 1 ? to : 1, width: axis === 1 ? 1 : to });
  return reshaped(g, resized, [1, to, from]);
}

/** Rows and columns are resized apart, by matrices, and so is dy, by the transposed ones. */
export const resize: GradientRule = (g, node, [dy]) => {
  const [n, height, width, channels] = inputOf(node, 0).shape as [number, number, number, number];
  const [, outH, outW] = dy!.shape as [number, number, number, number];
  const back = (axis: 1 | 2, x: Value): Value => one(g, "batchMatmul", [resizeMatrix(g, node, axis), x], { adjX: true, adjY: false });
  const rows = back(1, reshaped(g, dy!, [n, outH, outW * channels]));
  return [reshaped(g, back(2, reshaped(g, rows, [n * height, outW, channels])), [n, height, width, channels])];
};
