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
