import type { Node } from "../graph/index.ts";
import { constant, KernelBuilder, type KernelInstance, type MemoryType } from "../loops/index.ts";
import { attributesOf, inputOf, type PoolAttributes, poolBounds, roundedMean } from "../ops/index.ts";

/** Moves `count` elements of a line. Arguments: the line from where they are, the line from where they go. */
export function moveRows(type: MemoryType, count: number): KernelInstance {
  const k = new KernelBuilder([type], [type]);
  const from = k.input(0, "kept");
  const to = k.output(0, "line");
  k.copy(to, 0, from, 0, k.int("count", count));
  return k.finish(`move_rows_${type}`, "Moves the rows of a line that are still needed.");
}

/** Puts the `channels` channels of a row of `width` pixels among the `stride` channels of another. Arguments: row, the other from its first channel on. */
export function placeChannels(type: MemoryType, width: number, channels: number, stride: number): KernelInstance {
  const k = new KernelBuilder([type], [type]);
  const row = k.input(0, "row");
  const to = k.output(0, "to");
  const count = k.int("channels", channels);
  k.for("x", 0, k.int("width", width), (x) => k.copy(to, x.mul(k.int("stride", stride)), row, x.mul(count), count));
  return k.finish(`place_channels_${type}`, "Puts a group of channels into a row of all channels.");
}

/** Sums of an average over all rows start at 0. */
export function clearSums(channels: number): KernelInstance {
  const k = new KernelBuilder([], ["i32"]);
  const sums = k.output(0, "sums");
  k.for("i", 0, k.int("count", channels), (i) => sums.store(i, constant(0, "i32")));
  return k.finish("clear_sums", "Sets sums to 0.");
}

/** Adds the pixels of one row [1, 1, width, channels] to the channels' sums. Arguments: row, sums. */
export function addRow(type: MemoryType, width: number, channels: number): KernelInstance {
  const k = new KernelBuilder([type], ["i32"]);
  const row = k.input(0, "row");
  const sums = k.output(0, "sums");
  const count = k.int("channels", channels);
  k.for("c", 0, count, (c) => {
    const sum = k.variable("sum", sums.load(c));
    k.for("x", 0, k.int("width", width), (x) => sum.set(sum.get().add(row.load(x.mul(count).add(c)))));
    sums.store(c, sum.get());
  });
  return k.finish(`add_row_${type}`, "Adds the pixels of a row to the sums of their channels.");
}

/** The averages, from the sums over `pixels` pixels. Arguments: sums, output. */
export function finishAverage(node: Node, type: MemoryType, pixels: number, channels: number): KernelInstance {
  const { low, high } = poolBounds(node, attributesOf<PoolAttributes>(node));
  const k = new KernelBuilder(["i32"], [type]);
  const sums = k.input(0, "sums");
  const output = k.output(0, "y");
  const count = k.int("pixels", pixels);
  k.for("c", 0, k.int("channels", channels), (c) =>
    output.store(c, roundedMean(k.let("sum", sums.load(c)), count).clamp(k.int("low", low), k.int("high", high))),
  );
  return k.finish(`finish_average_${inputOf(node, 0).dtype}`, "Averages from sums.");
}
