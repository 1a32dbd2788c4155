import type { StepUse } from "./usage.ts";

/**
 * For every step, the earlier steps that must stay before it: it reads what they write, writes what they read,
 * or writes what they write. State is a buffer like any other here.
 */
export function predecessorsOf(uses: readonly StepUse[]): number[][] {
  const writer = new Map<number, number>();
  const readers = new Map<number, number[]>();
  return uses.map((use, step) => {
    const before = new Set<number>();
    for (const b of [...use.reads, ...use.writes]) if (writer.has(b)) before.add(writer.get(b)!);
    for (const b of use.writes) for (const reader of readers.get(b) ?? []) before.add(reader);
    for (const b of use.reads) readers.set(b, [...(readers.get(b) ?? []), step]);
    for (const b of use.writes) {
      writer.set(b, step);
      readers.set(b, []);
    }
    before.delete(step);
    return [...before];
  });
}
