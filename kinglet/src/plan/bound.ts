import type { Pair } from "./place.ts";
import type { Presence, RowPair } from "./presence.ts";
import type { BufferKind } from "./usage.ts";

/** The most bytes that a pair can share at any legal distance. */
function mostShared(pair: Pair, sizes: readonly number[]): number {
  const input = sizes[pair.input]!;
  const output = sizes[pair.output]!;
  const shared = (distance: number): number => Math.max(0, Math.min(input, distance + output) - Math.max(0, distance));
  // Every distance between these two shares the whole smaller block; beyond them sharing falls off evenly.
  const from = Math.min(0, input - output);
  const to = Math.max(0, input - output);
  if (pair.inPlace === true || pair.below >= pair.above || from <= pair.below || to >= pair.above) return Math.min(input, output);
  return Math.max(shared(pair.below), shared(pair.above));
}

/** Bytes that any placement needs while one step runs. */
function stepBound(live: readonly number[], pairs: readonly Pair[], sizes: readonly number[]): number {
  const sum = (list: Iterable<number>): number => [...list].reduce((total, b) => total + sizes[b]!, 0);
  const all = sum(live);
  const inputs = new Set(pairs.map((p) => p.input));
  const outputs = new Set(pairs.map((p) => p.output));
  const saved = pairs.reduce((total, p) => total + mostShared(p, sizes), 0);
  // Dying inputs are disjoint from each other, so are new outputs: at best the smaller side vanishes.
  return all - Math.min(saved, sum(inputs), sum(outputs));
}

/** Buffers needed at every run; state always is. */
function neededAt(presence: Presence, kinds: readonly BufferKind[]): number[][] {
  const needed: number[][] = Array.from({ length: Math.max(1, presence.runs.length) }, () => []);
  presence.spans.forEach((spans, buffer) => {
    const all = kinds[buffer] === "state" ? [[0, needed.length - 1] as const] : spans;
    for (const [from, to] of all) for (let at = from; at <= to; at++) needed[at]!.push(buffer);
  });
  return needed;
}

/** The most bytes needed at one time, with overlapping pairs counted as favourably as any placement could. */
export function lowerBound(
  presence: Presence,
  sizes: readonly number[],
  kinds: readonly BufferKind[],
  pairs: readonly Pair[],
  rowPairs: readonly RowPair[],
): number {
  const byStep = new Map<number, Pair[]>();
  for (const pair of pairs) byStep.set(pair.step, [...(byStep.get(pair.step) ?? []), pair]);
  // A row that may be written over what it is made from takes no bytes of its own at best.
  const rows = new Map<number, Set<number>>();
  for (const { step, output } of rowPairs) rows.set(step, (rows.get(step) ?? new Set()).add(output));
  let most = 0;
  neededAt(presence, kinds).forEach((live, at) => {
    const run = presence.runs[at];
    const own = run?.kind === "step" ? (byStep.get(run.step) ?? []) : [];
    const spare = live.reduce((sum, buffer) => {
      const extent = presence.extents.get(buffer)?.[at];
      return extent === undefined ? sum : sum + sizes[buffer]! - (extent.high - extent.low);
    }, 0);
    const inPlace = run?.kind === "step" ? [...(rows.get(run.step) ?? [])].reduce((sum, buffer) => sum + sizes[buffer]!, 0) : 0;
    most = Math.max(most, stepBound(live, own, sizes) - spare - inPlace);
  });
  return most;
}
