/** This block's address must not lie in the open interval (address of `other` + low, address of `other` + high). */
export interface Conflict {
  readonly other: number;
  readonly low: number;
  readonly high: number;
}

/** Blocks to lay out in one arena. Two disjoint blocks of sizes a and b are the conflict (−a, b), seen from a. */
export interface Layout {
  readonly sizes: readonly number[];
  readonly alignments: readonly number[];
  readonly conflicts: readonly (readonly Conflict[])[];
}

export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** Whether no block lies where another forbids it. */
export function isLegal(layout: Layout, addresses: ArrayLike<number>): boolean {
  return layout.conflicts.every(
    (list, i) =>
      addresses[i]! % layout.alignments[i]! === 0 &&
      list.every((c) => {
        const delta = addresses[i]! - addresses[c.other]!;
        return delta <= c.low || delta >= c.high;
      }),
  );
}
