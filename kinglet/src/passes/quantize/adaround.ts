import { Xorshift32, mapInto } from "../../base/index.ts";

/** One output channel's rounding problem, in units of its weight scale. */
export interface RoundingProblem {
  /** Real weights divided by their scale. */
  readonly weights: Float64Array;
  /** The largest stored weight. */
  readonly limit: number;
  /** Inputs as the quantized network has them: `rows` rows of weights.length. */
  readonly inputs: Float32Array;
  readonly rows: number;
  /** What the real weights give for the real inputs, and what must be added to a product: divided by the scale. */
  readonly targets: Float64Array;
  readonly bias: number;
  /** Bounds of the activation that follows, divided by the scale. */
  readonly low: number;
  readonly high: number;
}

export interface AdaRoundOptions {
  /** Steps of the optimiser for each channel (default 1000). */
  readonly iterations?: number;
  readonly seed?: number;
}

// The paper's: a sigmoid stretched to [γ, ζ] and clipped to [0, 1], and a regulariser that hardens from β 20 to 2.
const [ZETA, GAMMA] = [1.1, -0.1];
const [BETA_START, BETA_END, WARM] = [20, 2, 0.2];
const [RATE, WEIGHT, BATCH] = [0.02, 0.01, 32];

const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));
const clip = (x: number, low: number, high: number): number => Math.max(low, Math.min(high, x));
const rectified = (v: number): number => clip(sigmoid(v) * (ZETA - GAMMA) + GAMMA, 0, 1);

/** Mean squared error of the activation's output with given stored weights. */
export function roundingError(problem: RoundingProblem, stored: ArrayLike<number>): number {
  const { inputs, rows, targets, bias, low, high } = problem;
  const width = problem.weights.length;
  let total = 0;
  for (let row = 0; row < rows; row++) {
    let sum = bias;
    for (let k = 0; k < width; k++) sum += stored[k]! * inputs[row * width + k]!;
    total += (clip(sum, low, high) - clip(targets[row]!, low, high)) ** 2;
  }
  return total / rows;
}

/** Adam on the continuous choice between rounding down and up. */
class Choice {
  readonly values: Float64Array;
  private readonly first: Float64Array;
  private readonly second: Float64Array;
  private steps = 0;

  constructor(fractions: Float64Array) {
    this.values = fractions.map((fraction) => -Math.log((ZETA - GAMMA) / (clip(fraction, 1e-3, 1 - 1e-3) - GAMMA) - 1));
    this.first = new Float64Array(fractions.length);
    this.second = new Float64Array(fractions.length);
  }

  step(gradients: Float64Array): void {
    this.steps++;
    const [unbias1, unbias2] = [1 - 0.9 ** this.steps, 1 - 0.999 ** this.steps];
    for (let k = 0; k < gradients.length; k++) {
      const gradient = gradients[k]!;
      this.first[k] = 0.9 * this.first[k]! + 0.1 * gradient;
      this.second[k] = 0.999 * this.second[k]! + 0.001 * gradient * gradient;
      this.values[k]! -= (RATE * (this.first[k]! / unbias1)) / (Math.sqrt(this.second[k]! / unbias2) + 1e-8);
    }
  }
}

/** Σ over a batch of error · input, which is half the gradient of the squared error by the stored weights. */
function addGradient(problem: RoundingProblem, soft: Float64Array, random: Xorshift32, gradients: Float64Array): void {
  const { inputs, rows, targets, bias, low, high } = problem;
  const width = soft.length;
  for (let b = 0; b < BATCH; b++) {
    const row = random.next() % rows;
    const from = row * width;
    let sum = bias;
    for (let k = 0; k < width; k++) sum += soft[k]! * inputs[from + k]!;
    // Where the activation is flat, no weight can change anything.
    if (sum < low || sum > high) continue;
    const error = sum - clip(targets[row]!, low, high);
    for (let k = 0; k < width; k++) gradients[k]! += error * inputs[from + k]!;
  }
}

function meanSquare(values: Float32Array): number {
  let total = 0;
  for (const x of values) total += x * x;
  return total / Math.max(1, values.length);
}

/**
 * AdaRound (Nagel et al., "Up or down? Adaptive rounding for post-training quantization", ICML 2020) for one output
 * channel: chooses for every weight whether to round down or up so that the layer's output on sampled inputs changes
 * least. Never worse on them than rounding to the nearest. Deterministic; the time is bounded by the iterations.
 */
export function adaRound(problem: RoundingProblem, options: AdaRoundOptions = {}): Int8Array {
  const { weights, limit } = problem;
  const iterations = options.iterations ?? 1000;
  const random = new Xorshift32(options.seed ?? 20);
  const floors = weights.map((w) => clip(Math.floor(w), -limit, limit - 1));
  const choice = new Choice(weights.map((w, k) => clip(w - floors[k]!, 0, 1)));
  const [soft, gradients] = [new Float64Array(weights.length), new Float64Array(weights.length)];
  const scale = 2 / (BATCH * Math.max(meanSquare(problem.inputs), 1e-30));
  for (let i = 0; i < iterations; i++) {
    choice.values.forEach((v, k) => {
      soft[k] = floors[k]! + rectified(v);
    });
    gradients.fill(0);
    addGradient(problem, soft, random, gradients);
    const progress = (i / iterations - WARM) / (1 - WARM);
    const beta = BETA_END + 0.5 * (BETA_START - BETA_END) * (1 + Math.cos(Math.PI * Math.max(0, progress)));
    for (let k = 0; k < weights.length; k++) {
      const [h, s] = [soft[k]! - floors[k]!, sigmoid(choice.values[k]!)];
      const off = 2 * h - 1;
      const harden = progress <= 0 || off === 0 ? 0 : -2 * beta * WEIGHT * Math.sign(off) * Math.abs(off) ** (beta - 1);
      const slope = h > 0 && h < 1 ? s * (1 - s) * (ZETA - GAMMA) : 0;
      gradients[k] = (gradients[k]! * scale + harden) * slope;
    }
    choice.step(gradients);
  }
  const chosen = mapInto(new Int8Array(floors.length), floors, (floor, k) => floor + (rectified(choice.values[k]!) >= 0.5 ? 1 : 0));
  const nearest = mapInto(new Int8Array(weights.length), weights, (w) => clip(Math.sign(w) * Math.round(Math.abs(w)), -limit, limit));
  return roundingError(problem, chosen) < roundingError(problem, nearest) ? chosen : nearest;
}
