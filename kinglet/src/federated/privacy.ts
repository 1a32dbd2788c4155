import { KingletError } from "../base/index.ts";
import { checkLengths, type ClientUpdate, norm, shortened } from "./update.ts";

/** Differential privacy for clients, added by the coordinator (McMahan et al., ICLR 2018). */
export interface Privacy {
  /** The length to which updates are shortened at first. */
  readonly clip: number;
  /** Standard deviation of the noise on their sum, in such lengths. */
  readonly noise: number;
  /** Follows the quantile of the updates' lengths (Andrew et al., NeurIPS 2021). */
  readonly adaptive?: {
    readonly quantile?: number;
    readonly rate?: number;
    /** Standard deviation of the noise on how many updates were short enough: that they were is private, too. */
    readonly countNoise: number;
  };
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
  if (adaptive === undefined || noise === 0) return noise;
  const { countNoise } = adaptive;
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

/** The updates of a round on their way to a mean with noise. None of them is kept. */
export class PrivateSum {
  private readonly privacy: Privacy;
  private readonly clip: number;
  private readonly sums: Float64Array;
  /** Each client adds ½ where its update was short enough, else takes ½ away: so one client changes the sum by ½ (ibid.). */
  private short = 0;

  /** @param length of the updates. @param clip to which they are shortened. */
  constructor(length: number, privacy: Privacy, clip: number) {
    this.privacy = privacy;
    this.clip = clip;
    this.sums = new Float64Array(length);
  }

  /** @throws KingletError `bad-input` for an update of another length. */
  add({ delta }: ClientUpdate): void {
    checkLengths(this.sums, delta);
    const bounded = shortened(delta, this.clip);
    for (let i = 0; i < bounded.length; i++) this.sums[i]! += bounded[i]!;
    this.short += norm(delta) <= this.clip ? 0.5 : -0.5;
  }

  /** `expected`: how many clients a round has on average; sums are divided by it, whoever comes, since who comes is private. */
  mean(expected: number, noise: Noise): PrivateMean {
    const { privacy, clip } = this;
    const deviation = updateNoise(privacy) * clip;
    const delta = Float32Array.from(this.sums, (sum) => (sum + deviation * noise()) / expected);
    const { adaptive } = privacy;
    if (adaptive === undefined) return { delta, clip };
    const { quantile = QUANTILE, rate = CLIP_RATE, countNoise } = adaptive;
    const share = (this.short + countNoise * noise()) / expected + 0.5;
    return { delta, clip: clip * Math.exp(-rate * (share - quantile)) };
  }
}
