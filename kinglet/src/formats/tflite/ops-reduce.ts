import type { Attributes } from "../../graph/index.ts";
import { activation, type OperatorRows, row, type Site } from "./site.ts";
import { tensorTypeName } from "./tensor-name.ts";

/** Axes sorted, each once; an empty list in the file means what it says: none. */
function reduce(site: Site): Attributes {
  const rank = site.shape(0).length;
  const axes = [...new Set(site.constant(1).map((axis) => site.axis(axis, rank)))].sort((a, b) => a - b);
  return { axes, keepDims: site.options.bool(0) };
}

function arg(site: Site): Attributes {
  return { axis: site.axis(site.constantScalar(1), site.shape(0).length), keepDims: false, dtype: tensorTypeName(site.output(0)) };
}

function cumsum(site: Site): Attributes {
  const axis = site.axis(site.constantScalar(1), site.shape(0).length);
  return { axis, exclusive: site.options.bool(0), reverse: site.options.bool(1) };
}

/** Operators that join elements along axes. */
export const REDUCE_ROWS: OperatorRows = {
  MEAN: row("mean", "xc", reduce),
  SUM: row("sum", "xc", reduce),
  REDUCE_MAX: row("reduceMax", "xc", reduce),
  REDUCE_MIN: row("reduceMin", "xc", reduce),
  REDUCE_PROD: row("reduceProd", "xc", reduce),
  ARG_MAX: row("argMax", "xc", arg),
  ARG_MIN: row("argMin", "xc", arg),
  CUMSUM: row("cumsum", "xc", cumsum),
  L2_NORMALIZATION: row("l2Normalization", "x", (site) => ({ activation: activation(site, 0) })),
};
