import { Xorshift32 } from "../base/index.ts";
import { alignUp, type Conflict, type Layout } from "./layout.ts";

/** Places blocks in an order, each as low as it goes. */
class FirstFit {
  /** Those not yet placed lie below 0. */
  readonly addresses: Float64Array;
  /** Where the highest of the placed blocks ends. */
  top = 0;
  private readonly layout: Layout;
  /** Of each block, those that counted when it was placed last in the order in which they lay: the next time they are nearly sorted. */
  private readonly conflicts: readonly Conflict[][];
  private readonly starts: Float64Array;
  private readonly ends: Float64Array;

  constructor(layout: Layout) {
    this.layout = layout;
    this.conflicts = layout.conflicts.map((list) => [...list]);
    this.addresses = new Float64Array(layout.sizes.length);
    // Blocks that may share a start but not overlap otherwise conflict twice.
    const most = layout.conflicts.reduce((count, list) => Math.max(count, list.length), 0);
    this.starts = new Float64Array(most);
    this.ends = new Float64Array(most);
  }

  /** The lowest address for a block among those already placed: the least that no conflict forbids. */
  private lowestAddress(block: number): number {
    const { addresses, starts, ends } = this;
    const list = this.conflicts[block]!;
    const alignment = this.layout.alignments[block]!;
    let count = 0;
    for (let i = 0; i < list.length; i++) {
      const c = list[i]!;
      const base = addresses[c.other]!;
      if (base < 0 || base + c.high <= 0) continue;
      // Insertion sort: this is the innermost loop of the whole search.
      let k = count++;
      list[i] = list[k]!;
      for (; k > 0 && starts[k - 1]! > base + c.low; k--) {
        starts[k] = starts[k - 1]!;
        ends[k] = ends[k - 1]!;
        list[k] = list[k - 1]!;
      }
      starts[k] = base + c.low;
      ends[k] = base + c.high;
      list[k] = c;
    }
    let at = 0;
    for (let k = 0; k < count; k++) {
      if (starts[k]! >= at) break;
      if (at < ends[k]!) at = alignUp(ends[k]!, alignment);
    }
    return at;
  }

  private put(block: number, address: number): void {
    this.addresses[block] = address;
    this.top = Math.max(this.top, address + this.layout.sizes[block]!);
  }

  /** Begins anew, with the first `count` blocks of the order where they lie in `known`. */
  begin(order: readonly number[], count: number, known: Float64Array): void {
    this.addresses.fill(-1);
    this.top = 0;
    for (let k = 0; k < count; k++) this.put(order[k]!, known[order[k]!]!);
  }

  /** Places the blocks from a position of the order on, until one ends above `limit`. Gives the position behind the last one placed. */
  place(order: readonly number[], from: number, limit: number): number {
    let k = from;
    while (k < order.length && this.top <= limit) {
      const block = order[k++]!;
      this.put(block, this.lowestAddress(block));
    }
    return k;
  }
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

/** The order with a block moved to the front of some others, and perhaps two blocks exchanged; `same` at its start are as they were. */
function moved(order: readonly number[], block: number, random: Xorshift32): { order: number[]; same: number } {
  const rest = order.slice();
  const from = order.indexOf(block);
  rest.splice(from, 1);
  const to = random.int(0, from);
  rest.splice(to, 0, block);
  if (random.int(0, 3) > 0) return { order: rest, same: to };
  const [i, j] = [random.int(0, rest.length - 1), random.int(0, rest.length - 1)];
  [rest[i], rest[j]] = [rest[j]!, rest[i]!];
  return { order: rest, same: Math.min(to, i, j) };
}

export interface Search {
  readonly addresses: Float64Array;
  readonly top: number;
}

/** Tries the seed orders, then walks from the best by moving blocks; stops at `bound`. Deterministic. */
export function searchOrders(layout: Layout, seeds: readonly number[][], bound: number, tries: number): Search {
  const fit = new FirstFit(layout);
  type Tried = Search & { readonly order: readonly number[] };
  const found = (order: readonly number[]): Tried => ({ addresses: fit.addresses.slice(), top: fit.top, order });
  let best: Tried = { addresses: fit.addresses, top: Infinity, order: [] };
  for (const order of seeds) {
    fit.begin(order, 0, fit.addresses);
    fit.place(order, 0, Infinity);
    if (fit.top < best.top) best = found(order);
  }
  const random = new Xorshift32(0x4b1d);
  let current = best;
  for (let k = 0; k < tries && best.top > bound; k++) {
    const { order, same } = moved(current.order, culprit(layout, current.addresses, current.top, random), random);
    fit.begin(order, same, current.addresses);
    const placed = fit.place(order, same, current.top);
    // A slightly worse order is kept now and then, so that the walk leaves flat valleys; most are not worth placing to their end.
    if (fit.top <= current.top || random.int(0, 99) === 0) {
      fit.place(order, placed, Infinity);
      current = found(order);
      if (current.top < best.top) best = current;
    }
    if (k % 500 === 499) current = best;
  }
  return best;
}
