import type { Attributes, Node } from "../../graph/index.ts";
import { attributesOf } from "../../ops/index.ts";
import { ARG_MAX, ARG_MIN, CUMSUM, L2_NORM, type OptionTable, REDUCER } from "./options.ts";
import { type ConstantInput, type OperatorRow, type OperatorRows, row, scalarOf, vectorOf } from "./row.ts";
import type { Site } from "./site.ts";
import { tensorTypeName } from "./tensor-name.ts";

/** Axes sorted, each once; an empty list in the file means what it says: none. */
function axesOf(site: Site): number[] {
  const rank = site.shape(0).length;
  return [...new Set(site.constant(1).map((axis) => site.axis(axis, rank)))].sort((a, b) => a - b);
}

function reduction(op: string): OperatorRow {
  return row(op, "xc", {
    options: REDUCER,
    read: (site, { keepDims }) => ({ axes: axesOf(site), keepDims }),
    write: (node) => ({ constants: [vectorOf(attributesOf<{ axes: readonly number[] }>(node).axes)] }),
  });
}

const axisOf = (site: Site): number => site.axis(site.constantScalar(1), site.shape(0).length);

function axisConstant(node: Node): { constants: ConstantInput[] } {
  return { constants: [scalarOf(attributesOf<{ axis: number }>(node).axis)] };
}

/** The file's operator drops its axis. */
function argument(op: string, options: OptionTable<{ type: ConstantInput["dtype"] | undefined }>): OperatorRow {
  return row(op, "xc", {
    options,
    read: (site): Attributes => ({ axis: axisOf(site), keepDims: false, dtype: tensorTypeName(site.output(0)) }),
    write: (node) => (node.attributes["keepDims"] === true ? null : { ...axisConstant(node), options: { type: node.outputs[0]!.dtype } }),
  });
}

const topK: OperatorRow = row("topK", "xc", {
  read: (site) => ({ k: site.positive(site.constantScalar(1), "the number of the best"), largest: true }),
  write(node) {
    const { k, largest } = attributesOf<{ k: number; largest: boolean }>(node);
    return largest ? { constants: [scalarOf(k)] } : null;
  },
});

/** Operators that join elements along axes. */
export const REDUCE_ROWS: OperatorRows = {
  MEAN: reduction("mean"),
  SUM: reduction("sum"),
  REDUCE_MAX: reduction("reduceMax"),
  REDUCE_MIN: reduction("reduceMin"),
  REDUCE_PROD: reduction("reduceProd"),
  ARG_MAX: argument("argMax", ARG_MAX),
  ARG_MIN: argument("argMin", ARG_MIN),
  TOPK_V2: topK,
  CUMSUM: row("cumsum", "xc", { options: CUMSUM, read: (site, options) => ({ axis: axisOf(site), ...options }), write: axisConstant }),
  L2_NORMALIZATION: row("l2Normalization", "x", { options: L2_NORM }),
};
