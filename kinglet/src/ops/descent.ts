import type { Node, Value } from "../graph/index.ts";
import type { Expr, KernelBuilder } from "../loops/index.ts";
import { inputOf, unsupportedTypes } from "./op.ts";

/** How gradient descent moves one weight after the other. */
export interface Descent {
  /** Moves the weight at a place against its gradient. `channel` is the index along the axis of its scales. */
  readonly move: (at: Expr, gradient: Expr, channel: () => Expr) => void;
  /** Behind the last weight. */
  readonly end: () => void;
}

/** The gradient with weight decay in it. */
export function decayed(k: KernelBuilder, gradient: Expr, w: Expr, decay: number): Expr {
  return decay === 0 ? gradient : k.let("decayed", gradient.add(w.mul(k.float("weight_decay", decay))));
}

/** w ← w − rate · g. Input 0 is the weights; `rate` is the place of the rate. */
export function floatDescent(k: KernelBuilder, rate: number, weightDecay: number): Descent {
  const w = k.input(0, "w", true);
  const step = k.let("step", k.input(rate, "rate").load(0));
  return {
    move: (at, gradient) => {
      const weight = k.let("weight", w.load(at));
      w.store(at, weight.sub(step.mul(decayed(k, gradient, weight, weightDecay))));
    },
    end: () => {},
  };
}

/** The largest magnitude of a stored weight, and of a bias, which leaves room for the sum of products. */
const LIMITS: Readonly<Partial<Record<Value["dtype"], number>>> = { int8: 127, int32: 2 ** 29 };

/** Steps of the stored number for one unit of gradient · rate: d real / d stored is the scale, and scaling divides by its square. */
function stepsOf(k: KernelBuilder, w: Value, scaled: boolean): (channel: () => Expr) => Expr {
  const steps = w.quantization!.scales.map((scale) => (scaled ? 1 / scale : scale));
  if (steps.length === 1) {
    const one = k.float("steps", steps[0]!);
    return () => one;
  }
  const table = k.constant("steps", "f32", Float32Array.from(steps));
  return (channel) => table.load(channel());
}

/**
 * w ← w − rate · g · steps in stored integers, each step rounded up or down at random, so that in the mean it is what it should be, however
 * small (Gupta et al., ICML 2015). Inputs 0 and 1 are the weights and the state of the random stream.
 * @throws KingletError `unsupported` for other weights than symmetric int8 or an int32 bias.
 */
export function integerDescent(k: KernelBuilder, node: Node, rate: number, scaled: boolean): Descent {
  const weights = inputOf(node, 0);
  const largest = LIMITS[weights.dtype];
  if (largest === undefined || weights.quantization?.zeroPoints.some((zero) => zero !== 0) !== false) throw unsupportedTypes(node);
  const [w, random] = [k.input(0, "w", true), k.input(1, "random", true)];
  const step = k.let("step", k.input(rate, "rate").load(0));
  const steps = stepsOf(k, weights, scaled);
  const [limit, most] = [k.int("limit", largest), k.float("most", 2 * largest)];
  const bits = k.variable("bits", random.load(0));
  return {
    move: (at, gradient, channel) => {
      // Marsaglia's xorshift32, as `Xorshift32` has it; its upper 24 bits are a float in [0, 1).
      const first = k.let("first", bits.get().xor(bits.get().shl(13)));
      const second = k.let("second", first.xor(first.shru(17)));
      bits.set(second.xor(second.shl(5)));
      const draw = bits
        .get()
        .shru(8)
        .to("f32")
        .mul(2 ** -24);
      const moved = k.let("moved", step.mul(gradient).mul(steps(channel)).add(draw).floor());
      w.store(at, w.load(at).sub(moved.clamp(most.neg(), most).to("i32")).clamp(limit.mul(-1), limit));
    },
    end: () => random.store(0, bits.get()),
  };
}
