import { KingletError } from "../base/index.ts";

/** How the learning rate moves over a training of a known number of steps. */
export type RateSchedule =
  | { readonly kind: "constant"; readonly rate: number; readonly warmup?: number }
  /** Multiplied by `factor` at each of the given shares of the training. */
  | { readonly kind: "step"; readonly rate: number; readonly at: readonly number[]; readonly factor?: number; readonly warmup?: number }
  /** Half a cosine from `rate` to `final` (Loshchilov & Hutter, "SGDR", ICLR 2017). */
  | { readonly kind: "cosine"; readonly rate: number; readonly final?: number; readonly warmup?: number }
  /** Up to `rate` over the first `rise` (a share, default 0.3), then down to nearly 0 (Smith & Topin 2018). */
  | { readonly kind: "oneCycle"; readonly rate: number; readonly rise?: number };

/** Where one-cycle begins and ends, as shares of its highest rate. */
const ONE_CYCLE_START = 1 / 25;
const ONE_CYCLE_END = 1e-4;

function halfCosine(from: number, to: number, share: number): number {
  return to + ((from - to) * (1 + Math.cos(Math.PI * Math.min(1, Math.max(0, share))))) / 2;
}

function oneCycle(rate: number, rise: number, share: number): number {
  if (share < rise) return halfCosine(rate * ONE_CYCLE_START, rate, share / rise);
  return halfCosine(rate, rate * ONE_CYCLE_END, (share - rise) / (1 - rise));
}

/** A schedule's rate, warm-up aside. */
function plainRate(schedule: RateSchedule, share: number): number {
  switch (schedule.kind) {
    case "constant":
      return schedule.rate;
    case "step":
      return schedule.rate * (schedule.factor ?? 0.1) ** schedule.at.filter((at) => share >= at).length;
    case "cosine":
      return halfCosine(schedule.rate, schedule.final ?? 0, share);
    case "oneCycle":
      return oneCycle(schedule.rate, schedule.rise ?? 0.3, share);
    default:
      return schedule satisfies never;
  }
}

/**
 * The learning rate of step `step` (from 0) of `steps`. `warmup` steps rise to it in a straight line.
 * @throws KingletError `misuse` for a rate that is not positive.
 */
export function rateAt(schedule: RateSchedule, step: number, steps: number): number {
  if (!(schedule.rate > 0)) throw new KingletError("misuse", `the learning rate is ${schedule.rate}; it must be positive`);
  const warmup = schedule.kind === "oneCycle" ? 0 : (schedule.warmup ?? 0);
  const rate = plainRate(schedule, (step - warmup) / Math.max(1, steps - warmup));
  return step < warmup ? (rate * (step + 1)) / warmup : rate;
}
