import { elementCount } from "../base/index.ts";
import type { Node, Value } from "../graph/index.ts";
import type { Recomputed } from "./recompute.ts";
import { attributesOf, type PoolAttributes, type WindowAttributes } from "../ops/index.ts";

/** How one input of a node is needed for one output row. */
export interface RowNeed {
  /** Rows of the input that one output row looks at. */
  readonly reach: number;
  /** Input rows that the window moves down for the next output row. */
  readonly stride: number;
  /** Rows of the window above the first and below the last row of the input. */
  readonly padTop: number;
  readonly padBottom: number;
}

/** A node that can compute its output a row at a time. */
export interface RowForm {
  readonly node: Node;
  /** By input; null where it is the same for all rows: constants, and factors for whole channels. */
  readonly needs: readonly (RowNeed | null)[];
  /** An average over all rows: it adds row after row and ends with one division. */
  readonly collects: boolean;
  /** Two nodes in one: what lies between them is computed again for every row. `node` then has the first's input. */
  readonly recomputed?: Recomputed;
}

/** Nodes of the graph that a form stands for. */
export function nodesIn(form: RowForm): number {
  return form.recomputed === undefined ? 1 : 2;
}

const ROW_BY_ROW: RowNeed = { reach: 1, stride: 1, padTop: 0, padBottom: 0 };

/** Operators whose output element depends on the input elements at its own place alone. */
const ELEMENTWISE = new Set(
  "add sub mul div maximum minimum squaredDifference quantize dequantize requantize cast relu relu6 reluN1To1 leakyRelu hardSwish logistic tanh elu abs neg square sqrt rsqrt exp log floor ceil round sin cos gelu prelu".split(
    " ",
  ),
);

/** Rows are counted along the second dimension of an image, batch 1. */
function isImage(value: Value | null | undefined): value is Value {
  return value !== null && value !== undefined && value.data === undefined && value.shape.length === 4 && value.shape[0] === 1;
}

function windowForm(node: Node, filterH: number): RowForm | undefined {
  const a = attributesOf<WindowAttributes>(node);
  const reach = (filterH - 1) * (a.dilationH ?? 1) + 1;
  const need: RowNeed = { reach, stride: a.strideH, padTop: a.padTop, padBottom: a.padBottom };
  return { node, needs: node.inputs.map((_, i) => (i === 0 ? need : null)), collects: false };
}

function poolForm(node: Node): RowForm | undefined {
  const a = attributesOf<PoolAttributes>(node);
  const [x, y] = [node.inputs[0]!, node.outputs[0]!];
  const whole =
    a.filterH === x.shape[1] &&
    a.filterW === x.shape[2] &&
    y.shape[1] === 1 &&
    y.shape[2] === 1 &&
    a.padTop + a.padBottom + a.padLeft + a.padRight === 0;
  if (node.op === "averagePool2d" && whole && x.dtype === "int8") return { node, needs: [ROW_BY_ROW], collects: true };
  return windowForm(node, a.filterH);
}

function elementwiseForm(node: Node): RowForm | undefined {
  const y = node.outputs[0]!;
  const same = (value: Value): boolean => isImage(value) && value.shape.every((d, i) => d === y.shape[i]);
  const needs = node.inputs.map((value): RowNeed | null | undefined => {
    if (value === null) return null;
    if (same(value)) return ROW_BY_ROW;
    return value.shape.length < 4 || elementCount(value.shape.slice(0, 3)) === 1 ? null : undefined;
  });
  if (needs.some((need) => need === undefined) || !needs.some((need) => need !== null)) return undefined;
  return { node, needs: needs as (RowNeed | null)[], collects: false };
}

/** How a node computes by rows, or undefined where it needs its inputs whole. */
export function rowFormOf(node: Node): RowForm | undefined {
  if (node.outputs.length !== 1 || !isImage(node.outputs[0]) || !node.inputs.some(isImage)) return undefined;
  if (node.inputs.some((value) => value?.variable === true)) return undefined;
  switch (node.op) {
    case "conv2d":
      return node.inputs[1]?.data === undefined ? undefined : windowForm(node, node.inputs[1].shape[1]!);
    case "depthwiseConv2d":
      return node.inputs[1]?.data === undefined ? undefined : windowForm(node, node.inputs[1].shape[1]!);
    case "averagePool2d":
    case "maxPool2d":
      return poolForm(node);
    default:
      return ELEMENTWISE.has(node.op) ? elementwiseForm(node) : undefined;
  }
}

function rowsOf(value: Value, rows: number): Value {
  return { ...value, shape: [1, rows, value.shape[2]!, value.shape[3]!] };
}

/** Rows of a window that lie above and below the image; the node's own padding stands in for them. */
export interface Edge {
  readonly above: number;
  readonly below: number;
}

export const NO_EDGE: Edge = { above: 0, below: 0 };

/** Rows of the window that lie outside of an input that is whole in memory, for one output row. */
export function edgeOf(need: RowNeed, height: number, row: number): Edge {
  const first = row * need.stride - need.padTop;
  return { above: Math.max(0, -first), below: Math.max(0, first + need.reach - height) };
}

/** By the graph's node: what is known of a node (its proofs, its kernel) need then be found once for all divisions that are tried. */
const knownRows = new WeakMap<Node, Map<string, Node>>();

/** The node for one output row: as many input rows as it looks at, padding above and below only at an edge. */
export function rowNode(form: RowForm, edge: Edge = NO_EDGE): Node {
  const known = knownRows.get(form.node) ?? new Map<string, Node>();
  knownRows.set(form.node, known);
  const key = `${edge.above} ${edge.below}`;
  const row = known.get(key) ?? makeRowNode(form, edge);
  known.set(key, row);
  return row;
}

function makeRowNode(form: RowForm, edge: Edge): Node {
  const { node } = form;
  const inputs = node.inputs.map((value, i) => (form.needs[i] === null ? value : rowsOf(value!, form.needs[i]!.reach - edge.above - edge.below)));
  const attributes = "padTop" in node.attributes ? { ...node.attributes, padTop: edge.above, padBottom: edge.below, strideH: 1 } : node.attributes;
  return { ...node, inputs, outputs: [rowsOf(node.outputs[0]!, 1)], attributes };
}

/** Elements in one row of an image. */
export function rowElements(value: Value): number {
  return value.shape[2]! * value.shape[3]!;
}
