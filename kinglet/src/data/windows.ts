import { KingletError } from "../base/index.ts";

/** Windows cut from recordings, both in steps of time. */
export interface WindowOptions {
  readonly length: number;
  /** Steps from one window's start to the next one's. */
  readonly hop: number;
  /** What becomes of a recording that is shorter than a window: filled up with zeros, or left out. */
  readonly short: "pad" | "drop";
}

/** Where windows begin in a recording of `length` steps: all that lie inside it, or one where it is shorter. */
export function windowStarts(length: number, window: WindowOptions): number[] {
  if (length < window.length) return window.short === "pad" ? [0] : [];
  const count = Math.floor((length - window.length) / window.hop) + 1;
  return Array.from({ length: count }, (_, i) => i * window.hop);
}

/** Padding beyond this factor over the usual length is more likely a mistake than a wish. */
const MOST_PADDING = 4;

/**
 * The windows for recordings without a stated window: their common length, or the longest, to which the others are filled up.
 * @throws KingletError `bad-input` where lengths differ too much for that.
 */
export function wholeRecordings(lengths: readonly number[]): WindowOptions {
  const sorted = [...lengths].sort((a, b) => a - b);
  const [shortest, middle, longest] = [sorted[0]!, sorted[sorted.length >> 1]!, sorted[sorted.length - 1]!];
  if (longest > MOST_PADDING * middle)
    throw new KingletError("bad-input", `the recordings are ${shortest} to ${longest} steps long, most of them about ${middle}`, {
      hint: `Say with --window how long a sample is: ${middle}, for example; shorter recordings are filled up with zeros, longer ones give several.`,
    });
  return { length: longest, hop: longest, short: "pad" };
}
