import { elementCount, stridesOf } from "../../base/index.ts";
import type { Site } from "./site.ts";

/** How a convolution's or pool's window moves, for each spatial dimension. */
export interface WindowPlan {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Elements beyond `after` that the last window may reach because sizes were rounded up; they never count. */
  readonly extra: readonly number[];
}

/** Reads the attributes that conv and pool have in common. `sizes` are the input's spatial dimensions. */
export function windowPlan(site: Site, sizes: readonly number[], kernel: readonly number[]): WindowPlan {
  const rank = sizes.length;
  if (kernel.length !== rank || kernel.some((size) => size < 1)) site.fail(`a window of [${kernel.join(",")}] does not fit ${rank} dimensions`);
  const strides = site.ints("strides") ?? sizes.map(() => 1);
  const dilations = site.ints("dilations") ?? sizes.map(() => 1);
  const pads = site.ints("pads") ?? new Array<number>(2 * rank).fill(0);
  if (strides.length !== rank || dilations.length !== rank || pads.length !== 2 * rank) site.fail("strides, dilations or pads are of another rank");
  if ([...strides, ...dilations].some((step) => step < 1)) site.fail("a stride or dilation is below 1");
  const auto = site.text("auto_pad", "NOTSET");
  const ceil = site.int("ceil_mode", 0) !== 0;
  const edges = sizes.map((size, d) => {
    const reach = (kernel[d]! - 1) * dilations[d]! + 1;
    if (auto === "SAME_UPPER" || auto === "SAME_LOWER") {
      const total = Math.max(0, (Math.ceil(size / strides[d]!) - 1) * strides[d]! + reach - size);
      const small = Math.floor(total / 2);
      return { before: auto === "SAME_UPPER" ? small : total - small, after: auto === "SAME_UPPER" ? total - small : small, extra: 0 };
    }
    const [before, after] = auto === "VALID" ? [0, 0] : [pads[d]!, pads[rank + d]!];
    const free = size + before + after - reach;
    const missing = ceil && free % strides[d]! !== 0 ? strides[d]! - (free % strides[d]!) : 0;
    // A window that would begin behind the input and its first padding is left out.
    const beginsOutside = Math.ceil(free / strides[d]!) * strides[d]! >= size + before;
    return { before, after, extra: beginsOutside ? 0 : missing };
  });
  return { kernel, strides, dilations, before: edges.map((e) => e.before), after: edges.map((e) => e.after), extra: edges.map((e) => e.extra) };
}

/** The windows of a plan, one after another, and the taps of each. */
export interface WindowPlaces {
  /** Windows along each dimension. */
  readonly counts: readonly number[];
  readonly positions: number;
  readonly taps: number;
  /** Where along a dimension a tap of a window lies; outside of the input for padding. */
  readonly placeOf: (d: number, tap: number, position: number) => number;
}

export function windowPlaces(site: Site, { kernel, strides, dilations, before, after }: WindowPlan, sizes: readonly number[]): WindowPlaces {
  const counts = sizes.map((size, d) => Math.floor((size + before[d]! + after[d]! - (kernel[d]! - 1) * dilations[d]! - 1) / strides[d]!) + 1);
  if (counts.some((count) => count < 1)) site.fail("the window is larger than the input");
  const [tapStrides, positionStrides] = [stridesOf(kernel), stridesOf(counts)];
  const placeOf = (d: number, tap: number, position: number): number => {
    const [along, step] = [Math.floor(position / positionStrides[d]!) % counts[d]!, Math.floor(tap / tapStrides[d]!) % kernel[d]!];
    return along * strides[d]! + step * dilations[d]! - before[d]!;
  };
  return { counts, positions: elementCount(counts), taps: elementCount(kernel), placeOf };
}
