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

/** Whether two are the same to the last conflict. */
export function sameLayout(a: Layout, b: Layout): boolean {
  const same = (one: readonly number[], two: readonly number[]): boolean => one.length === two.length && one.every((value, i) => value === two[i]);
  if (!same(a.sizes, b.sizes) || !same(a.alignments, b.alignments)) return false;
  return a.conflicts.every((list, block) => {
    const other = b.conflicts[block]!;
    return list.length === other.length && list.every((c, k) => c.other === other[k]!.other && c.low === other[k]!.low && c.high === other[k]!.high);
  });
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
