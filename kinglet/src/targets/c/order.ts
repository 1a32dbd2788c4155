/** A part of a sequence: `length` entries from `from` on, `times` in a row. */
export interface Section {
  readonly from: number;
  readonly length: number;
  readonly times: number;
}

/** How often the `length` entries at `from` follow each other. */
function repeats(order: readonly number[], from: number, length: number): number {
  let times = 1;
  for (let at = from + length; at + length <= order.length; at += length) {
    for (let i = 0; i < length; i++) if (order[at + i] !== order[from + i]) return times;
    times++;
  }
  return times;
}

/** The repetition at `from` that saves most entries, if one saves more than a section costs. */
function bestRepeat(order: readonly number[], from: number): { length: number; times: number } | undefined {
  let best: { length: number; times: number } | undefined;
  let saved = SECTION_COST;
  for (let length = 1; from + 2 * length <= order.length; length++) {
    const times = repeats(order, from, length);
    if ((times - 1) * length > saved) {
      saved = (times - 1) * length;
      best = { length, times };
    }
  }
  return best;
}

/** Bytes of a section's record. */
const SECTION_COST = 6;

/**
 * Writes a sequence as few entries and how often their runs repeat: rows in the middle of an image are alike.
 * `entries` in the order of `sections` and their `times` give the sequence back.
 */
export function foldOrder(order: readonly number[]): { entries: number[]; sections: Section[] } {
  const entries: number[] = [];
  const sections: Section[] = [];
  let plain = 0;
  const endPlain = (): void => {
    if (entries.length > plain) sections.push({ from: plain, length: entries.length - plain, times: 1 });
    plain = entries.length;
  };
  for (let at = 0; at < order.length; ) {
    const repeat = bestRepeat(order, at);
    if (repeat === undefined) {
      entries.push(order[at++]!);
      continue;
    }
    endPlain();
    sections.push({ from: entries.length, ...repeat });
    entries.push(...order.slice(at, at + repeat.length));
    plain = entries.length;
    at += repeat.length * repeat.times;
  }
  endPlain();
  return { entries, sections };
}
