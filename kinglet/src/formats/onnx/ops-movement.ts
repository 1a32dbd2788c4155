import { broadcastShapes, elementCount } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import { select } from "./math.ts";
import type { Rule, Site } from "./site.ts";
import { elementType } from "./tensor.ts";

type Rules = Readonly<Record<string, Rule>>;

function reshapeRule(site: Site): Value {
  const x = site.input(0);
  const wanted = site.numbers(1) ?? site.ints("shape") ?? site.fail("it has no shape");
  const shape = wanted.map((dim, d) => (dim === 0 && site.int("allowzero", 0) === 0 ? (x.shape[d] ?? 0) : dim));
  const rest = elementCount(x.shape) / elementCount(shape.filter((dim) => dim !== -1));
  return site.reshape(
    x,
    shape.map((dim) => (dim === -1 ? rest : dim)),
  );
}

function flatten(site: Site): Value {
  const x = site.input(0);
  const axis = site.int("axis", 1);
  const cut = axis < 0 ? axis + x.shape.length : axis;
  return site.reshape(x, [elementCount(x.shape.slice(0, cut)), elementCount(x.shape.slice(cut))]);
}

function squeeze(site: Site): Value {
  const x = site.input(0);
  const axes = site.numbersOr(1, "axes");
  const gone = axes === undefined ? x.shape.flatMap((dim, d) => (dim === 1 ? [d] : [])) : site.axes(axes, x.shape.length);
  if (gone.some((d) => x.shape[d] !== 1)) site.fail(`[${x.shape.join(",")}] has other than 1 element along the axes ${gone.join(", ")}`);
  return site.reshape(
    x,
    x.shape.filter((_, d) => !gone.includes(d)),
  );
}

export function unsqueezed(site: Site, x: Value, axes: readonly number[]): Value {
  const rank = x.shape.length + axes.length;
  const added = site.axes(axes, rank);
  const rest = [...x.shape];
  return site.reshape(
    x,
    Array.from({ length: rank }, (_, d) => (added.includes(d) ? 1 : rest.shift()!)),
  );
}

function transposeRule(site: Site): Value {
  const x = site.input(0);
  return site.transpose(x, site.ints("perm") ?? x.shape.map((_, d) => x.shape.length - 1 - d));
}

export function concatenated(site: Site, parts: readonly Value[], axis: number): Value {
  const filled = parts.filter((part) => elementCount(part.shape) > 0);
  if (filled.length === 0) return parts[0]!;
  if (filled.length === 1) return filled[0]!;
  return site.emit("concatenation", filled, { axis, activation: "none" });
}

function concat(site: Site): Value {
  const parts = site.inputs.map((_, i) => site.input(i));
  return concatenated(site, parts, site.axis(site.int("axis", 1), parts[0]!.shape.length));
}

function splitSizes(site: Site, size: number): number[] {
  const given = site.numbersOr(1, "split");
  if (given !== undefined) return given;
  const parts = site.int("num_outputs", site.node.outputs.length);
  const each = Math.ceil(size / parts);
  return Array.from({ length: parts }, (_, i) => Math.min(each, size - i * each));
}

/** A box of a tensor: some elements along one axis. */
export function sliced(site: Site, x: Value, axis: number, begin: number, size: number): Value {
  if (begin === 0 && size === x.shape[axis]) return x;
  if (size === 0) return emptyOf(site, x, x.shape.toSpliced(axis, 1, 0));
  return site.emit(
    "slice",
    [x],
    { begin: x.shape.map((_, d) => (d === axis ? begin : 0)), size: x.shape.map((dim, d) => (d === axis ? size : dim)) },
    x.quantization,
  );
}

function split(site: Site): Value[] {
  const x = site.input(0);
  const axis = site.axis(site.int("axis", 0), x.shape.length);
  const sizes = splitSizes(site, x.shape[axis]!);
  if (sizes.reduce((a, b) => a + b, 0) !== x.shape[axis] || sizes.some((size) => size < 0))
    site.fail(`${x.shape[axis]} elements cannot be split into ${sizes.join(", ")}`);
  let begin = 0;
  return sizes.map((size) => {
    begin += size;
    return sliced(site, x, axis, begin - size, size);
  });
}

/** First index and number of steps of one axis of a Slice. */
function sliceRange(start: number, end: number, step: number, size: number): { begin: number; count: number } {
  const wrap = (at: number): number => (at < 0 ? at + size : at);
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
  const clampTo = (at: number, from: number): number => Math.min(high, Math.max(from, at));
  const begin = clampTo(wrap(start), step > 0 ? low : 0);
  return { begin, count: Math.max(0, Math.ceil((clampTo(wrap(end), low) - begin) / step)) };
}

function sliceRule(site: Site): Value {
  const x = site.input(0);
  const starts = site.numbersOr(1, "starts") ?? site.fail("it has no starts");
  const ends = site.numbersOr(2, "ends") ?? site.fail("it has no ends");
  const axes = site.axes(site.numbersOr(3, "axes") ?? starts.map((_, i) => i), x.shape.length);
  const steps = site.numbers(4) ?? starts.map(() => 1);
  if (steps.some((step) => step === 0)) site.fail("a step is 0");
  const begin = x.shape.map(() => 0);
  const strides = x.shape.map(() => 1);
  const shape = [...x.shape];
  axes.forEach((axis, i) => {
    const range = sliceRange(starts[i]!, ends[i] ?? 0, steps[i]!, x.shape[axis]!);
    [begin[axis], strides[axis], shape[axis]] = [range.begin, steps[i]!, range.count];
  });
  if (shape.every((dim, d) => dim === x.shape[d]) && strides.every((step) => step === 1)) return x;
  if (elementCount(shape) === 0) return emptyOf(site, x, shape);
  if (strides.every((step) => step === 1)) return site.emit("slice", [x], { begin, size: shape }, x.quantization);
  return site.emit("stridedSlice", [x], { begin, strides, shape, newShape: shape }, x.quantization);
}

function emptyOf(site: Site, x: Value, shape: readonly number[]): Value {
  return site.reshape(site.like(x, []), shape);
}

/** Values stretched to a shape, as NumPy broadcasts. */
export function broadcast(site: Site, x: Value, shape: readonly number[]): Value {
  const joined = broadcastShapes(x.shape, shape) ?? site.fail(`[${x.shape.join(",")}] does not broadcast to [${shape.join(",")}]`);
  if (joined.join() === x.shape.join()) return x;
  if (elementCount(joined) === 0) return emptyOf(site, x, joined);
  return site.emit("broadcastTo", [x], { shape: joined }, x.quantization);
}

const expand: Rule = (site) => broadcast(site, site.input(0), site.numbers(1) ?? []);

function tile(site: Site): Value {
  return site.emit("tile", [site.input(0)], { multiples: site.numbers(1) ?? [] }, site.optional(0)?.quantization);
}

function depthToSpace(site: Site): Value {
  const x = site.input(0);
  const block = site.int("blocksize", 1);
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const depth = c / (block * block);
  const columns = site.text("mode", "DCR") === "CRD";
  const split6 = site.reshape(x, columns ? [n, depth, block, block, h, w] : [n, block, block, depth, h, w]);
  const moved = site.transpose(split6, columns ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]);
  return site.reshape(moved, [n, depth, h * block, w * block]);
}

function spaceToDepth(site: Site): Value {
  const x = site.input(0);
  const block = site.int("blocksize", 1);
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const split6 = site.reshape(x, [n, c, h / block, block, w / block, block]);
  return site.reshape(site.transpose(split6, [0, 3, 5, 1, 2, 4]), [n, c * block * block, h / block, w / block]);
}

/** The same bits under another type of as many: only where that costs nothing. */
function bitCast(site: Site): Value {
  const x = site.input(0);
  const to = elementType(site.int("to", 1), site.place);
  if (to.bits !== site.element(0).bits || to.float !== undefined || to.bits === 64 || (to.dtype === "float32") !== (x.dtype === "float32"))
    return site.unsupported(`bits of ${site.element(0).name} as ${to.name} are not supported`);
  return site.importer.mark(site.cast(x, to.dtype), to);
}

function dropout(site: Site): (Value | null)[] {
  const training = site.optional(2) === null ? 0 : site.numbers(2)![0]!;
  const ratio = site.optional(1) === null ? 0.5 : site.numbers(1)![0]!;
  if (training !== 0 && ratio !== 0) site.unsupported("a Dropout in training mode draws random numbers", "Export the model for inference.");
  const mask = new Uint8Array(elementCount(site.shape(0))).fill(1);
  return [site.input(0), site.constant(mask, "bool", site.shape(0))];
}

function trilu(site: Site): Value {
  const x = site.input(0);
  const k = site.numbers(1)?.[0] ?? 0;
  const upper = site.int("upper", 1) !== 0;
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  const mask = Uint8Array.from({ length: rows * columns }, (_, i) => {
    const distance = (i % columns) - Math.floor(i / columns);
    return (upper ? distance >= k : distance <= k) ? 1 : 0;
  });
  return select(site, site.constant(mask, "bool", [rows, columns]), x, 0);
}

export const MOVEMENT: Rules = {
  BitCast: bitCast,
  Dropout: dropout,
  Reshape: reshapeRule,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: (site) => unsqueezed(site, site.input(0), site.numbersOr(1, "axes") ?? site.fail("it has no axes")),
  Transpose: transposeRule,
  Concat: concat,
  Split: split,
  Slice: sliceRule,
  Expand: expand,
  Tile: tile,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Trilu: trilu,
  Identity: (site) => site.input(0),
};
