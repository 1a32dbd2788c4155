import { KingletError } from "../base/index.ts";
import { type ClientUpdate, commonLength, norm, shortened } from "./update.ts";

/** Differential privacy for clients, added by the coordinator (McMahan et al., ICLR 2018). */
export interface Privacy {
  /** The length to which updates are shortened at first. */
  readonly clip: number;
  /** Standard deviation of the noise on their sum, in such lengths. */
  readonly noise: number;
  /** Follows the quantile of the updates' lengths (Andrew et al., NeurIPS 2021). */
  readonly adaptive?: { readonly quantile?: number; readonly rate?: number; readonly countNoise?: number };
  /** The δ of (ε, δ). */
  readonly delta: number;
  /** Ends the training before ε exceeds this. */
  readonly budget?: number;
}

const [QUANTILE, CLIP_RATE] = [0.5, 0.2];

/**
 * Noise for the updates themselves where the count of those that were short enough is blurred, too: together they cost what `noise` says
 * (ibid., theorem 1).
 */
function updateNoise({ noise, adaptive }: Privacy): number {
  const { countNoise } = adaptive ?? {};
  if (adaptive === undefined || noise === 0 || countNoise === undefined || countNoise === 0) return noise;
  const rest = noise ** -2 - (2 * countNoise) ** -2;
  if (!(rest > 0)) throw new KingletError("misuse", `a count with noise ${countNoise} costs more privacy than noise ${noise} has to give`);
  return rest ** -0.5;
}

/** A round's sum with noise over the number of clients, and the clipping length of the next round. */
export interface PrivateMean {
  readonly delta: Float32Array;
  readonly clip: number;
}

/** Gives numbers with mean 0 and standard deviation 1. */
export type Noise = () => number;

/**
 * Normal numbers that nobody can guess (Box & Muller 1958, from the platform's cryptographic generator): what protects real people. A
 * simulation may use seeded ones.
 */
export const secureNoise: Noise = () => {
  const [a, b] = crypto.getRandomValues(new Uint32Array(2)) as unknown as [number, number];
  return Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32)) * Math.cos((2 * Math.PI * b) / 2 ** 32);
};

/** `count`: the clients expected in a round; the sum is divided by it, whoever comes, since who comes is private. */
export function privateMean(updates: readonly ClientUpdate[], privacy: Privacy, clip: number, count: number, noise: Noise): PrivateMean {
  const sums = new Float64Array(commonLength(updates.map(({ delta }) => delta)));
  for (const { delta } of updates) {
    const bounded = shortened(delta, clip);
    for (let i = 0; i < sums.length; i++) sums[i]! += bounded[i]!;
  }
  const deviation = updateNoise(privacy) * clip;
  const delta = Float32Array.from(sums, (sum) => (sum + deviation * noise()) / count);
  const { adaptive } = privacy;
  if (adaptive === undefined) return { delta, clip };
  const { quantile = QUANTILE, rate = CLIP_RATE, countNoise = 0 } = adaptive;
  const short = updates.filter((update) => norm(update.delta) <= clip).length;
  const blurred = (short + countNoise * noise()) / count;
  return { delta, clip: clip * Math.exp(-rate * (blurred - quantile)) };
}
