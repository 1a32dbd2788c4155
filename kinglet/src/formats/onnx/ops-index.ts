import { elementCount, stridesOf } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import { add, compare, mul, select, sub } from "./math.ts";
import { broadcast, sliced, unsqueezed } from "./ops-movement.ts";
import type { Rule, Site } from "./site.ts";

/** Indices from the end are brought into range; the kernel keeps what is still outside from reading elsewhere. */
export function positiveIndices(site: Site, indices: Value, size: number): Value {
  const whole = indices.dtype === "int32" || indices.dtype === "int64" ? indices : site.cast(indices, "int64");
  if (whole.data !== undefined) {
    const wrapped = Array.from<number | bigint, number>(whole.data, Number).map((i) => (i < 0 ? i + size : i));
    if (wrapped.some((i) => !(i >= 0 && i < size))) site.fail(`an index lies outside of ${size} elements`);
    return site.reshape(site.like(whole, wrapped), whole.shape);
  }
  return select(site, compare(site, "less", whole, 0), add(site, whole, size), whole);
}

function gather(site: Site): Value {
  const x = site.input(0);
  const axis = site.axis(site.int("axis", 0), x.shape.length);
  const indices = positiveIndices(site, site.input(1), x.shape[axis]!);
  return site.emit("gather", [x, indices], { axis, batchDims: 0 }, x.quantization);
}

/** A constant that counts along one axis of a shape of otherwise 1. */
function counting(site: Site, like: Value, rank: number, axis: number, size: number, step: number): Value {
  const shape = Array.from({ length: rank }, (_, d) => (d === axis ? size : 1));
  return site.reshape(
    site.like(
      like,
      Array.from({ length: size }, (_, i) => i * step),
    ),
    shape,
  );
}

/** Where the elements that GatherElements and ScatterElements name lie in x, counted from its first element. */
export function elementPositions(site: Site, x: Value, indices: Value, axis: number): Value {
  const strides = stridesOf(x.shape);
  const along = mul(site, positiveIndices(site, indices, x.shape[axis]!), strides[axis]!);
  return indices.shape.reduce<Value>(
    (sum, size, d) => (d === axis || size === 1 ? sum : add(site, sum, counting(site, sum, indices.shape.length, d, size, strides[d]!))),
    along,
  );
}

function gatherElements(site: Site): Value {
  const [x, indices] = [site.input(0), site.input(1)];
  const axis = site.axis(site.int("axis", 0), x.shape.length);
  if (indices.shape.length !== x.shape.length) site.fail("the indices must have as many dimensions as the input");
  const flat = site.reshape(x, [elementCount(x.shape)]);
  return site.emit("gather", [flat, elementPositions(site, x, indices, axis)], { axis: 0, batchDims: 0 }, x.quantization);
}

/** Index tuples as positions of slices: the leading `dims` dimensions seen as one. */
function tuplePositions(site: Site, dims: readonly number[], indices: Value): Value {
  const strides = stridesOf(dims);
  const last = indices.shape.length - 1;
  const parts = dims.map((size, d) => {
    const part = site.reshape(sliced(site, indices, last, d, 1), indices.shape.slice(0, -1));
    return mul(site, positiveIndices(site, part, size), strides[d]!);
  });
  return parts.reduce((a, b) => add(site, a, b));
}

function gatherNd(site: Site): Value {
  const [x, indices] = [site.input(0), site.input(1)];
  const batch = site.int("batch_dims", 0);
  const depth = indices.shape[indices.shape.length - 1]!;
  const dims = x.shape.slice(batch, batch + depth);
  if (dims.length !== depth || depth < 1) site.fail(`index tuples of ${depth} numbers do not fit [${x.shape.join(",")}]`);
  let position = tuplePositions(site, dims, indices);
  const size = elementCount(dims);
  for (let d = 0, step = elementCount(x.shape.slice(0, batch)) * size; d < batch; d++) {
    step /= x.shape[d]!;
    position = add(site, position, counting(site, position, position.shape.length, d, x.shape[d]!, step));
  }
  const rest = x.shape.slice(batch + depth);
  const flat = site.reshape(x, [elementCount(x.shape.slice(0, batch + depth)), ...rest]);
  return site.emit("gather", [flat, position], { axis: 0, batchDims: 0 }, x.quantization);
}

/** Rows by their own lengths: index tables are made while the network runs where the lengths are not known. */
function reverseSequence(site: Site): Value {
  const x = site.input(0);
  const [time, batch] = [site.int("time_axis", 0), site.int("batch_axis", 1)];
  const lengths = site.input(1);
  const rank = x.shape.length;
  const steps = counting(site, lengths, rank, time, x.shape[time]!, 1);
  const ends = site.reshape(
    lengths,
    x.shape.map((_, d) => (d === batch ? lengths.shape[0]! : 1)),
  );
  const turned = sub(site, sub(site, ends, 1), steps);
  const indices = select(site, compare(site, "less", turned, 0), steps, turned);
  const table = broadcast(site, indices, x.shape);
  return site.emit(
    "gather",
    [site.reshape(x, [elementCount(x.shape)]), elementPositions(site, x, table, time)],
    { axis: 0, batchDims: 0 },
    x.quantization,
  );
}

function compress(site: Site): Value {
  const x = site.input(0);
  const kept = (site.numbers(1) ?? []).flatMap((keep, i) => (keep !== 0 ? [i] : []));
  const flat = site.has("axis") ? x : site.reshape(x, [elementCount(x.shape)]);
  const axis = site.has("axis") ? site.axis(site.int("axis", 0), x.shape.length) : 0;
  return site.emit("gather", [flat, site.importer.numbers(kept, "int64")], { axis, batchDims: 0 }, x.quantization);
}

function scatterNd(site: Site): Value {
  const [x, indices, updates] = [site.input(0), site.input(1), site.input(2)];
  const depth = indices.shape[indices.shape.length - 1]!;
  const rest = x.shape.slice(depth);
  const [slices, run] = [elementCount(x.shape.slice(0, depth)), elementCount(rest)];
  const position = tuplePositions(site, x.shape.slice(0, depth), indices);
  const count = elementCount(position.shape);
  return scattered(site, x, [slices, run], site.reshape(position, [count]), site.reshape(updates, [count, run]));
}

/** Writes or joins rows of updates into a copy of x, seen as rows. */
function scattered(site: Site, x: Value, rows: readonly number[], position: Value, updates: Value): Value {
  const result = site.emit("scatter", [site.reshape(x, rows), position, updates], { reduction: site.text("reduction", "none") });
  return site.reshape(result, x.shape);
}

function scatterElements(site: Site): Value {
  const [x, indices, updates] = [site.input(0), site.input(1), site.input(2)];
  const axis = site.axis(site.int("axis", 0), x.shape.length);
  const position = elementPositions(site, x, indices, axis);
  const count = elementCount(position.shape);
  return scattered(site, x, [elementCount(x.shape), 1], site.reshape(position, [count]), site.reshape(updates, [count, 1]));
}

function oneHot(site: Site): Value {
  const [indices, values] = [site.input(0), site.input(2)];
  const depth = site.numbers(1)?.[0] ?? site.fail("it has no depth");
  const rank = indices.shape.length + 1;
  const axis = site.axis(site.int("axis", -1), rank);
  const whole = positiveOrFar(site, site.cast(indices, "int64"), depth);
  const expanded = unsqueezed(site, whole, [axis]);
  const hit = compare(site, "equal", expanded, counting(site, expanded, rank, axis, depth, 1));
  const [off, on] = [0, 1].map((i) => site.reshape(sliced(site, values, 0, i, 1), [])) as [Value, Value];
  return select(site, hit, on, off);
}

const positiveOrFar = (site: Site, indices: Value, size: number): Value =>
  select(site, compare(site, "less", indices, 0), add(site, indices, size), indices);

/** Writes new rows into a cache, each batch from its own place on; `circular` goes on at the beginning. */
function tensorScatter(site: Site): Value {
  const [cache, update] = [site.input(0), site.input(1)];
  const axis = site.axis(site.int("axis", -2), cache.shape.length);
  const [length, count] = [cache.shape[axis]!, update.shape[axis]!];
  const steps = counting(site, site.importer.numbers(0, "int64"), cache.shape.length, axis, count, 1);
  const starts = site.optional(2);
  const first = cache.shape.map((_, d) => (d === 0 ? cache.shape[0]! : 1));
  const moved = starts === null ? steps : add(site, site.reshape(starts, first), steps);
  const places = site.text("mode", "linear") === "circular" ? site.emit("floorMod", [moved, site.like(moved, length)]) : moved;
  const position = elementPositions(site, cache, broadcast(site, places, update.shape), axis);
  const flat = elementCount(update.shape);
  return scattered(site, cache, [elementCount(cache.shape), 1], site.reshape(position, [flat]), site.reshape(update, [flat, 1]));
}
export const INDEX: Readonly<Record<string, Rule>> = {
  TensorScatter: tensorScatter,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherNd,
  ReverseSequence: reverseSequence,
  Compress: compress,
  ScatterND: scatterNd,
  ScatterElements: scatterElements,
  Scatter: scatterElements,
  OneHot: oneHot,
};
