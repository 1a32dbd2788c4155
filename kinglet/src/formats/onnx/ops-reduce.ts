import { elementCount } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import { add, clip, compare, mul, reduce, sub } from "./math.ts";
import { concatenated, sliced } from "./ops-movement.ts";
import type { Rule, Site } from "./site.ts";

/** Axes of a reduction: an input since 13 or 18, an attribute before; all where there are none. */
export function axesOf(site: Site): number[] | null {
  const x = site.input(0);
  const given = site.numbersOr(1, "axes") ?? [];
  if (given.length > 0) return site.axes(given, x.shape.length);
  return site.int("noop_with_empty_axes", 0) !== 0 ? null : x.shape.map((_, d) => d);
}

/** A reduction with what comes before and after it. */
function reduction(op: string, before: (site: Site, x: Value) => Value, after: (site: Site, y: Value) => Value): Rule {
  return (site) => {
    const axes = axesOf(site);
    const x = before(site, site.input(0));
    if (axes === null) return after(site, x);
    return after(site, reduce(site, op, x, axes, site.int("keepdims", 1) !== 0));
  };
}

const same = (_site: Site, x: Value): Value => x;
const square = (site: Site, x: Value): Value => mul(site, x, x);
const log = (site: Site, x: Value): Value => site.emit("log", [x]);

function norm2(site: Site, y: Value): Value {
  return site.cast(site.emit("sqrt", [site.cast(y, "float32")]), y.dtype);
}

/** The largest element is taken out first, so that no exponential overflows. */
function logSumExp(site: Site): Value {
  const x = site.cast(site.input(0), "float32");
  const axes = axesOf(site);
  if (axes === null) return x;
  const top = clip(site, reduce(site, "reduceMax", x, axes), -3.4e38, 3.4e38);
  const sum = reduce(site, "sum", site.emit("exp", [sub(site, x, top)]), axes);
  const y = add(site, log(site, sum), top);
  if (site.int("keepdims", 1) !== 0) return y;
  return site.reshape(
    y,
    y.shape.filter((_, d) => !axes.includes(d)),
  );
}

function arg(op: "argMax" | "argMin"): Rule {
  return (site) => {
    const x = site.input(0);
    const axis = site.axis(site.int("axis", 0), x.shape.length);
    const attributes = { axis, keepDims: site.int("keepdims", 1) !== 0, dtype: "int64" };
    if (site.int("select_last_index", 0) === 0) return site.emit(op, [x], attributes);
    const size = x.shape[axis]!;
    const turned = site.emit("stridedSlice", [x], {
      begin: x.shape.map((_, d) => (d === axis ? size - 1 : 0)),
      strides: x.shape.map((_, d) => (d === axis ? -1 : 1)),
      shape: [...x.shape],
      newShape: [...x.shape],
    });
    return sub(site, size - 1, site.emit(op, [turned], attributes));
  };
}

function cumulative(site: Site): Value {
  const x = site.input(0);
  const axis = site.axis(site.numbers(1)?.[0] ?? 0, x.shape.length);
  return site.emit("cumsum", [x], { axis, exclusive: site.int("exclusive", 0) !== 0, reverse: site.int("reverse", 0) !== 0 });
}

/** Longer products would become as many nodes. */
const MOST_FACTORS = 256;

function cumulativeProduct(site: Site): Value {
  const x = site.input(0);
  const axis = site.axis(site.numbers(1)?.[0] ?? 0, x.shape.length);
  const size = x.shape[axis]!;
  if (size > MOST_FACTORS) site.unsupported(`products along ${size} elements are not supported`);
  const reverse = site.int("reverse", 0) !== 0;
  const exclusive = site.int("exclusive", 0) !== 0;
  const order = Array.from({ length: size }, (_, i) => (reverse ? size - 1 - i : i));
  const parts: Value[] = [];
  let product: Value | null = null;
  for (const i of order) {
    const element = sliced(site, x, axis, i, 1);
    const before: Value | null = product;
    product = before === null ? element : mul(site, before, element);
    parts[i] = exclusive ? (before ?? ones(site, element)) : product;
  }
  return concatenated(site, parts, axis);
}

function ones(site: Site, like: Value): Value {
  return site.reshape(site.like(like, new Array<number>(elementCount(like.shape)).fill(1)), like.shape);
}

/** Softmax over one axis; before version 13 over all dimensions from one on. */
function softmaxRows(site: Site, otherwise: number, write: (rows: Value) => Value): Value {
  const x = site.input(0);
  const rank = x.shape.length;
  const axis = site.axis(site.int("axis", otherwise), Math.max(1, rank));
  if (site.version < 13) {
    const rows = site.reshape(x, [elementCount(x.shape.slice(0, axis)), elementCount(x.shape.slice(axis))]);
    return site.reshape(write(rows), x.shape);
  }
  if (axis === rank - 1) return write(x);
  const swap = x.shape.map((_, d) => (d === axis ? rank - 1 : d === rank - 1 ? axis : d));
  return site.transpose(write(site.transpose(x, swap)), swap);
}

const lastAxisDefault = (site: Site): number => (site.version < 13 ? 1 : -1);

const softmax: Rule = (site) => softmaxRows(site, lastAxisDefault(site), (rows) => site.emit("softmax", [rows], { beta: 1 }));
const logSoftmax: Rule = (site) => softmaxRows(site, lastAxisDefault(site), (rows) => site.emit("logSoftmax", [rows]));

/** 1 at the first of the largest. */
function hardmax(site: Site): Value {
  return softmaxRows(site, lastAxisDefault(site), (rows) => {
    const last = rows.shape.length - 1;
    const best = site.emit("argMax", [rows], { axis: last, keepDims: true, dtype: "int32" });
    const positions = site.importer.numbers(
      Array.from({ length: rows.shape[last]! }, (_, i) => i),
      "int32",
    );
    return site.cast(compare(site, "equal", best, positions), "float32");
  });
}

function topK(site: Site): Value[] {
  const x = site.input(0);
  const rank = x.shape.length;
  const axis = site.axis(site.int("axis", -1), rank);
  const k = site.numbersOr(1, "k")?.[0] ?? site.int("k", 1);
  const swap = x.shape.map((_, d) => (d === axis ? rank - 1 : d === rank - 1 ? axis : d));
  const [values, indices] = site.importer.emit("topK", [site.transpose(x, swap)], { k, largest: site.int("largest", 1) !== 0 });
  return [site.transpose(values!, swap), site.cast(site.transpose(indices!, swap), "int64")];
}

export const REDUCE: Readonly<Record<string, Rule>> = {
  ReduceSum: reduction("sum", same, same),
  ReduceMean: reduction("mean", same, same),
  ReduceProd: reduction("reduceProd", same, same),
  ReduceMax: reduction("reduceMax", same, same),
  ReduceMin: reduction("reduceMin", same, same),
  ReduceL1: reduction("sum", (site, x) => site.emit("abs", [x]), same),
  ReduceL2: reduction("sum", square, norm2),
  ReduceSumSquare: reduction("sum", square, same),
  ReduceLogSum: reduction("sum", same, log),
  ReduceLogSumExp: logSumExp,
  ArgMax: arg("argMax"),
  ArgMin: arg("argMin"),
  CumSum: cumulative,
  CumProd: cumulativeProduct,
  Softmax: softmax,
  LogSoftmax: logSoftmax,
  Hardmax: hardmax,
  TopK: topK,
};
