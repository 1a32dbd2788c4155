import { alignUp, type Layout } from "./layout.ts";

/** A layout in two: blocks that share no byte with any other, side by side from address 0, and the rest, which comes behind them. */
export interface Divided {
  /** Where the rest begins. */
  readonly base: number;
  readonly rest: Layout;
  /** The rest's blocks by their numbers in the whole. */
  readonly blocks: readonly number[];
  /** Addresses of the whole, from those of the rest. */
  join(addresses: ArrayLike<number>): number[];
}

/** State, above all: it lives from the first step to the last, so no placement can do better than to put it aside. */
function isPermanent({ sizes, conflicts }: Layout, block: number): boolean {
  const own = conflicts[block]!;
  return own.length === sizes.length - 1 && own.every(({ other, low, high }) => low <= -sizes[block]! && high >= sizes[other]!);
}

/** Takes the permanent blocks out, which a training step has hundreds of. */
export function withoutPermanent(layout: Layout): Divided {
  const all = layout.sizes.map((_, i) => i);
  const permanent = new Set(all.filter((i) => isPermanent(layout, i)));
  const blocks = all.filter((i) => !permanent.has(i));
  const places = new Map(blocks.map((block, at) => [block, at]));
  const fixed = new Map<number, number>();
  let at = 0;
  // Strict alignments first: then nothing is lost between blocks.
  for (const block of [...permanent].sort((a, b) => layout.alignments[b]! - layout.alignments[a]! || a - b)) {
    at = alignUp(at, layout.alignments[block]!);
    fixed.set(block, at);
    at += layout.sizes[block]!;
  }
  const base = alignUp(at, Math.max(1, ...blocks.map((block) => layout.alignments[block]!)));
  const rest: Layout = {
    sizes: blocks.map((block) => layout.sizes[block]!),
    alignments: blocks.map((block) => layout.alignments[block]!),
    conflicts: blocks.map((block) =>
      layout.conflicts[block]!.flatMap((conflict) => {
        const other = places.get(conflict.other);
        return other === undefined ? [] : [{ ...conflict, other }];
      }),
    ),
  };
  return { base, rest, blocks, join: (addresses) => all.map((block) => fixed.get(block) ?? base + addresses[places.get(block)!]!) };
}
