import { alignUp, type Layout } from "./layout.ts";

/** A choice for one conflict: the address of `to` is at least that of `from` + `weight`. */
interface Edge {
  readonly to: number;
  readonly weight: number;
}

/** Choices on one path; the recursion must not meet the end of the stack. */
const DEEPEST = 1500;

interface State {
  readonly layout: Layout;
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

/** The forbidden pair whose resolution costs most: deciding it early cuts most. */
function worstPair(state: State): { block: number; conflict: number } | null {
  let worst = -1;
  let found: { block: number; conflict: number } | null = null;
  state.layout.conflicts.forEach((list, block) => {
    for (let k = 0; k < list.length; k++) {
      const c = list[k]!;
      if (c.other > block) continue;
      const delta = state.addresses[block]! - state.addresses[c.other]!;
      if (delta <= c.low || delta >= c.high) continue;
      const cost = Math.min(c.high - delta, delta - c.low);
      if (cost > worst) [worst, found] = [cost, { block, conflict: k }];
    }
  });
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
  if (pair === null) {
    state.bestAddresses = state.addresses.slice();
    state.best = state.addresses.reduce((top, address, i) => Math.max(top, address + state.layout.sizes[i]!), 0);
    return true;
  }
  const { other, low, high } = state.layout.conflicts[pair.block]![pair.conflict]!;
  const above = (): boolean => tryEdge(state, other, pair.block, high, nodeLimit);
  const below = (): boolean => tryEdge(state, pair.block, other, -low, nodeLimit);
  const delta = state.addresses[pair.block]! - state.addresses[other]!;
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
