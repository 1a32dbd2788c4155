/** How well one class is told from the others; null where there is nothing to divide by. */
export interface ClassFigures {
  readonly samples: number;
  /** Of the samples that were taken for this class, the share that are of it. */
  readonly precision: number | null;
  /** Of this class's samples, the share that were recognised. */
  readonly recall: number | null;
  /** Harmonic mean of both. */
  readonly f1: number | null;
}

const share = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);

/** Figures of each class from [class][answer] counts. */
export function classFigures(confusion: readonly (readonly number[])[]): ClassFigures[] {
  return confusion.map((row, c) => {
    const samples = row.reduce((a, b) => a + b, 0);
    const answered = confusion.reduce((sum, other) => sum + other[c]!, 0);
    return {
      samples,
      precision: share(row[c]!, answered),
      recall: share(row[c]!, samples),
      f1: share(2 * row[c]!, samples + answered),
    };
  });
}
