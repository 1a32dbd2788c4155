import { elementCount } from "../../base/index.ts";
import type { Attributes } from "../../graph/index.ts";
import type { Site } from "./site.ts";

/** A size of −1 means: to the end. */
export function slice(site: Site): Attributes {
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
function cut(site: Site, i: number, dim: number): Cut {
  const [begins, ends, strides] = [site.constant(1), site.constant(2), site.constant(3)];
  const stride = strides[i]!;
  if (stride === 0) site.fail("a stride is 0");
  const [low, high] = stride > 0 ? [0, dim] : [-1, dim - 1];
  const clamp = (index: number): number => Math.min(Math.max(index < 0 ? index + dim : index, low), high);
  const begin = bit(site.options.int(0), i) ? (stride > 0 ? 0 : dim - 1) : clamp(begins[i]!);
  if (bit(site.options.int(4), i)) {
    const index = begins[i]! < 0 ? begins[i]! + dim : begins[i]!;
    if (index < 0 || index >= dim) site.fail(`the index ${begins[i]} lies outside a dimension of ${dim}`);
    return { begin: index, stride: 1, extent: 1 };
  }
  return { begin, stride, extent: Math.ceil((endOf() - begin) / stride) };

  function endOf(): number {
    if (bit(site.options.int(1), i)) return stride > 0 ? dim : -1;
    const fromBegin = site.options.bool(5); // newer files may count the end from the begin
    return fromBegin ? Math.min(Math.max(begin + ends[i]!, low!), high!) : clamp(ends[i]!);
  }
}

/** One cut for each dimension of the input: ellipsis spread out, new axes left to the output's shape. */
function cuts(site: Site, shape: readonly number[]): Cut[] {
  const entries = site.constant(1).length;
  site.constantVector(2, entries);
  site.constantVector(3, entries);
  if (entries > 32) site.fail(`a strided slice of ${entries} entries`);
  const [ellipsis, newAxes] = [site.options.int(2), site.options.int(3)];
  const isNew = (i: number): boolean => bit(newAxes, i) && !bit(ellipsis, i);
  const out: Cut[] = [];
  for (let i = 0; i < entries; i++) {
    if (isNew(i)) continue;
    if (bit(ellipsis, i)) {
      const after = Array.from({ length: entries - i - 1 }, (_, k) => i + 1 + k).filter((k) => !isNew(k)).length;
      while (out.length < shape.length - after) out.push(ALL(shape[out.length]!));
    } else {
      if (out.length >= shape.length) site.fail("a strided slice has more entries than its input has dimensions");
      out.push(cut(site, i, shape[out.length]!));
    }
  }
  while (out.length < shape.length) out.push(ALL(shape[out.length]!));
  return out;
}

/** `begin`, `strides` and `shape` for every input dimension; `newShape` is the output's, with axes dropped and added. */
export function stridedSlice(site: Site): Attributes {
  const resolved = cuts(site, site.shape(0));
  const shape = resolved.map((one) => one.extent);
  const newShape = site.outputShape();
  if (shape.some((dim) => dim < 1) || elementCount(shape) !== elementCount(newShape))
    site.fail(`a strided slice of ${shape.join("×")} does not fit the output ${newShape.join("×")}`);
  return { begin: resolved.map((one) => one.begin), strides: resolved.map((one) => one.stride), shape, newShape };
}
