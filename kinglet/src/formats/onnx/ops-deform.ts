import { elementCount } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import { add, mul } from "./math.ts";
import { linearTaps, sampled } from "./ops-grid.ts";
import { dense } from "./ops-matrix.ts";
import { concatenated, sliced } from "./ops-movement.ts";
import type { Rule, Site } from "./site.ts";
import { type WindowPlaces, windowPlaces, windowPlan } from "./window.ts";

/** What every window sees, sampled where offsets [n, groups · taps · dimensions, …] move its taps: [n · positions, c · taps]. */
function windows(site: Site, x: Value, { taps, positions, placeOf }: WindowPlaces, groups: number): Value {
  const [n, c, ...sizes] = x.shape as [number, number, ...number[]];
  const [rank, places] = [sizes.length, taps * positions];
  const offsets = site.reshape(site.input(2), [n * groups, taps, rank, positions]);
  const along = sizes.map((size, d) => {
    const own = site.reshape(sliced(site, offsets, 2, d, 1), [n * groups, places]);
    site.importer.spend(4 * places, site.place);
    const table = Float32Array.from({ length: places }, (_, i) => placeOf(d, Math.floor(i / positions), i % positions));
    return linearTaps(site, add(site, own, site.constant(table, "float32", [1, places])), size);
  });
  const each = c / groups;
  const pixels = site.transpose(site.reshape(x, [n * groups, each, elementCount(sizes)]), [0, 2, 1]);
  const seen = sampled(site, pixels, sizes, along);
  const mask = site.optional(4);
  const weighted = mask === null ? seen : mul(site, seen, site.reshape(mask, [n * groups, places, 1]));
  return site.reshape(site.transpose(site.reshape(weighted, [n, groups, taps, positions, each]), [0, 3, 1, 4, 2]), [n * positions, c * taps]);
}

/** A convolution whose taps lie where offsets say, between pixels. */
function deformConv(site: Site): Value {
  const [x, w, bias] = [site.input(0), site.input(1), site.optional(3)];
  const [n, c, ...sizes] = x.shape as [number, number, ...number[]];
  const outputs = w.shape[0]!;
  const [group, offsetGroups] = [site.int("group", 1), site.int("offset_group", 1)];
  if (c % group !== 0 || outputs % group !== 0 || c % offsetGroups !== 0)
    site.fail(`${group} groups and ${offsetGroups} of offsets do not divide ${c} channels`);
  const kernel = site.ints("kernel_shape") ?? w.shape.slice(2);
  const places = windowPlaces(site, windowPlan(site, sizes, kernel), sizes);
  const columns = windows(site, x, places, offsetGroups);
  const [depth, each] = [columns.shape[1]! / group, outputs / group];
  const weights = site.reshape(w, [outputs, depth]);
  const parts = Array.from({ length: group }, (_, g) =>
    dense(site, sliced(site, columns, 1, g * depth, depth), sliced(site, weights, 0, g * each, each), null),
  );
  const sums = parts.length === 1 ? parts[0]! : concatenated(site, parts, 1);
  const y = bias === null ? sums : add(site, sums, bias);
  return site.reshape(site.transpose(site.reshape(y, [n, places.positions, outputs]), [0, 2, 1]), [n, outputs, ...places.counts]);
}

export const DEFORM: Readonly<Record<string, Rule>> = { DeformConv: deformConv };
