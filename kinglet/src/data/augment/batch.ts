import { KingletError, type Xorshift32 } from "../../base/index.ts";
import type { Batch } from "../batches.ts";
import { exp, log } from "../portable-math.ts";
import { shuffle, unit } from "../seed.ts";

function targetsOf(batch: Batch): Float32Array {
  if (batch.targets === null) throw new KingletError("misuse", "this needs batches with one-hot targets (oneHot: true)");
  return batch.targets;
}

/** A number in (0, 1] to a power. */
const power = (base: number, exponent: number): number => exp(Math.max(-600, exponent * log(base)));

/** Draws from Beta(alpha, alpha) (Jöhnk 1964): for alpha below 1 mostly near 0 or 1. */
export function symmetricBeta(alpha: number, random: Xorshift32): number {
  for (;;) {
    const [x, y] = [power(unit(random) + 2 ** -25, 1 / alpha), power(unit(random) + 2 ** -25, 1 / alpha)];
    if (x + y <= 1 && x + y > 0) return x / (x + y);
  }
}

/**
 * Blends each sample and its target with another one of the batch by a share from Beta(alpha, alpha) (mixup, Zhang et al. 2018). Filling with
 * weight 0 stays out of it.
 * @throws KingletError `misuse` without one-hot targets, or for alpha outside (0, 4].
 */
export function mixup(batch: Batch, alpha: number, random: Xorshift32): Batch {
  const targets = targetsOf(batch);
  if (!(alpha > 0 && alpha <= 4)) throw new KingletError("misuse", "mixup's alpha lies above 0 and up to 4");
  const size = batch.labels.length;
  const partner = shuffle(
    Int32Array.from({ length: batch.count }, (_, i) => i),
    random,
  );
  const share = symmetricBeta(alpha, random);
  const blend = (values: Float32Array): Float32Array => {
    const row = values.length / size;
    const out = values.slice();
    partner.forEach((other, i) => {
      for (let k = 0; k < row; k++) out[i * row + k] = share * values[i * row + k]! + (1 - share) * values[other * row + k]!;
    });
    return out;
  };
  return { ...batch, data: blend(batch.data), targets: blend(targets) };
}

/**
 * Takes `epsilon` of every target and spreads it over all classes alike (label smoothing, Szegedy et al. 2016).
 * @throws KingletError `misuse` without one-hot targets, or for epsilon outside [0, 1).
 */
export function smoothLabels(batch: Batch, epsilon: number): Batch {
  const targets = targetsOf(batch);
  if (!(epsilon >= 0 && epsilon < 1)) throw new KingletError("misuse", "label smoothing lies in [0, 1)");
  const classes = targets.length / batch.labels.length;
  return {
    ...batch,
    targets: targets.map((value, i) => (batch.weights[Math.floor(i / classes)] === 0 ? value : (1 - epsilon) * value + epsilon / classes)),
  };
}
