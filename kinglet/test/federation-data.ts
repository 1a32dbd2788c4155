// What the members of the federation in federation.test.ts hold, wherever they run.
import { type SamplesInMemory, Xorshift32 } from "../src/browser.ts";

/** Which one, from 0, and how many samples it has. */
export interface FederationMember {
  readonly index: number;
  readonly count: number;
}

export const INPUTS = 6;
export const CLASSES = ["a", "b", "c"];

/** Clouds of points, another draw for each member. */
export function membersSamples({ index, count }: FederationMember): SamplesInMemory {
  const random = new Xorshift32(100 + index);
  const labels = Int32Array.from({ length: count }, (_, i) => (i + index) % CLASSES.length);
  const data = Float32Array.from({ length: count * INPUTS }, (_, i) => {
    const label = labels[Math.floor(i / INPUTS)]!;
    return 0.6 * random.float() + (i % CLASSES.length === label ? 1 : 0);
  });
  return { data, shape: [INPUTS], labels, classes: CLASSES };
}
