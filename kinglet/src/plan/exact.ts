import { alignUp, type Layout } from "./layout.ts";

/** A choice for one conflict: the address of `to` is at least that of `from` + `weight`. */
interface Edge {
  readonly to: number;
  readonly weight: number;
}

/** Choices on one path; the recursion must not meet the end of the stack. */
const DEEPEST = 1500;

/** Every conflict once, those that forbid most first: `first`'s address less `second`'s must not lie between `low` and `high`. */
interface Pairs {
  readonly first: Int32Array;
  readonly second: Int32Array;
  readonly low: Float64Array;
  readonly high: Float64Array;
  /** Where the layout names it: of two that cost the same, the one that it names first is decided first. */
  readonly rank: Int32Array;
}

interface State {
  readonly layout: Layout;
  readonly pairs: Pairs;
  /** The least addresses that keep all choices made so far. */
  readonly addresses: Float64Array;
  readonly edges: Edge[][];
  readonly floor: number;
  best: number;
  bestAddresses: Float64Array | null;
  nodes: number;
  depth: number;
}

/** Raises `start` and what hangs on it. False where a block would end at or above the best known top. */
function raise(state: State, start: number, to: number, undo: number[]): boolean {
  const { layout, addresses } = state;
  const queue: number[] = [];
  const lift = (block: number, least: number): boolean => {
    const address = alignUp(least, layout.alignments[block]!);
    if (address <= addresses[block]!) return true;
    undo.push(block, addresses[block]!);
    addresses[block] = address;
    queue.push(block);
    return address + layout.sizes[block]! < state.best;
  };
  if (!lift(start, to)) return false;
  for (let k = 0; k < queue.length; k++) {
    const from = queue[k]!;
    for (const edge of state.edges[from]!) if (!lift(edge.to, addresses[from]! + edge.weight)) return false;
  }
  return true;
}

function pairsOf(layout: Layout): Pairs {
  const all = layout.conflicts.flatMap((list, block) => list.filter((c) => c.other <= block).map((c) => ({ ...c, block })));
  const width = (rank: number): number => all[rank]!.high - all[rank]!.low;
  const rank = Int32Array.from(all.keys()).sort((a, b) => width(b) - width(a) || a - b);
  return {
    first: rank.map((k) => all[k]!.block),
    second: rank.map((k) => all[k]!.other),
    low: Float64Array.from(rank, (k) => all[k]!.low),
    high: Float64Array.from(rank, (k) => all[k]!.high),
    rank,
  };
}

/** The position among the pairs of the forbidden one whose resolution costs most, or -1: deciding it early cuts most. */
function worstPair({ addresses, pairs: { first, second, low, high, rank } }: State): number {
  let [worst, found] = [-1, -1];
  for (let k = 0; k < rank.length; k++) {
    const [least, most] = [low[k]!, high[k]!];
    // At most half of what it forbids is its cost, and the others forbid less.
    if (most - least < 2 * worst) break;
    const delta = addresses[first[k]!]! - addresses[second[k]!]!;
    if (delta <= least || delta >= most) continue;
    const cost = Math.min(most - delta, delta - least);
    if (cost > worst || (cost === worst && rank[k]! < rank[found]!)) [worst, found] = [cost, k];
  }
  return found;
}

function tryEdge(state: State, from: number, to: number, weight: number, nodeLimit: number): boolean {
  const undo: number[] = [];
  state.edges[from]!.push({ to, weight });
  state.depth++;
  const fits = raise(state, to, state.addresses[from]! + weight, undo);
  const complete = fits ? descend(state, nodeLimit) : true;
  state.edges[from]!.pop();
  state.depth--;
  for (let k = undo.length - 2; k >= 0; k -= 2) state.addresses[undo[k]!] = undo[k + 1]!;
  return complete;
}

/** True where the whole subtree was searched (or nothing better can exist). */
function descend(state: State, nodeLimit: number): boolean {
  if (state.best <= state.floor) return true;
  if (++state.nodes > nodeLimit || state.depth >= DEEPEST) return false;
  const pair = worstPair(state);
  if (pair < 0) {
    state.bestAddresses = state.addresses.slice();
    state.best = state.addresses.reduce((top, address, i) => Math.max(top, address + state.layout.sizes[i]!), 0);
    return true;
  }
  const [block, other, low, high] = [state.pairs.first[pair]!, state.pairs.second[pair]!, state.pairs.low[pair]!, state.pairs.high[pair]!];
  const above = (): boolean => tryEdge(state, other, block, high, nodeLimit);
  const below = (): boolean => tryEdge(state, block, other, -low, nodeLimit);
  const delta = state.addresses[block]! - state.addresses[other]!;
  const [one, two] = high - delta <= delta - low ? [above, below] : [below, above];
  const first = one();
  return two() && first;
}

/**
 * Branch and bound over "this block above or below that one": each choice is a difference constraint, and the
 * least solution of all choices is the only one worth looking at. Exact, where the node limit is not met.
 */
export function searchExactly(
  layout: Layout,
  top: number,
  floor: number,
  nodeLimit: number,
): { addresses: Float64Array | null; top: number; exhausted: boolean } {
  const state: State = {
    layout,
    pairs: pairsOf(layout),
    addresses: new Float64Array(layout.sizes.length),
    edges: layout.sizes.map(() => []),
    floor,
    best: top,
    bestAddresses: null,
    nodes: 0,
    depth: 0,
  };
  const exhausted = descend(state, nodeLimit);
  return { addresses: state.bestAddresses, top: state.best, exhausted };
}
