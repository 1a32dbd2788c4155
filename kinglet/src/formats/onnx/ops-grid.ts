import { elementCount, stridesOf } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import { add, clip, compare, div, mul, select, sub } from "./math.ts";
import { sliced } from "./ops-movement.ts";
import type { Rule, Site } from "./site.ts";

/** What a coordinate along one dimension may be: the middle of its first and last pixel, or their outer edges. */
interface Axis {
  readonly size: number;
  readonly low: number;
  readonly high: number;
}

/** Coordinates mirrored at both ends until they lie within. */
function reflected(site: Site, x: Value, { low, high }: Axis): Value {
  const range = high - low;
  if (range === 0) return site.like(x, low);
  const from = sub(site, x, low);
  const turns = site.emit("floor", [div(site, from, 2 * range)]);
  const within = sub(site, from, mul(site, turns, 2 * range));
  const mirrored = sub(site, low + range, site.emit("abs", [sub(site, within, range)]));
  return select(site, outside(site, x, low, high), mirrored, x);
}

function outside(site: Site, x: Value, low: number, high: number): Value {
  return site.emit("logicalOr", [compare(site, "less", x, low), compare(site, "greater", x, high)]);
}

/** One neighbour along a dimension: where it is, and how much it counts. */
export interface Tap {
  readonly index: Value;
  readonly weight: Value | null;
}

const CUBIC = -0.75;

/** Weights of Keys' cubic convolution for a neighbour nearer than 1, and for one between 1 and 2 away. */
function nearWeight(site: Site, t: Value): Value {
  return add(site, mul(site, mul(site, sub(site, mul(site, t, CUBIC + 2), CUBIC + 3), t), t), 1);
}

function farWeight(site: Site, t: Value): Value {
  return sub(site, mul(site, add(site, mul(site, sub(site, mul(site, t, CUBIC), 5 * CUBIC), t), 8 * CUBIC), t), 4 * CUBIC);
}

function tapsOf(site: Site, x: Value, mode: string): Tap[] {
  if (mode === "nearest") return [{ index: site.emit("round", [x]), weight: null }];
  const first = site.emit("floor", [x]);
  const t = sub(site, x, first);
  const rest = sub(site, 1, t);
  if (mode === "linear")
    return [
      { index: first, weight: rest },
      { index: add(site, first, 1), weight: t },
    ];
  return [
    { index: sub(site, first, 1), weight: farWeight(site, add(site, t, 1)) },
    { index: first, weight: nearWeight(site, t) },
    { index: add(site, first, 1), weight: nearWeight(site, rest) },
    { index: add(site, first, 2), weight: farWeight(site, add(site, rest, 1)) },
  ];
}

/** A tap at a pixel that exists; beyond the edge it is the edge's, a mirrored one, or counts nothing. */
function held(site: Site, { index, weight }: Tap, axis: Axis, padding: string): Tap {
  const last = axis.size - 1;
  if (padding === "reflection") return { index: clip(site, reflected(site, index, axis), 0, last), weight };
  const inner = clip(site, index, 0, last);
  if (padding === "border") return { index: inner, weight };
  const counts = select(site, outside(site, index, 0, last), site.like(index, 0), weight ?? site.like(index, 1));
  return { index: inner, weight: counts };
}

function axisTaps(site: Site, grid: Value, axis: Axis, mode: string, padding: string, aligned: boolean): Tap[] {
  const moved = add(site, grid, 1);
  const x = aligned ? mul(site, moved, (axis.size - 1) / 2) : div(site, sub(site, mul(site, moved, axis.size), 1), 2);
  const within =
    padding === "reflection"
      ? reflected(site, x, axis)
      : padding === "border"
        ? select(site, outside(site, x, axis.low, axis.high), clip(site, x, 0, axis.size - 1), x)
        : x;
  return tapsOf(site, within, mode).map((tap) => held(site, tap, axis, padding));
}

const product = (site: Site, a: Value | null, b: Value | null): Value | null => (a === null ? b : b === null ? a : mul(site, a, b));

/** The neighbours of coordinates between pixels; what lies beyond the edge counts nothing. */
export function linearTaps(site: Site, x: Value, size: number): Tap[] {
  return tapsOf(site, x, "linear").map((tap) => held(site, tap, { size, low: 0, high: size - 1 }, "zeros"));
}

/**
 * Weighted sums of the pixels [n, elements of `sizes`, c] that `along` names, for each dimension the neighbours of every place, [n, places]:
 * [n, places, c].
 */
export function sampled(site: Site, pixels: Value, sizes: readonly number[], along: readonly (readonly Tap[])[]): Value {
  const strides = stridesOf(sizes);
  let taps: { position: Value | null; weight: Value | null }[] = [{ position: null, weight: null }];
  along.forEach((axis, d) => {
    const own = axis.map(({ index, weight }) => ({ step: mul(site, site.cast(index, "int32"), strides[d]!), weight }));
    taps = taps.flatMap(({ position, weight }) =>
      own.map((tap) => ({ position: position === null ? tap.step : add(site, position, tap.step), weight: product(site, weight, tap.weight) })),
    );
  });
  const parts = taps.map(({ position, weight }) => {
    const picked = site.emit("gather", [pixels, position!], { axis: 1, batchDims: 1 });
    return weight === null ? picked : mul(site, picked, site.reshape(weight, [...weight.shape, 1]));
  });
  return parts.reduce((a, b) => add(site, a, b));
}

/** Pixels at places that the grid names, −1 … 1 along each dimension, the last dimension first. */
function gridSample(site: Site): Value {
  const [x, grid] = [site.input(0), site.input(1)];
  const [n, c, ...sizes] = x.shape as [number, number, ...number[]];
  const rank = sizes.length;
  if (rank < 1 || grid.shape.length !== rank + 2 || grid.shape.at(-1) !== rank) site.fail("the grid does not fit the input");
  const mode = site.text("mode", "linear").replace(/^bi/, "");
  const padding = site.text("padding_mode", "zeros");
  if (!["linear", "nearest", "cubic"].includes(mode)) site.unsupported(`the mode ${mode} is not supported`);
  if (!["zeros", "border", "reflection"].includes(padding)) site.unsupported(`the padding ${padding} is not supported`);
  const aligned = site.int("align_corners", 0) !== 0;
  const places = elementCount(grid.shape.slice(1, -1));
  const flatGrid = site.reshape(grid, [n, places, rank]);
  const along = sizes.map((size, d) => {
    const axis = aligned ? { size, low: 0, high: size - 1 } : { size, low: -0.5, high: size - 0.5 };
    return axisTaps(site, site.reshape(sliced(site, flatGrid, 2, rank - 1 - d, 1), [n, places]), axis, mode, padding, aligned);
  });
  const pixels = site.transpose(site.reshape(x, [n, c, elementCount(sizes)]), [0, 2, 1]);
  return site.reshape(site.transpose(sampled(site, pixels, sizes, along), [0, 2, 1]), [n, c, ...grid.shape.slice(1, -1)]);
}

/** The places of an affine map's output: theta · (x, y, …, 1) for every pixel of the wanted size. */
function affineGrid(site: Site): Value {
  const theta = site.input(0);
  const [n, , ...sizes] = (site.numbers(1) ?? site.fail("it has no size")) as [number, number, ...number[]];
  const rank = sizes.length;
  if (theta.shape.join() !== [n, rank, rank + 1].join()) site.fail(`theta [${theta.shape.join(",")}] does not fit ${rank} dimensions`);
  const aligned = site.int("align_corners", 0) !== 0;
  const strides = stridesOf(sizes);
  const at = (place: number, d: number): number => {
    const [size, i] = [sizes[d]!, Math.floor(place / strides[d]!) % sizes[d]!];
    if (aligned) return size === 1 ? 0 : -1 + (2 * i) / (size - 1);
    return -1 + (2 * i + 1) / size;
  };
  const places = elementCount(sizes);
  site.importer.spend(4 * places * (rank + 1), site.place);
  const table = Float32Array.from({ length: places * (rank + 1) }, (_, k) => {
    const [place, column] = [Math.floor(k / (rank + 1)), k % (rank + 1)];
    return column === rank ? 1 : at(place, rank - 1 - column);
  });
  const base = site.constant(table, "float32", [1, places, rank + 1]);
  return site.reshape(site.emit("batchMatmul", [base, theta], { adjX: false, adjY: true }), [n, ...sizes, rank]);
}

export const GRID: Readonly<Record<string, Rule>> = { GridSample: gridSample, AffineGrid: affineGrid };
