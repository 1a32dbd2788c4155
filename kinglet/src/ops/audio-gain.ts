import { elementCount } from "../base/index.ts";
import type { Node } from "../graph/index.ts";
import { type Buffer, type Expr, i32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { checkShift, needTypes, unsignedCase } from "./audio-frontend.ts";
import { eachElement, makeCase } from "./elementwise.ts";
import { unsignedWide, wrapShort } from "./fixed.ts";
import { attributesOf, badNode, inputOf, type OpDef, outputOf, refuse, typeAt } from "./op.ts";

/** Noise and gain of the fixed-point audio front end of TensorFlow Lite Micro's signal library, to the bit. */

export interface SpectralSubtractionAttributes {
  /** Weights of the newest energy and of the estimate before it, in 1/2^bits; odd channels have their own. */
  readonly smoothing: number;
  readonly oneMinusSmoothing: number;
  readonly alternateSmoothing: number;
  readonly alternateOneMinusSmoothing: number;
  /** At least this share (in 1/2^bits) of the signal remains. */
  readonly minSignalRemaining: number;
  readonly bits: number;
  /** How many more bits the estimate has than the signal. */
  readonly smoothingBits: number;
  /** The estimate itself is never larger than the signal. */
  readonly clamping: boolean;
}

const SUBTRACTION = "spectralSubtraction";

function subtractionLoops(k: KernelBuilder, node: Node): KernelInstance {
  needTypes(node, ["uint32", "uint32"], ["uint32", "uint32"]);
  if (inputOf(node, 1).variable !== true) throw badNode(node, "needs a variable as its noise estimate");
  const a = attributesOf<SpectralSubtractionAttributes>(node);
  const [x, state] = [k.input(0, "x"), k.input(1, "noise_state", true)];
  const [y, noise] = [k.output(0, "y"), k.output(1, "noise")];
  const [up, bits] = [k.int("smoothing_bits", a.smoothingBits), k.int("bits", a.bits)];
  const wide = (product: Expr): Expr => product.shru(bits.to("i64"));
  const weight = (name: string, even: number, odd: number, isOdd: Expr): Expr => isOdd.select(k.int(`odd_${name}`, odd), k.int(name, even)).to("i64");
  eachElement(k, inputOf(node, 0).shape, (i) => {
    const value = k.let("value", x.load(i));
    const odd = k.let("odd", i.and(1).ne(0));
    const signal = k.let("signal", unsignedWide(value.shl(up)));
    const fresh = signal.wrapMul(weight("smoothing", a.smoothing, a.alternateSmoothing, odd));
    const old = unsignedWide(state.load(i)).wrapMul(weight("one_minus_smoothing", a.oneMinusSmoothing, a.alternateOneMinusSmoothing, odd));
    const estimate = k.let("estimate", unsignedWide(wide(fresh.wrapAdd(old)).to("i32")));
    const clamped = k.let("clamped", estimate.min(signal));
    const kept = k.let("kept", (a.clamping ? clamped : estimate).to("i32"));
    state.store(i, kept);
    noise.store(i, kept);
    const floor = unsignedWide(wide(unsignedWide(value).wrapMul(k.int("min_signal_remaining", a.minSignalRemaining).to("i64"))).to("i32"));
    const left = signal.sub(clamped).shru(up.to("i64"));
    y.store(i, left.max(floor).to("i32"));
  });
  return k.finish("spectral_subtraction", "Takes a running estimate of the noise away.");
}

/**
 * Energies uint32 [channels] and the variable of the noise estimate [channels], in 1/2^smoothingBits → what stands
 * out of the noise, and the new estimate.
 */
export const spectralSubtraction: OpDef = {
  name: SUBTRACTION,
  infer(inputs, attributes) {
    const [x, state] = [typeAt(SUBTRACTION, inputs, 0), typeAt(SUBTRACTION, inputs, 1)];
    const a = attributesOf<SpectralSubtractionAttributes>({ attributes });
    checkShift(SUBTRACTION, "the number of bits", a.bits);
    checkShift(SUBTRACTION, "the number of smoothing bits", a.smoothingBits);
    const weights = [a.smoothing, a.oneMinusSmoothing, a.alternateSmoothing, a.alternateOneMinusSmoothing, a.minSignalRemaining];
    if (!weights.every((weight) => Number.isInteger(weight) && weight >= 0 && weight < 2 ** 31)) refuse(SUBTRACTION, `weights ${weights.join(", ")}`);
    if (elementCount(x.shape) !== elementCount(state.shape)) refuse(SUBTRACTION, "the noise estimate differs in size from the energies");
    return [
      { dtype: "uint32", shape: x.shape },
      { dtype: "uint32", shape: x.shape },
    ];
  },
  loops: subtractionLoops,
  cases: [true, false].map((clamping) => ({
    name: clamping ? "clamping" : "not clamping",
    inputs: [unsignedCase([21], 2 ** 20), { ...unsignedCase([21], 2 ** 30), variable: true }],
    outputs: [unsignedCase([21]), unsignedCase([21])],
    attributes: {
      smoothing: 410,
      oneMinusSmoothing: 15974,
      alternateSmoothing: 983,
      alternateOneMinusSmoothing: 15401,
      minSignalRemaining: 819,
      bits: 14,
      smoothingBits: 10,
      clamping,
    },
  })),
};

export interface PcanGainAttributes {
  /**
   * The gain by noise as a piecewise polynomial (125 numbers): its values at 0, 1 and 2, then four numbers a power of two,
   * of which three are the coefficients.
   */
  readonly gains: readonly number[];
  readonly snrShift: number;
}

const PCAN = "pcanGain";
const GAINS = 125;
/** Fractional bits of a signal-to-noise ratio and of the result. */
const [SNR_BITS, OUTPUT_BITS] = [12, 6];

/** The gain for a noise of `x`, an unsigned number. */
function gainOf(k: KernelBuilder, gains: Buffer, x: Expr): Expr {
  const interval = k.let("interval", i32(32).sub(x.or(1).clz()));
  const small = k.let("small", x.shru(1).eq(0).or(x.eq(2)));
  const at = k.let("at", small.select(x.and(3), interval.mul(4).sub(6).max(0)));
  const up = x.shl(i32(11).sub(interval).max(0));
  const part = k.let(
    "part",
    interval
      .lt(11)
      .select(up, x.shru(interval.sub(11).max(0)))
      .and(0x3ff),
  );
  const slope = gains
    .load(at.add(2).min(GAINS - 1))
    .mul(part)
    .shr(5)
    .add(gains.load(at.add(1)).shl(5));
  const polynomial = slope
    .wrapMul(part)
    .wrapAdd(1 << 14)
    .shr(15);
  const first = k.let("gain_first", gains.load(at));
  return small.select(first, wrapShort(polynomial.add(first)));
}

/** x²/4 below 2, x − 1 from there on. */
function shrinkRatio(k: KernelBuilder, ratio: Expr): Expr {
  const small = k.let("small_ratio", ratio.shru(SNR_BITS + 1).eq(0));
  const low = k.let("low_ratio", small.select(ratio, i32(0)));
  const curved = low.mul(low).shru(2 + 2 * SNR_BITS - OUTPUT_BITS);
  return small.select(curved, ratio.shru(SNR_BITS - OUTPUT_BITS).sub(1 << OUTPUT_BITS));
}

/**
 * Per-channel amplitude normalization: energies and noise estimates, uint32 [channels] → uint32 [channels], the ratio of
 * signal to noise with automatic gain, in 1/64.
 */
export const pcanGain: OpDef = {
  name: PCAN,
  infer(inputs, attributes) {
    const [x, noise] = [typeAt(PCAN, inputs, 0), typeAt(PCAN, inputs, 1)];
    const a = attributesOf<PcanGainAttributes>({ attributes });
    checkShift(PCAN, "the shift", a.snrShift, 63);
    if (a.gains.length !== GAINS) refuse(PCAN, `the table of gains has ${a.gains.length} entries where ${GAINS} are needed`);
    if (elementCount(x.shape) !== elementCount(noise.shape)) refuse(PCAN, "there are not as many noise estimates as energies");
    return [{ dtype: "uint32", shape: x.shape }];
  },
  loops(k, node) {
    needTypes(node, ["uint32", "uint32"], ["uint32"]);
    const a = attributesOf<PcanGainAttributes>(node);
    const [x, noise] = [k.input(0, "x"), k.input(1, "noise")];
    const gains = k.constant("gains", "i16", Int16Array.from(a.gains));
    const y = k.output(0, "y");
    eachElement(k, outputOf(node).shape, (i) => {
      const gain = gainOf(k, gains, k.let("estimate", noise.load(i)));
      const product = unsignedWide(x.load(i)).wrapMul(unsignedWide(k.let("gain", gain)));
      y.store(i, shrinkRatio(k, k.let("ratio", product.shru(k.int("snr_shift", a.snrShift).to("i64")).to("i32"))));
    });
    return k.finish("pcan_gain", "Automatic gain by channel.");
  },
  cases: [
    ["small noise", 40],
    ["any noise", 2 ** 31 - 1],
  ].map(([name, high]) =>
    makeCase(String(name), [unsignedCase([60], 2 ** 20), unsignedCase([60], Number(high))], unsignedCase([60]), {
      gains: Array.from({ length: GAINS }, (_, i) => Math.round(32636 / (1 + i)) * (i > 2 && i % 4 === 0 ? -1 : 1)),
      snrShift: 6,
    }),
  ),
};
