import { allocate, elementCount, stridesOf } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import { sliced } from "./ops-movement.ts";
import type { Rule, Site } from "./site.ts";
import { windowPlan } from "./window.ts";

/** Zeros [rows, run] with updates [count, run] written, or added, at these rows. */
function scattered(site: Site, rows: number, indices: Value, updates: Value, reduction: "none" | "add"): Value {
  const run = updates.shape[1]!;
  site.importer.spend(4 * rows * run, site.place);
  const zeros = site.constant(allocate(updates.dtype, rows * run), updates.dtype, [rows, run]);
  return site.emit("scatter", [zeros, indices, updates], { reduction });
}

/** Sums of windows' elements where the windows lie: [n, c · taps, positions] becomes [n, c, …size]. */
function col2im(site: Site): Value {
  const x = site.input(0);
  const [size, block] = [site.numbers(1) ?? site.fail("it has no size"), site.numbers(2) ?? site.fail("it has no block")];
  const { strides, dilations, before, after } = windowPlan(site, size, block);
  const counts = size.map((length, d) => Math.floor((length + before[d]! + after[d]! - (block[d]! - 1) * dilations[d]! - 1) / strides[d]!) + 1);
  const [n, columns, positions] = x.shape as [number, number, number];
  const [taps, pixels] = [elementCount(block), elementCount(size)];
  if (x.shape.length !== 3 || columns % taps !== 0 || positions !== elementCount(counts))
    site.fail(`[${x.shape.join(",")}] does not hold windows of ${block.join("×")} in ${size.join("×")}`);
  const [tapStrides, positionStrides, pixelStrides] = [block, counts, size].map((dims) => stridesOf(dims)) as [number[], number[], number[]];
  site.importer.spend(4 * taps * positions, site.place);
  const table = Int32Array.from({ length: taps * positions }, (_, i) => {
    const [tap, position] = [Math.floor(i / positions), i % positions];
    const at = size.map((_length, d) => {
      const [along, step] = [Math.floor(position / positionStrides[d]!) % counts[d]!, Math.floor(tap / tapStrides[d]!) % block[d]!];
      return along * strides[d]! + step * dilations[d]! - before[d]!;
    });
    // Padding goes to a row of its own, which is cut off.
    return at.every((place, d) => place >= 0 && place < size[d]!) ? at.reduce((sum, place, d) => sum + place * pixelStrides[d]!, 0) : pixels;
  });
  const c = columns / taps;
  const rows = site.reshape(site.transpose(site.reshape(x, [n, c, taps * positions]), [2, 0, 1]), [taps * positions, n * c]);
  const sums = sliced(site, scattered(site, pixels + 1, site.constant(table, "int32", [taps * positions]), rows, "add"), 0, 0, pixels);
  return site.reshape(site.transpose(site.reshape(sums, [pixels, n, c]), [1, 2, 0]), [n, c, ...size]);
}

/** Elements at the places of a larger tensor that a max pool found them at; all others are 0. */
function maxUnpool(site: Site): Value {
  const [x, places] = [site.input(0), site.input(1)];
  const [n, c, ...sizes] = x.shape as [number, number, ...number[]];
  const { kernel, strides, before, after } = windowPlan(site, sizes, site.ints("kernel_shape") ?? []);
  const inner = [n, c, ...sizes.map((size, d) => (size - 1) * strides[d]! + kernel[d]! - before[d]! - after[d]!)];
  const count = elementCount(x.shape);
  const indices = site.reshape(places, [count]);
  const y = site.reshape(scattered(site, elementCount(inner), indices, site.reshape(x, [count, 1]), "none"), inner);
  const wanted = site.numbers(2) ?? inner;
  const missing = wanted.map((size, d) => size - inner[d]!);
  if (wanted.length !== inner.length || missing.some((size) => size < 0))
    site.unsupported(`the output [${wanted.join(",")}] is smaller than the pool's input`);
  return missing.every((size) => size === 0) ? y : site.emit("pad", [y], { before: inner.map(() => 0), after: missing });
}

export const FOLD: Readonly<Record<string, Rule>> = { Col2Im: col2im, MaxUnpool: maxUnpool };
