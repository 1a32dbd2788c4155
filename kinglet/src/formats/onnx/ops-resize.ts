import type { Value } from "../../graph/index.ts";
import { mul, reduce, select } from "./math.ts";
import { channelsFirst, channelsLast } from "./ops-conv.ts";
import { sliced } from "./ops-movement.ts";
import { coordinates, type ResizePlan, type Taps, tapsOf } from "./resize-taps.ts";
import type { Rule, Site } from "./site.ts";

/** Every element along one axis becomes a weighted sum of some of the old ones. */
function resizeAxis(site: Site, x: Value, axis: number, { indices, weights, outside, fill }: Taps): Value {
  const [count, taps] = [indices.length, indices[0]!.length];
  const flat = Int32Array.from(indices.flat());
  if (weights === null) {
    const y = site.emit("gather", [x, site.constant(flat, "int32", [count])], { axis, batchDims: 0 }, x.quantization);
    return outside.some(Boolean) ? masked(site, y, axis, outside, fill) : y;
  }
  const picked = site.emit("gather", [x, site.constant(flat, "int32", [count, taps])], { axis, batchDims: 0 });
  const shape = picked.shape.map((_, d) => (d === axis ? count : d === axis + 1 ? taps : 1));
  const table = site.constant(Float32Array.from(weights.flat()), "float32", shape);
  const y = reduce(site, "sum", mul(site, picked, table), [axis + 1], false);
  return outside.some(Boolean) ? masked(site, y, axis, outside, fill) : y;
}

/** Positions outside of the input have a number of their own. */
function masked(site: Site, y: Value, axis: number, outside: readonly boolean[], fill: number): Value {
  const shape = y.shape.map((_, d) => (d === axis ? outside.length : 1));
  return select(site, site.constant(Uint8Array.from(outside, Number), "bool", shape), site.like(y, fill), y);
}

/** Sizes and scales of every resized axis. */
function plans(site: Site): Map<number, ResizePlan> {
  const x = site.input(0);
  const rank = x.shape.length;
  const axes = site.axes(site.ints("axes") ?? x.shape.map((_, d) => d), rank);
  const [scalesAt, sizesAt] = site.node.op === "Upsample" || site.version < 11 ? [1, -1] : [2, 3];
  const roi = scalesAt === 2 ? site.numbers(1) : undefined;
  const scales = site.numbers(scalesAt) ?? site.floats("scales") ?? [];
  const sizes = sizesAt < 0 ? [] : (site.numbers(sizesAt) ?? []);
  const found = new Map<number, ResizePlan>();
  const given = sizes.length > 0 ? keepAspect(site, axes, sizes) : null;
  if (given === null && scales.length !== axes.length) site.fail("it has neither scales nor sizes for its axes");
  axes.forEach((axis, i) => {
    const input = x.shape[axis]!;
    const scale = given === null ? scales[i]! : given[i]!.scale;
    const size = given === null ? Math.floor(input * scale) : given[i]!.size;
    if (!(size >= 1 && size <= 2 ** 24)) site.fail(`dimension ${axis} would have ${size} elements`);
    const region: readonly [number, number] = roi !== undefined && roi.length > 0 ? [roi[i]!, roi[axes.length + i]!] : [0, 1];
    if (size !== input || scale !== 1 || region[0] !== 0 || region[1] !== 1) found.set(axis, { input, size, scale, region });
  });
  return found;
}

function keepAspect(site: Site, axes: readonly number[], sizes: readonly number[]): { size: number; scale: number }[] {
  const shape = site.shape(0);
  const policy = site.text("keep_aspect_ratio_policy", "stretch");
  const ratios = axes.map((axis, i) => sizes[i]! / shape[axis]!);
  if (policy === "stretch") return ratios.map((scale, i) => ({ size: sizes[i]!, scale }));
  const scale = policy === "not_larger" ? Math.min(...ratios) : Math.max(...ratios);
  return axes.map((axis) => ({ size: Math.round(scale * shape[axis]!), scale }));
}

/** Kinglet's own operators, where rows and columns of images are resized as they do it. */
function imageResize(site: Site, resized: ReadonlyMap<number, ResizePlan>, transform: string): Value | null {
  const x = site.input(0);
  const [mode, nearest] = [site.text("mode", "nearest"), site.text("nearest_mode", "round_prefer_floor")];
  const isImage =
    x.shape.length === 4 &&
    (x.dtype === "float32" || x.quantization !== undefined) &&
    resized.size > 0 &&
    [...resized.keys()].every((axis) => axis > 1);
  const isWhole = [...resized.values()].every(({ size, input, scale, region }) => scale === size / input && region[0] === 0 && region[1] === 1);
  const fits = mode === "linear" || (mode === "nearest" && nearest === (transform === "asymmetric" ? "floor" : "round_prefer_ceil"));
  const isPlain = ["align_corners", "half_pixel", "asymmetric"].includes(transform) && site.int("antialias", 0) === 0 && site.version >= 11;
  if (!isImage || !isWhole || !fits || !isPlain) return null;
  const [height, width] = [2, 3].map((axis) => resized.get(axis)?.size ?? x.shape[axis]!) as [number, number];
  const attributes = { height, width, alignCorners: transform === "align_corners", halfPixelCenters: transform === "half_pixel" };
  return channelsFirst(site, site.emit(mode === "linear" ? "resizeBilinear" : "resizeNearest", [channelsLast(site, x)], attributes, x.quantization));
}

function resize(site: Site): Value {
  const mode = site.text("mode", "nearest");
  const transform = site.node.op === "Upsample" || site.version < 11 ? "asymmetric" : site.text("coordinate_transformation_mode", "half_pixel");
  const resized = plans(site);
  const image = imageResize(site, resized, transform);
  if (image !== null) return image;
  let y = site.input(0);
  const whole = y.dtype === "float32" || mode === "nearest" ? null : y.dtype;
  if (whole !== null) y = site.cast(y, "float32");
  for (const [axis, plan] of resized) {
    const taps = tapsOf(coordinates(plan, transform), plan, {
      mode,
      nearest: site.node.op === "Upsample" || site.version < 11 ? "floor" : site.text("nearest_mode", "round_prefer_floor"),
      cubic: site.float("cubic_coeff_a", -0.75),
      excludeOutside: site.int("exclude_outside", 0) !== 0,
      antialias: site.int("antialias", 0) !== 0,
      crop: transform === "tf_crop_and_resize",
      fill: site.float("extrapolation_value", 0),
    });
    if (taps === null) return site.unsupported(`the mode ${mode} with ${transform} is not supported`);
    y = resizeAxis(site, y, axis, taps);
  }
  return whole === null ? y : site.cast(y, whole);
}

const WRAPPED: Readonly<Record<string, (at: number, size: number) => number>> = {
  edge: (at, size) => Math.min(size - 1, Math.max(0, at)),
  reflect: (at, size) => {
    const period = Math.max(1, 2 * (size - 1));
    const inside = ((at % period) + period) % period;
    return inside < size ? inside : period - inside;
  },
  wrap: (at, size) => ((at % size) + size) % size,
};

/** Adds (or, for negative numbers, removes) elements at both ends of every axis. */
export function padded(site: Site, x: Value, before: readonly number[], after: readonly number[], mode: string, value: Value | null): Value {
  const cut = x.shape.reduce<Value>((y, size, d) => {
    const [front, back] = [Math.max(0, -before[d]!), Math.max(0, -after[d]!)];
    return front + back === 0 ? y : sliced(site, y, d, front, size - front - back);
  }, x);
  const [front, back] = [before.map((amount) => Math.max(0, amount)), after.map((amount) => Math.max(0, amount))];
  if ([...front, ...back].every((amount) => amount === 0)) return cut;
  if (mode === "constant") return filledAround(site, cut, front, back, value);
  const wrap = WRAPPED[mode] ?? site.unsupported(`the padding mode ${mode} is not supported`);
  return cut.shape.reduce<Value>((y, size, d) => {
    if (front[d] === 0 && back[d] === 0) return y;
    const table = Int32Array.from({ length: size + front[d]! + back[d]! }, (_, i) => wrap(i - front[d]!, size));
    return site.emit("gather", [y, site.constant(table, "int32", [table.length])], { axis: d, batchDims: 0 });
  }, cut);
}

/** A number on a value's scale, where it has one. */
function storedNumber({ quantization }: Value, number: number): number {
  return quantization === undefined ? number : Math.round(number / quantization.scales[0]!) + quantization.zeroPoints[0]!;
}

function filledAround(site: Site, x: Value, before: readonly number[], after: readonly number[], value: Value | null): Value {
  const number = value === null ? 0 : value.data === undefined ? undefined : Number(value.data[0]);
  if (number !== undefined && Number.isFinite(number))
    return site.emit(
      "pad",
      [x],
      { before: [...before], after: [...after], ...(number === 0 ? {} : { value: storedNumber(x, number) }) },
      x.quantization,
    );
  // A number that only the running network knows is written around a mask.
  const inside = site.emit("pad", [site.constant(new Uint8Array(x.shape.reduce((a, b) => a * b, 1)).fill(1), "bool", x.shape)], {
    before: [...before],
    after: [...after],
    value: 0,
  });
  const zeros = site.emit("pad", [x], { before: [...before], after: [...after], value: 0 });
  return select(site, inside, zeros, site.reshape(value!, []));
}

function pad(site: Site): Value {
  const x = site.input(0);
  const rank = x.shape.length;
  const axes = site.axes(site.numbers(3) ?? x.shape.map((_, d) => d), rank);
  const pads = site.numbersOr(1, "pads") ?? site.fail("it has no pads");
  if (pads.length !== 2 * axes.length) site.fail(`${pads.length} pads for ${axes.length} axes`);
  const at = (offset: number): number[] => x.shape.map((_, d) => (axes.includes(d) ? pads[offset + axes.indexOf(d)]! : 0));
  const value = site.version < 11 ? site.like(x, site.float("value", 0)) : site.optional(2);
  return padded(site, x, at(0), at(axes.length), site.text("mode", "constant"), value);
}

function centerCropPad(site: Site): Value {
  const x = site.input(0);
  const axes = site.axes(site.ints("axes") ?? x.shape.map((_, d) => d), x.shape.length);
  const wanted = site.numbers(1) ?? [];
  const before = x.shape.map(() => 0);
  const after = x.shape.map(() => 0);
  axes.forEach((axis, i) => {
    const missing = wanted[i]! - x.shape[axis]!;
    before[axis] = Math.trunc(missing / 2);
    if (missing < 0) before[axis] = -Math.floor(-missing / 2);
    after[axis] = missing - before[axis];
  });
  return padded(site, x, before, after, "constant", null);
}

export const RESIZE: Readonly<Record<string, Rule>> = { Resize: resize, Upsample: resize, Pad: pad, CenterCropPad: centerCropPad };
