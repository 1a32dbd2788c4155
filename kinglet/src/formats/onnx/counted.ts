import { sameShape } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import type { Site } from "./site.ts";

/**
 * Results whose number of rows depends on contents are as long as they can become, and another value says how many rows, from the
 * first on, count. That holds on through operators that make of every row one row of their result; all others are refused.
 */

const always = (): boolean => true;
const sameShapeAs = (_: Site, rows: Value, result: Value): boolean => sameShape(rows.shape, result.shape);

function slices(site: Site): boolean {
  const starts = site.numbersOr(1, "starts") ?? [];
  const axes = site.numbersOr(3, "axes") ?? starts.map((_, d) => d);
  return axes.every((axis) => site.axis(axis, site.shape(0).length) !== 0);
}

/** Columns of rows, or for every row what it points at. */
function gathers(site: Site, rows: Value): boolean {
  const axis = site.axis(site.int("axis", 0), site.shape(0).length);
  return rows === site.input(0) ? axis !== 0 && rows !== site.input(1) : axis === 0;
}

/** By operator: whether each of these rows becomes the same row of the result, if that has as many. */
const KEEPING: Readonly<Record<string, (site: Site, rows: Value, result: Value) => boolean>> = {
  Identity: always,
  Cast: always,
  Reshape: always,
  Flatten: always,
  Squeeze: always,
  Unsqueeze: always,
  Slice: slices,
  Gather: gathers,
  GatherND: (site, rows) => rows !== site.input(0) && site.int("batch_dims", 0) === 0,
  Concat: (site) => site.axis(site.int("axis", 0), site.shape(0).length) !== 0,
  Add: sameShapeAs,
  Sub: sameShapeAs,
  Mul: sameShapeAs,
  Div: sameShapeAs,
};

/**
 * Says of a node's results how many of their rows count, where that depends on contents.
 * @throws KingletError `unsupported` where the operator does something else with rows
 */
export function carryCounts(site: Site, results: readonly (Value | null)[]): void {
  const { importer, node } = site;
  const inputs = site.inputs.filter((value): value is Value => value !== null && importer.countOf(value) !== undefined);
  const count = inputs[0] === undefined ? undefined : importer.countOf(inputs[0]);
  if (count === undefined) return;
  const made = results.filter((value): value is Value => value !== null);
  const keeps = node.domain === "" ? KEEPING[node.op] : undefined;
  const isKept = (rows: Value, result: Value): boolean =>
    keeps !== undefined && importer.countOf(rows) === count && result.shape[0] === rows.shape[0] && keeps(site, rows, result);
  if (!inputs.every((rows) => made.every((result) => isKept(rows, result))))
    site.unsupported("how many rows its input has depends on contents", "Compute what follows the choice of boxes outside of the model.");
  for (const result of made) importer.count(result, count);
}
