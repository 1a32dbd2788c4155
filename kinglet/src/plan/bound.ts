import type { Program } from "../loops/index.ts";
import type { Pair } from "./place.ts";
import type { Lifetime } from "./types.ts";
import type { BufferKind } from "./usage.ts";

/** The most bytes that a pair can share at any legal distance. */
function mostShared(pair: Pair, sizes: readonly number[]): number {
  const input = sizes[pair.input]!;
  const output = sizes[pair.output]!;
  const shared = (distance: number): number => Math.max(0, Math.min(input, distance + output) - Math.max(0, distance));
  // Every distance between these two shares the whole smaller block; beyond them sharing falls off evenly.
  const from = Math.min(0, input - output);
  const to = Math.max(0, input - output);
  if (pair.below >= pair.above || from <= pair.below || to >= pair.above) return Math.min(input, output);
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

/** Live bytes of every step, with overlapping pairs counted as favourably as any placement could. */
function stepBounds(
  program: Program,
  sizes: readonly number[],
  lifetimes: readonly Lifetime[],
  kinds: readonly BufferKind[],
  pairs: readonly Pair[],
): number[] {
  return Array.from({ length: Math.max(1, program.steps.length) }, (_, step) => {
    const live = lifetimes.filter((l) => kinds[l.buffer] === "state" || (l.first <= step && step <= l.last)).map((l) => l.buffer);
    return stepBound(
      live,
      pairs.filter((p) => p.step === step),
      sizes,
    );
  });
}

export function lowerBound(
  program: Program,
  sizes: readonly number[],
  lifetimes: readonly Lifetime[],
  kinds: readonly BufferKind[],
  pairs: readonly Pair[],
): number {
  return Math.max(0, ...stepBounds(program, sizes, lifetimes, kinds, pairs));
}
