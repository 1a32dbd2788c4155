import { KingletError, type Xorshift32 } from "../base/index.ts";
import { portableExp, portableLog, shuffle } from "../data/browser.ts";
import type { TrainingBatch } from "./fit.ts";

/** A number in (0, 1]. */
function positiveUnit(random: Xorshift32): number {
  return ((random.next() >>> 8) + 1) * 2 ** -24;
}

/**
 * A share after Beta(α, α), by Jöhnk's rejection: x = u^(1/α), y = v^(1/α), taken where x + y ≤ 1; the share is x / (x + y). The same on
 * every machine.
 */
export function betaShare(alpha: number, random: Xorshift32): number {
  for (;;) {
    const [x, y] = [portableLog(positiveUnit(random)) / alpha, portableLog(positiveUnit(random)) / alpha];
    if (portableExp(x) + portableExp(y) <= 1) return 1 / (1 + portableExp(y - x));
  }
}

/** Below, powers leave the numbers that there are; beyond, Jöhnk's rejection takes long, and samples are little but halves of two. */
export const LEAST_ALPHA = 0.05;
export const MOST_ALPHA = 4;

/** @throws KingletError `misuse` for an α that makes no sense. */
export function checkMixup(alpha: number): void {
  if (!(alpha >= LEAST_ALPHA && alpha <= MOST_ALPHA))
    throw new KingletError("misuse", `mixup's alpha is ${alpha}; it is a number from ${LEAST_ALPHA} to ${MOST_ALPHA}`);
}

/**
 * Mixup (Zhang et al., ICLR 2018): every sample of a batch becomes λ of itself and 1 − λ of another, and its target alike, with one λ after
 * Beta(α, α) for the batch. The larger part is its own, so its label stays that of what prevails.
 */
export function mixedUp(batch: TrainingBatch, alpha: number, random: Xorshift32): TrainingBatch {
  const share = betaShare(alpha, random);
  const own = Math.max(share, 1 - share);
  const partners = shuffle(
    Int32Array.from({ length: batch.count }, (_, i) => i),
    random,
  );
  const mix = (data: Float32Array): Float32Array => {
    const size = data.length / batch.labels.length;
    return data.map((x, at) => {
      const i = Math.floor(at / size);
      return i < batch.count ? own * x + (1 - own) * data[partners[i]! * size + (at % size)]! : x;
    });
  };
  return { ...batch, data: mix(batch.data), targets: mix(batch.targets!) };
}
