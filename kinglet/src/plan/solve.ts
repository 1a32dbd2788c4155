import { searchExactly } from "./exact.ts";
import { searchOrders, seedOrders } from "./firstfit.ts";
import { type Layout, sameLayout } from "./layout.ts";
import { withoutPermanent } from "./permanent.ts";
import type { Lifetime } from "./types.ts";

/** How much work the search may do; counted in block placements and nodes, so that results never depend on the clock. */
const PLACEMENTS = 250_000;
const NODES = 30_000;

/** Blocks to place, and how hard to try. */
export interface Problem {
  readonly layout: Layout;
  readonly lifetimes: readonly Lifetime[];
  /** No placement ends lower. */
  readonly bound: number;
  /** The share of the usual work. */
  readonly effort: number;
}

export interface Solution {
  readonly offsets: readonly number[];
  /** Every placement was looked at, or ruled out. */
  readonly exhausted: boolean;
}

function sameProblem(a: Problem, b: Problem): boolean {
  const times = (of: Problem["lifetimes"]): boolean => a.lifetimes.every(({ first, last }, i) => first === of[i]!.first && last === of[i]!.last);
  return a.bound === b.bound && a.effort === b.effort && sameLayout(a.layout, b.layout) && times(b.lifetimes);
}

/** Permanent blocks lie first; the others are searched for behind them. */
function search({ layout: whole, lifetimes: all, bound: wholeBound, effort }: Problem): Solution {
  const { base, rest: layout, blocks, join } = withoutPermanent(whole);
  const lifetimes = blocks.map((block) => all[block]!);
  const bound = wholeBound - base;
  const seeds = seedOrders(
    layout,
    lifetimes.map((l) => l.first),
    lifetimes.map((l) => l.last),
  );
  const tries = Math.ceil((effort * PLACEMENTS) / Math.max(1, layout.sizes.length));
  const found = searchOrders(layout, seeds, bound, tries);
  if (found.top <= bound) return { offsets: join(found.addresses), exhausted: false };
  const exact = searchExactly(layout, found.top, bound, Math.ceil((effort * NODES * 40) / Math.max(40, layout.sizes.length)));
  return { offsets: join(exact.addresses ?? found.addresses), exhausted: exact.exhausted };
}

/** One network for several targets often is the same problem for most of them; these are the last ones, the latest first. */
let known: readonly { readonly problem: Problem; readonly solution: Solution }[] = [];
const MOST_KNOWN = 8;

/** Searches the lowest placement. The same problem has the same solution, always. */
export function solve(problem: Problem): Solution {
  const before = known.find((each) => sameProblem(each.problem, problem));
  const latest = before ?? { problem, solution: search(problem) };
  known = [latest, ...known.filter((each) => each !== before)].slice(0, MOST_KNOWN);
  return latest.solution;
}
