import { KingletError } from "../../base/index.ts";
import { type FixedPoint, levelsFor, meanFromFixed, toFixed } from "./fixed.ts";
import { failClosed, MOST_CLIENTS } from "./messages.ts";

/** How a federation adds updates up so that nobody sees a single one. */
export interface SecureRules {
  /** More than this share of a round's clients must stay to its end: from 0.5, below 1. */
  readonly threshold: number;
  /** Fewer clients than this are never added up. */
  readonly minimum: number;
  /** Numbers beyond ±clip travel as that. */
  readonly clip: number;
  /** Weights are shares of so many samples; a client with more counts as one with so many. */
  readonly mostSamples: number;
}

export const DEFAULT_SECURE_RULES: SecureRules = { threshold: 0.5, minimum: 2, clip: 8, mostSamples: 1000 };

/** @throws KingletError `misuse` for rules that cannot be. */
export function checkSecureRules({ threshold, minimum, clip, mostSamples }: SecureRules): void {
  const refuse = (what: string, value: number, may: string): never => {
    throw new KingletError("misuse", `${what} is ${value}; it is ${may}`);
  };
  if (!(threshold >= 0.5 && threshold < 1)) refuse("the share of clients that must stay", threshold, "from 0.5 and below 1");
  if (!(Number.isInteger(minimum) && minimum >= 2 && minimum <= MOST_CLIENTS))
    refuse("the least clients that are added up", minimum, `a whole number from 2 to ${MOST_CLIENTS}`);
  if (!(clip > 0 && clip < Number.POSITIVE_INFINITY)) refuse("the largest number", clip, "above 0");
  if (!(Number.isInteger(mostSamples) && mostSamples >= 1 && mostSamples * MOST_CLIENTS < 2 ** 32))
    refuse("the most samples of a client", mostSamples, "a whole number that 32 bits can count for all clients");
}

/** How many of a group's `count` clients must stay to the end; more than there are where the group is too small. */
export function thresholdOf({ threshold, minimum }: Pick<SecureRules, "threshold" | "minimum">, count: number): number {
  return Math.max(minimum, Math.floor(threshold * count) + 1);
}

function fixedFor({ clip }: Pick<SecureRules, "clip">, count: number): FixedPoint {
  return { clip, levels: levelsFor(count) };
}

/**
 * What a client of a group of `count` masks: its update times its weight in fixed point, and after it its samples.
 * @throws KingletError `misuse` where 32 bits cannot count the samples of so many, `bad-input` for numbers that are not finite.
 */
export function weightedNumbers(
  { delta, samples }: { readonly delta: Float32Array; readonly samples: number },
  rules: Pick<SecureRules, "clip" | "mostSamples">,
  count: number,
): Uint32Array {
  const { mostSamples } = rules;
  if (count * mostSamples >= 2 ** 32) throw new KingletError("misuse", "32 bits cannot count the samples of a round");
  const counted = Math.min(samples, mostSamples);
  const numbers = new Uint32Array(delta.length + 1);
  numbers.set(
    toFixed(
      delta.map((x) => (x * counted) / mostSamples),
      fixedFor(rules, count),
    ),
  );
  numbers[delta.length] = counted;
  return numbers;
}

/**
 * The mean weighted by samples, out of the sum of what `survivors` clients of a group of `count` masked.
 * @throws KingletError `check-failed` for a sum that no such numbers give: somebody sent others, or shares that were not true.
 */
export function weightedMeanOfSum(
  sum: Uint32Array,
  rules: Pick<SecureRules, "clip" | "mostSamples">,
  { survivors, count }: { readonly survivors: number; readonly count: number },
): Float32Array {
  const fixed = fixedFor(rules, count);
  const [numbers, samples] = [sum.subarray(0, -1), sum.at(-1)!];
  if (samples < survivors || samples > survivors * rules.mostSamples || numbers.some((x) => x > survivors * fixed.levels))
    failClosed("the sum is none that the clients' numbers can have");
  const weights = samples / rules.mostSamples;
  return meanFromFixed(numbers, survivors, fixed).map((x) => (x * survivors) / weights);
}
