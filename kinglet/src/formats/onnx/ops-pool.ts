import { elementCount, stridesOf } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import { add, div, mul, reduce } from "./math.ts";
import { asImage, channelsFirst, channelsLast, flatPlan, windowAttributes } from "./ops-conv.ts";
import type { Rule, Site } from "./site.ts";
import { type WindowPlan, windowPlan } from "./window.ts";

type Kind = "maxPool2d" | "averagePool2d";

const isPlain = (plan: WindowPlan): boolean => plan.dilations.every((step) => step === 1);

function padAll(site: Site, x: Value, before: readonly number[], after: readonly number[], value: number): Value {
  if ([...before, ...after].every((amount) => amount === 0)) return x;
  const float = x.dtype === "float32";
  return site.emit("pad", [x], { before: [0, 0, ...before], after: [0, 0, ...after], value: float ? value : Math.max(value, 0) });
}

function poolImage(site: Site, kind: Kind, x: Value, plan: WindowPlan): Value {
  const attributes = { ...windowAttributes(plan), filterH: plan.kernel[0]!, filterW: plan.kernel[1]! };
  return channelsFirst(site, site.emit(kind, [channelsLast(site, x)], attributes, x.quantization));
}

const part = (plan: WindowPlan, from: number, to: number): WindowPlan => ({
  kernel: plan.kernel.slice(from, to),
  strides: plan.strides.slice(from, to),
  dilations: plan.dilations.slice(from, to),
  before: plan.before.slice(from, to),
  after: plan.after.slice(from, to),
  extra: plan.extra.slice(from, to),
});

/** Pools in three dimensions go image by image, and then along the depth: extremes and averages of windows both divide so. */
function poolVolume(site: Site, kind: Kind, x: Value, plan: WindowPlan): Value {
  const [n, c, d, h, w] = x.shape as [number, number, number, number, number];
  const images = poolImage(site, kind, site.reshape(x, [n, c * d, h, w]), part(plan, 1, 3));
  const [oh, ow] = images.shape.slice(2) as [number, number];
  const flat = site.reshape(images, [n, c, d, oh * ow]);
  const deep = part(plan, 0, 1);
  const one: WindowPlan = {
    kernel: [...deep.kernel, 1],
    strides: [...deep.strides, 1],
    dilations: [1, 1],
    before: [...deep.before, 0],
    after: [...deep.after, 0],
    extra: [...deep.extra, 0],
  };
  const y = poolImage(site, kind, flat, one);
  return site.reshape(y, [n, c, y.shape[2]!, oh, ow]);
}

function poolOf(site: Site, kind: Kind, x: Value, plan: WindowPlan): Value {
  if (plan.kernel.length === 3) return poolVolume(site, kind, x, plan);
  const y = poolImage(site, kind, asImage(site, x), flatPlan(plan));
  return x.shape.length === 3 ? site.reshape(y, [y.shape[0]!, y.shape[1]!, y.shape[3]!]) : y;
}

/**
 * All windows as dimensions of their own, through tables of indices: [n, c, positions…, taps…]. For what the pool operators do not
 * have: gaps, other sums, other types.
 */
function windowsOf(site: Site, x: Value, plan: WindowPlan, fill: number): { windows: Value; axes: number[] } {
  const rank = plan.kernel.length;
  let y = padAll(
    site,
    x,
    plan.before,
    plan.after.map((after, d) => after + plan.extra[d]!),
    fill,
  );
  const axes: number[] = [];
  for (let d = rank - 1; d >= 0; d--) {
    const [size, step, gap] = [plan.kernel[d]!, plan.strides[d]!, plan.dilations[d]!];
    const positions = Math.floor((y.shape[d + 2]! - (size - 1) * gap - 1) / step) + 1;
    if (positions < 1) site.fail("the window is larger than the input");
    const table = Int32Array.from({ length: positions * size }, (_, i) => Math.floor(i / size) * step + (i % size) * gap);
    y = site.emit("gather", [y, site.constant(table, "int32", [positions, size])], { axis: d + 2, batchDims: 0 });
  }
  for (let d = 0; d < rank; d++) axes.push(3 + 2 * d);
  return { windows: y, axes };
}

function plainPlan(site: Site): WindowPlan {
  const x = site.input(0);
  if (x.shape.length < 3) site.fail(`a pool of an input of ${x.shape.length} dimensions`);
  return windowPlan(site, x.shape.slice(2), site.ints("kernel_shape") ?? site.fail("it has no kernel_shape"));
}

/** The maxima with where they are: places in the flattened input, column by column where the storage order says so. */
function withIndices(site: Site, x: Value, plan: WindowPlan): Value[] {
  if (x.dtype !== "float32") site.unsupported("the indices of a MaxPool of integers are not supported");
  const rank = plan.kernel.length;
  const { windows, axes } = windowsOf(site, x, plan, -3.4028234663852886e38);
  const positions = windows.shape.filter((_, d) => d > 1 && d % 2 === 0);
  const [places, taps] = [elementCount(positions), elementCount(plan.kernel)];
  const sorted = site.transpose(windows, [0, 1, ...axes.map((axis) => axis - 1), ...axes]);
  const rows = site.reshape(sorted, [...x.shape.slice(0, 2), places, taps]);
  const best = site.emit("argMax", [rows], { axis: 3, keepDims: false, dtype: "int32" });
  const sizes = x.shape.slice(2);
  const steps = site.int("storage_order", 0) === 0 ? stridesOf(sizes) : stridesOf([...sizes].reverse()).reverse();
  const digit = (list: readonly number[], d: number, i: number): number => Math.floor(i / stridesOf(list)[d]!) % list[d]!;
  const table = Int32Array.from({ length: places * taps }, (_, i) => {
    const [place, tap] = [Math.floor(i / taps), i % taps];
    let at = 0;
    for (let d = 0; d < rank; d++) {
      const along = digit(positions, d, place) * plan.strides[d]! + digit(plan.kernel, d, tap) * plan.dilations[d]! - plan.before[d]!;
      // Taps beyond the edge are never the maximum.
      at += Math.max(0, Math.min(sizes[d]! - 1, along)) * steps[d]!;
    }
    return at;
  });
  const first = site.constant(
    Int32Array.from({ length: places }, (_, i) => i * taps),
    "int32",
    [1, 1, places],
  );
  const within = site.emit("gather", [site.constant(table, "int32", [places * taps]), add(site, best, first)], { axis: 0, batchDims: 0 });
  const [n, c] = x.shape as [number, number];
  const maps = site.constant(
    Int32Array.from({ length: n * c }, (_, i) => i * elementCount(sizes)),
    "int32",
    [n, c, 1],
  );
  const shape = [n, c, ...positions];
  return [reduce(site, "reduceMax", windows, axes, false), site.cast(site.reshape(add(site, within, maps), shape), "int64")];
}

function maxPool(site: Site): Value | Value[] {
  const x = site.input(0);
  const plan = plainPlan(site);
  if ((site.node.outputs[1] ?? "") !== "") return withIndices(site, x, plan);
  if (isPlain(plan) && plan.kernel.length <= 3 && (x.dtype === "float32" || x.quantization !== undefined)) return poolOf(site, "maxPool2d", x, plan);
  const lowest = x.dtype === "float32" ? -3.4028234663852886e38 : x.dtype === "int8" ? -128 : 0;
  const wide = x.dtype === "float32" ? x : site.cast(x, "int32");
  const { windows, axes } = windowsOf(site, wide, plan, lowest);
  return site.cast(reduce(site, "reduceMax", windows, axes, false), x.dtype);
}

function averagePool(site: Site): Value {
  const x = site.input(0);
  const plan = plainPlan(site);
  const counted = site.int("count_include_pad", 0) !== 0;
  const padded = counted ? padAll(site, x, plan.before, plan.after, 0) : x;
  const none = plan.before.map(() => 0);
  const rest = counted ? { ...plan, before: none, after: none } : plan;
  if (isPlain(plan) && plan.kernel.length <= 3) return poolOf(site, "averagePool2d", padded, rest);
  const { windows, axes } = windowsOf(site, padded, rest, 0);
  const ones = site.constant(new Float32Array(elementCount(padded.shape)).fill(1), "float32", padded.shape);
  return div(site, reduce(site, "sum", windows, axes, false), reduce(site, "sum", windowsOf(site, ones, rest, 0).windows, axes, false));
}

function root(site: Site, value: Value, p: number): Value {
  return p === 2 ? site.emit("sqrt", [value]) : p === 1 ? value : site.emit("pow", [value, site.like(value, 1 / p)]);
}

function power(site: Site, value: Value, p: number): Value {
  const size = site.emit("abs", [value]);
  return p === 1 ? size : p === 2 ? mul(site, size, size) : site.emit("pow", [size, site.like(size, p)]);
}

function lpPool(site: Site): Value {
  const p = site.int("p", 2);
  const { windows, axes } = windowsOf(site, power(site, site.input(0), p), plainPlan(site), 0);
  return root(site, reduce(site, "sum", windows, axes, false), p);
}

const spatialAxes = (site: Site): number[] =>
  site
    .shape(0)
    .slice(2)
    .map((_, d) => d + 2);

export const POOL: Readonly<Record<string, Rule>> = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  LpPool: lpPool,
  GlobalMaxPool: (site) => reduce(site, "reduceMax", site.input(0), spatialAxes(site)),
  GlobalAveragePool: (site) => reduce(site, "mean", site.input(0), spatialAxes(site)),
  GlobalLpPool: (site) => root(site, reduce(site, "sum", power(site, site.input(0), site.int("p", 2)), spatialAxes(site)), site.int("p", 2)),
};
