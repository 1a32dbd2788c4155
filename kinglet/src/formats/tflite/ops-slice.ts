import { elementCount } from "../../base/index.ts";
import type { Attributes, Node } from "../../graph/index.ts";
import { attributesOf, type SliceAttributes, type StridedSliceAttributes } from "../../ops/index.ts";
import { type OptionTable, STRIDED_SLICE } from "./options.ts";
import { type ConstantInput, type OperatorRows, row, vectorOf } from "./row.ts";
import type { Site } from "./site.ts";

type Masks = typeof STRIDED_SLICE extends OptionTable<infer O> ? O : never;

/** A size of −1 means: to the end. */
function slice(site: Site): Attributes {
  const shape = site.shape(0);
  const begin = site.constantVector(1, shape.length);
  const size = site.constantVector(2, shape.length).map((n, i) => (n === -1 ? shape[i]! - begin[i]! : n));
  const fits = shape.every((dim, i) => begin[i]! >= 0 && size[i]! >= 1 && begin[i]! + size[i]! <= dim);
  if (!fits) site.fail(`a slice of ${size.join("×")} from ${begin.join(", ")} does not lie inside ${shape.join("×")}`);
  return { begin, size };
}

interface Cut {
  readonly begin: number;
  readonly stride: number;
  readonly extent: number;
}

const ALL = (dim: number): Cut => ({ begin: 0, stride: 1, extent: dim });

const bit = (mask: number, i: number): boolean => ((mask >> i) & 1) === 1;

/** First index, step and number of indices of entry `i` of the specification along a dimension of `dim`. */
function cut(site: Site, masks: Masks, i: number, dim: number): Cut {
  const [begins, ends, strides] = [site.constant(1), site.constant(2), site.constant(3)];
  const stride = strides[i]!;
  if (stride === 0) site.fail("a stride is 0");
  const [low, high] = stride > 0 ? [0, dim] : [-1, dim - 1];
  const clamp = (index: number): number => Math.min(Math.max(index < 0 ? index + dim : index, low), high);
  const begin = bit(masks.beginMask, i) ? (stride > 0 ? 0 : dim - 1) : clamp(begins[i]!);
  if (bit(masks.shrinkMask, i)) {
    const index = begins[i]! < 0 ? begins[i]! + dim : begins[i]!;
    if (index < 0 || index >= dim) site.fail(`the index ${begins[i]} lies outside a dimension of ${dim}`);
    return { begin: index, stride: 1, extent: 1 };
  }
  return { begin, stride, extent: Math.ceil((endOf() - begin) / stride) };

  function endOf(): number {
    if (bit(masks.endMask, i)) return stride > 0 ? dim : -1;
    // Newer files may count the end from the begin.
    return masks.fromBegin ? Math.min(Math.max(begin + ends[i]!, low!), high!) : clamp(ends[i]!);
  }
}

/** One cut for each dimension of the input: ellipsis spread out, new axes left to the output's shape. */
function cuts(site: Site, masks: Masks, shape: readonly number[]): Cut[] {
  const entries = site.constant(1).length;
  site.constantVector(2, entries);
  site.constantVector(3, entries);
  if (entries > 32) site.fail(`a strided slice of ${entries} entries`);
  const { ellipsisMask: ellipsis, newAxisMask: newAxes } = masks;
  const isNew = (i: number): boolean => bit(newAxes, i) && !bit(ellipsis, i);
  const out: Cut[] = [];
  for (let i = 0; i < entries; i++) {
    if (isNew(i)) continue;
    if (bit(ellipsis, i)) {
      const after = Array.from({ length: entries - i - 1 }, (_, k) => i + 1 + k).filter((k) => !isNew(k)).length;
      while (out.length < shape.length - after) out.push(ALL(shape[out.length]!));
    } else {
      if (out.length >= shape.length) site.fail("a strided slice has more entries than its input has dimensions");
      out.push(cut(site, masks, i, shape[out.length]!));
    }
  }
  while (out.length < shape.length) out.push(ALL(shape[out.length]!));
  return out;
}

/** `begin`, `strides` and `shape` for every input dimension; `newShape` is the output's, with axes dropped and added. */
export function stridedSlice(site: Site, masks: Masks): Attributes {
  const resolved = cuts(site, masks, site.shape(0));
  const shape = resolved.map((one) => one.extent);
  const newShape = site.outputShape();
  if (shape.some((dim) => dim < 1) || elementCount(shape) !== elementCount(newShape))
    site.fail(`a strided slice of ${shape.join("×")} does not fit the output ${newShape.join("×")}`);
  return { begin: resolved.map((one) => one.begin), strides: resolved.map((one) => one.stride), shape, newShape };
}

/** One entry of a specification: a dimension of the input, which may vanish, or a new one. */
type Entry = { readonly dim: number; readonly vanishes: boolean } | "new";

/**
 * Between the dimensions that are longer than 1, which both shapes must share, some of length 1 vanish or are new. Null
 * where the new shape is another one altogether.
 */
function entriesFor(shape: readonly number[], newShape: readonly number[], strides: readonly number[]): Entry[] | null {
  const entries: Entry[] = [];
  let at = 0;
  for (let dim = 0; dim <= shape.length; dim++) {
    if (shape[dim] === 1) {
      // An index has no stride: a dimension with one is rather kept.
      const wanted = countOnes(newShape, at);
      const vanishes = countOnes(shape, dim) > wanted && (strides[dim] === 1 || wanted === 0);
      if (!vanishes) at++;
      entries.push({ dim, vanishes });
      continue;
    }
    for (; newShape[at] === 1; at++) entries.push("new");
    if (shape[dim] !== newShape[at]) return null;
    if (dim < shape.length) entries.push({ dim, vanishes: false });
    at++;
  }
  return entries;
}

/** How many dimensions of length 1 follow one another from here. */
function countOnes(shape: readonly number[], from: number): number {
  const rest = shape.slice(from).findIndex((size) => size !== 1);
  return rest === -1 ? shape.length - from : rest;
}

function writeStridedSlice(node: Node): { options: Partial<Masks>; constants: ConstantInput[] } | null {
  const { begin, strides, shape, newShape } = attributesOf<StridedSliceAttributes>(node);
  const entries = entriesFor(shape, newShape, strides);
  if (entries === null || entries.length > 32) return null;
  const maskOf = (set: (entry: Entry) => boolean): number => entries.reduce((mask, entry, i) => (set(entry) ? mask | (1 << i) : mask), 0);
  const endOf = (dim: number): number => begin[dim]! + (shape[dim]! - 1) * strides[dim]! + Math.sign(strides[dim]!);
  const numbers = (of: (dim: number) => number, ofNew: number): ConstantInput =>
    vectorOf(entries.map((entry) => (entry === "new" ? ofNew : of(entry.dim))));
  return {
    options: {
      // Before the first element there is no index to name as an end.
      endMask: maskOf((entry) => entry !== "new" && endOf(entry.dim) < 0),
      newAxisMask: maskOf((entry) => entry === "new"),
      shrinkMask: maskOf((entry) => entry !== "new" && entry.vanishes),
    },
    constants: [numbers((dim) => begin[dim]!, 0), numbers((dim) => Math.max(endOf(dim), 0), 1), numbers((dim) => strides[dim]!, 1)],
  };
}

/** Operators that cut a box out of a tensor. */
export const SLICE_ROWS: OperatorRows = {
  SLICE: row("slice", "xcc", {
    read: slice,
    write(node) {
      const { begin, size } = attributesOf<SliceAttributes>(node);
      return { constants: [vectorOf(begin), vectorOf(size)] };
    },
  }),
  STRIDED_SLICE: row("stridedSlice", "xccc", { options: STRIDED_SLICE, read: stridedSlice, write: writeStridedSlice }),
};
