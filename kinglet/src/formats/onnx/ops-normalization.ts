import { elementCount } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import { add, clip, div, mul, reduce, sub } from "./math.ts";
import { channelsFirst, channelsLast } from "./ops-conv.ts";
import type { Rule, Site } from "./site.ts";

function batchNorm(site: Site): Value {
  const x = site.input(0);
  if (site.int("training_mode", 0) !== 0)
    site.unsupported("a batch normalization in training mode is not supported", "Export the model for inference.");
  const attributes = { epsilon: site.float("epsilon", 1e-5), activation: "none" };
  const statistics = [1, 2, 3, 4].map((i) => site.input(i));
  if (x.shape.length < 3) return site.emit("batchNorm", [x, ...statistics], attributes);
  return channelsFirst(site, site.emit("batchNorm", [channelsLast(site, x), ...statistics], attributes));
}

export interface Normalized {
  readonly y: Value;
  readonly mean: Value;
  /** 1 / √(variance + epsilon) */
  readonly inverse: Value;
}

/** (x − mean) / √(variance + epsilon) over axes. */
function normalized(site: Site, x: Value, axes: readonly number[], epsilon: number): Normalized {
  const mean = reduce(site, "mean", x, axes);
  const centered = sub(site, x, mean);
  const variance = reduce(site, "mean", mul(site, centered, centered), axes);
  const inverse = div(site, 1, site.emit("sqrt", [add(site, variance, epsilon)]));
  return { y: mul(site, centered, inverse), mean, inverse };
}

const perChannel = (site: Site, value: Value, rank: number): Value =>
  site.reshape(value, [elementCount(value.shape), ...new Array<number>(rank - 2).fill(1)]);

function instanceNorm(site: Site): Value {
  const x = site.input(0);
  const rank = x.shape.length;
  const { y } = normalized(
    site,
    x,
    x.shape.slice(2).map((_, d) => d + 2),
    site.float("epsilon", 1e-5),
  );
  return add(site, mul(site, y, perChannel(site, site.input(1), rank)), perChannel(site, site.input(2), rank));
}

function groupNorm(site: Site): Value {
  const x = site.input(0);
  const groups = site.int("num_groups", 1);
  const [n, c] = x.shape as [number, number];
  if (c % groups !== 0) site.fail(`${c} channels are no multiple of ${groups} groups`);
  const rows = site.reshape(x, [n, groups, elementCount(x.shape) / n / groups]);
  const { y } = normalized(site, rows, [2], site.float("epsilon", 1e-5));
  // Until version 21 there was one scale for each group.
  const each = (value: Value): Value => {
    if (site.version >= 21 || value.shape[0] === c) return perChannel(site, value, x.shape.length);
    const spread = site.emit("broadcastTo", [site.reshape(value, [groups, 1])], { shape: [groups, c / groups] });
    return perChannel(site, spread, x.shape.length);
  };
  return add(site, mul(site, site.reshape(y, x.shape), each(site.input(1))), each(site.input(2)));
}

const lastAxes = (site: Site, x: Value): number[] => {
  const first = site.axis(site.int("axis", -1), x.shape.length);
  return x.shape.flatMap((_, d) => (d >= first ? [d] : []));
};

function layerNorm(site: Site): (Value | null)[] {
  const x = site.input(0);
  const { y, mean, inverse } = normalized(site, x, lastAxes(site, x), site.float("epsilon", 1e-5));
  const scaled = site.optional(1) === null ? y : mul(site, y, site.input(1));
  return [site.optional(2) === null ? scaled : add(site, scaled, site.input(2)), mean, inverse];
}

function rmsNorm(site: Site): Value {
  const x = site.input(0);
  const squares = reduce(site, "mean", mul(site, x, x), lastAxes(site, x));
  const y = div(site, x, site.emit("sqrt", [add(site, squares, site.float("epsilon", 1e-5))]));
  return mul(site, y, site.input(1));
}

function meanVariance(site: Site): Value {
  const x = site.input(0);
  const axes = site.axes(site.ints("axes") ?? [0, 2, 3], x.shape.length);
  const centered = sub(site, x, reduce(site, "mean", x, axes));
  const deviation = site.emit("sqrt", [reduce(site, "mean", mul(site, centered, centered), axes)]);
  return div(site, centered, add(site, deviation, 1e-9));
}

/** Sums of squares over neighbouring channels: an average pool along them, whose missing neighbours count as 0. */
function localResponse(site: Site): Value {
  const x = site.input(0);
  const size = site.int("size", 1);
  const [alpha, beta, bias] = [site.float("alpha", 1e-4), site.float("beta", 0.75), site.float("bias", 1)];
  const [n, c] = x.shape as [number, number];
  const rows = site.reshape(mul(site, x, x), [n, c, elementCount(x.shape.slice(2)), 1]);
  const before = Math.floor((size - 1) / 2);
  const padded = site.emit("pad", [rows], { before: [0, before, 0, 0], after: [0, size - 1 - before, 0, 0], value: 0 });
  const window = { filterH: size, filterW: 1, strideH: 1, strideW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0, activation: "none" };
  const mean = site.reshape(site.emit("averagePool2d", [padded], window), x.shape);
  const base = add(site, mul(site, mean, alpha), bias);
  return div(site, x, site.emit("pow", [base, site.like(base, beta)]));
}

/** A row of zeros stays zero. */
function lpNormalization(site: Site): Value {
  const x = site.input(0);
  const axes = [site.axis(site.int("axis", -1), x.shape.length)];
  const one = site.int("p", 2) === 1;
  const sum = reduce(site, "sum", one ? site.emit("abs", [x]) : mul(site, x, x), axes);
  return div(site, x, clip(site, one ? sum : site.emit("sqrt", [sum]), 1e-30, Infinity));
}

export const NORMALIZATION: Readonly<Record<string, Rule>> = {
  BatchNormalization: batchNorm,
  InstanceNormalization: instanceNorm,
  GroupNormalization: groupNorm,
  LayerNormalization: layerNorm,
  RMSNormalization: rmsNorm,
  MeanVarianceNormalization: meanVariance,
  LRN: localResponse,
  LpNormalization: lpNormalization,
};
