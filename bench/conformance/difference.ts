import type { TypedArray } from "../../kinglet/src/base/index.ts";

/** The outputs of one run. */
export type Outputs = readonly TypedArray[];

/** Differences of one comparison: the largest of floats relative to max(1, |x|), of integers in steps. */
export interface Difference {
  readonly float: number;
  readonly steps: number;
  /** How many elements were compared, and how many of them are the same. */
  readonly elements: number;
  readonly same: number;
}

export function compare(got: readonly Outputs[], wanted: readonly Outputs[]): Difference {
  let [float, steps, elements, same] = [0, 0, 0, 0];
  got.flat().forEach((tensor, i) => {
    const other = wanted.flat()[i]!;
    if (other.length !== tensor.length) throw new Error(`an output of ${tensor.length} elements where ${other.length} belong`);
    for (let k = 0; k < tensor.length; k++) {
      const [a, b] = [Number(tensor[k]), Number(other[k])];
      elements++;
      if (Object.is(a, b)) same++;
      else if (tensor instanceof Float32Array) float = Math.max(float, Math.abs(a - b) / Math.max(1, Math.abs(b)));
      else steps = Math.max(steps, Math.abs(a - b));
    }
  });
  return { float, steps, elements, same };
}

const MOST_FLOAT = 1e-5;

export const isClose = ({ steps, float }: Difference): boolean => steps === 0 && float <= MOST_FLOAT;

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).replace(/\s+/g, " ");
