import { Xorshift32 } from "../base/index.ts";
import { alignUp, extent, type Layout } from "./layout.ts";

/** The lowest address for `block` among those already placed (addresses < 0 are not placed). */
function lowestAddress(layout: Layout, block: number, addresses: Float64Array, starts: Float64Array, ends: Float64Array): number {
  let count = 0;
  for (const c of layout.conflicts[block]!) {
    const base = addresses[c.other]!;
    if (base < 0 || base + c.high <= 0) continue;
    // Insertion sort: the lists are short and this is the innermost loop of the whole search.
    let k = count++;
    for (; k > 0 && starts[k - 1]! > base + c.low; k--) {
      starts[k] = starts[k - 1]!;
      ends[k] = ends[k - 1]!;
    }
    starts[k] = base + c.low;
    ends[k] = base + c.high;
  }
  let at = 0;
  for (let k = 0; k < count; k++) {
    if (starts[k]! >= at) break;
    if (at < ends[k]!) at = alignUp(ends[k]!, layout.alignments[block]!);
  }
  return at;
}

/** Places the blocks in the given order, each as low as it goes. */
function firstFit(layout: Layout, order: readonly number[], addresses: Float64Array): void {
  // Blocks that may share a start but not overlap otherwise conflict twice.
  const most = layout.conflicts.reduce((count, list) => Math.max(count, list.length), 0);
  const starts = new Float64Array(most);
  const ends = new Float64Array(most);
  addresses.fill(-1);
  for (const block of order) addresses[block] = lowestAddress(layout, block, addresses, starts, ends);
}

/** Orders worth trying first: big blocks first, long-lived first, by time, and big with time as the tie. */
export function seedOrders(layout: Layout, first: readonly number[], last: readonly number[]): number[][] {
  const all = layout.sizes.map((_, i) => i);
  const size = (i: number): number => layout.sizes[i]!;
  const life = (i: number): number => last[i]! - first[i]!;
  const by = (...keys: ((i: number) => number)[]): number[] =>
    [...all].sort((a, b) => {
      for (const key of keys) if (key(a) !== key(b)) return key(a) - key(b);
      return a - b;
    });
  return [
    by((i) => -size(i)),
    by(
      (i) => -size(i),
      (i) => -first[i]!,
    ),
    by((i) => -size(i) * (1 + life(i))),
    by(
      (i) => -life(i),
      (i) => -size(i),
    ),
    by((i) => first[i]!),
    by(
      (i) => -last[i]!,
      (i) => -first[i]!,
    ),
  ];
}

/** A block that reaches the top, or one that it conflicts with: moving one of them can lower the top. */
function culprit(layout: Layout, addresses: Float64Array, top: number, random: Xorshift32): number {
  const highest: number[] = [];
  for (let i = 0; i < addresses.length; i++) if (addresses[i]! + layout.sizes[i]! === top) highest.push(i);
  const block = highest[random.int(0, highest.length - 1)]!;
  const near = layout.conflicts[block]!;
  if (near.length === 0 || random.int(0, 2) === 0) return block;
  return near[random.int(0, near.length - 1)]!.other;
}

function moved(order: readonly number[], block: number, random: Xorshift32): number[] {
  const rest = order.filter((b) => b !== block);
  rest.splice(random.int(0, Math.max(0, order.indexOf(block))), 0, block);
  if (random.int(0, 3) > 0) return rest;
  const [i, j] = [random.int(0, rest.length - 1), random.int(0, rest.length - 1)];
  [rest[i], rest[j]] = [rest[j]!, rest[i]!];
  return rest;
}

export interface Search {
  readonly addresses: Float64Array;
  readonly top: number;
}

/** Tries the seed orders, then walks from the best by moving blocks; stops at `bound`. Deterministic. */
export function searchOrders(layout: Layout, seeds: readonly number[][], bound: number, tries: number): Search {
  const addresses = new Float64Array(layout.sizes.length);
  let best: Search & { order: readonly number[] } = { addresses, top: Infinity, order: [] };
  const attempt = (order: readonly number[]): number => {
    firstFit(layout, order, addresses);
    const top = extent(layout, addresses);
    if (top < best.top) best = { addresses: addresses.slice(), top, order };
    return top;
  };
  for (const order of seeds) attempt(order);
  const random = new Xorshift32(0x4b1d);
  let current: Search & { order: readonly number[] } = best;
  for (let k = 0; k < tries && best.top > bound; k++) {
    const order = moved(current.order, culprit(layout, current.addresses, current.top, random), random);
    const top = attempt(order);
    // A slightly worse order is kept now and then, so that the walk leaves flat valleys.
    if (top <= current.top || random.int(0, 99) === 0) current = { addresses: addresses.slice(), top, order };
    if (k % 500 === 499) current = best;
  }
  return best;
}
