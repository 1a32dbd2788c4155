import { KingletError } from "../base/index.ts";

/** A mechanism that is applied again and again: Gaussian noise on sums over a random share of the clients. */
export interface SampledGaussian {
  /** Probability of a client to be in a round. */
  readonly share: number;
  /** Standard deviation of the noise, in lengths that updates are clipped to. */
  readonly noise: number;
}

/** Orders of Rényi divergence that are looked at. */
const ORDERS: readonly number[] = [...Array.from({ length: 62 }, (_, i) => i + 2), 80, 96, 128, 160, 192, 256, 384, 512];

function logAdd(a: number, b: number): number {
  const [less, more] = a < b ? [a, b] : [b, a];
  return less === Number.NEGATIVE_INFINITY ? more : more + Math.log1p(Math.exp(less - more));
}

/**
 * Rényi divergence of integer order α of one round of the sampled Gaussian mechanism: the binomial sum of Mironov, Talwar & Zhang 2019
 * (arXiv 1908.10530, section 3.3).
 */
export function renyi({ share, noise }: SampledGaussian, order: number): number {
  if (share === 0) return 0;
  if (share === 1) return order / (2 * noise * noise);
  let [sum, binomial] = [Number.NEGATIVE_INFINITY, 0];
  for (let k = 0; k <= order; k++) {
    sum = logAdd(sum, binomial + k * Math.log(share) + (order - k) * Math.log1p(-share) + (k * k - k) / (2 * noise * noise));
    binomial += Math.log(order - k) - Math.log(k + 1);
  }
  return sum / (order - 1);
}

/** How Rényi divergence becomes (ε, δ): as Mironov has it (CSF 2017), or by the tighter rule of Canonne, Kamath & Steinke (NeurIPS 2020). */
export type Conversion = "mironov" | "tight";

/** What a number of rounds costs. */
export interface PrivacyLoss {
  readonly epsilon: number;
  /** The order that gave it. */
  readonly order: number;
}

/**
 * The ε that `rounds` rounds cost at a δ; infinite without noise.
 * @throws KingletError `misuse` for shares, noises and δ that cannot be.
 */
export function privacyLoss(mechanism: SampledGaussian, rounds: number, delta: number, conversion: Conversion = "tight"): PrivacyLoss {
  const { share, noise } = mechanism;
  if (!(share >= 0 && share <= 1)) throw new KingletError("misuse", `the share of clients in a round is ${share}; it is from 0 to 1`);
  if (!(noise >= 0)) throw new KingletError("misuse", `the noise is ${noise}; it is at least 0`);
  if (!(delta > 0 && delta < 1)) throw new KingletError("misuse", `δ is ${delta}; it lies between 0 and 1`);
  if (rounds === 0) return { epsilon: 0, order: ORDERS[0]! };
  if (noise === 0) return { epsilon: share === 0 ? 0 : Number.POSITIVE_INFINITY, order: ORDERS[0]! };
  const losses = ORDERS.map((order) => {
    const tighter =
      conversion === "tight" ? Math.log1p(-1 / order) - (Math.log(delta) + Math.log(order)) / (order - 1) : -Math.log(delta) / (order - 1);
    return { epsilon: Math.max(0, rounds * renyi(mechanism, order) + tighter), order };
  });
  return losses.reduce((best, each) => (each.epsilon < best.epsilon ? each : best));
}
