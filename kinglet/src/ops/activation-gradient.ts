import { sameShape } from "../base/index.ts";
import type { Node } from "../graph/index.ts";
import { constant, type Expr, f32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { binaryLoops, makeCase, typed } from "./elementwise.ts";
import { erfcFloat, expFloat } from "./float-math.ts";
import { attributesOf, inputOf, type OpDef, refuse, typeAt, unsupportedTypes } from "./op.ts";
import { quantizationOf, quantizedBounds } from "./quantization.ts";
import { needFloats, realSuffix } from "./real-input.ts";

/** Functions whose slope follows from their result, and those whose slope needs what they were given. */
const FROM_RESULT = ["relu", "relu6", "reluN1To1", "tanh", "logistic", "elu"] as const;
const FROM_INPUT = ["hardSwish", "leakyRelu", "gelu", "abs"] as const;

/** `alpha` is leakyRelu's; all others have none. */
export interface ActivationGradientAttributes {
  readonly of: (typeof FROM_RESULT)[number] | (typeof FROM_INPUT)[number];
  readonly alpha?: number;
}

const zero = f32(0);

function inside(dy: Expr, y: Expr, low: number, high: number): Expr {
  const above = y.gt(f32(low));
  return (high === Infinity ? above : above.and(y.lt(f32(high)))).select(dy, zero);
}

/** Φ(x) + x · φ(x), the slope of x · Φ(x). */
function geluSlope(k: KernelBuilder, x: Expr): Expr {
  const normal = k.call(erfcFloat, x.mul(f32(-Math.SQRT1_2))).mul(0.5);
  const density = k.call(expFloat, x.mul(x).mul(-0.5)).mul(f32(1 / Math.sqrt(2 * Math.PI)));
  return normal.add(x.mul(density));
}

function hardSwishSlope(x: Expr): Expr {
  const slope = x
    .add(x)
    .add(3)
    .mul(f32(1 / 6));
  return x.le(f32(-3)).select(zero, x.ge(f32(3)).select(f32(1), slope));
}

function gradientOf(k: KernelBuilder, { of, alpha = 0 }: ActivationGradientAttributes, dy: Expr, reference: Expr): Expr {
  switch (of) {
    case "relu":
      return inside(dy, reference, 0, Infinity);
    case "relu6":
      return inside(dy, reference, 0, 6);
    case "reluN1To1":
      return inside(dy, reference, -1, 1);
    case "tanh":
      return dy.mul(f32(1).sub(reference.mul(reference)));
    case "logistic":
      return dy.mul(reference.mul(f32(1).sub(reference)));
    case "elu":
      return dy.mul(reference.gt(zero).select(f32(1), reference.add(1)));
    case "hardSwish":
      return dy.mul(hardSwishSlope(reference));
    case "leakyRelu":
      return dy.mul(reference.gt(zero).select(f32(1), k.float("alpha", alpha)));
    case "gelu":
      return dy.mul(geluSlope(k, reference));
    case "abs":
      return dy.mul(reference.gt(zero).select(f32(1), reference.lt(zero).select(constant(-1, "f32"), zero)));
    default:
      return of satisfies never;
  }
}

/** Clamps, whose results are told from their bounds as stored numbers as well. */
const CLAMPS = ["relu", "relu6", "reluN1To1"] as const;

/** The slope where the activation's result is int8: 1 between its bounds, 0 at them. */
function throughStored(k: KernelBuilder, node: Node, of: string, dy: Expr, stored: Expr): Expr {
  const clamp = CLAMPS.find((each) => each === of);
  if (clamp === undefined) throw unsupportedTypes(node);
  const reference = inputOf(node, 1);
  const { low, high } = quantizedBounds(clamp, quantizationOf(node, reference), reference.dtype);
  const above = stored.gt(k.int("low", low));
  // The range's own end is no bound of a plain ReLU.
  return (clamp === "relu" ? above : above.and(stored.lt(k.int("high", high)))).select(dy, zero);
}

function loops(k: KernelBuilder, node: Node): KernelInstance {
  needFloats(node, [1]);
  const attributes = attributesOf<ActivationGradientAttributes>(node);
  const stored = inputOf(node, 1).dtype !== "float32";
  binaryLoops(k, node, (dy, reference) => (stored ? throughStored(k, node, attributes.of, dy, reference) : gradientOf(k, attributes, dy, reference)));
  return k.finish(`activation_gradient_${attributes.of.toLowerCase()}_${realSuffix(node)}`, `Gradient through ${attributes.of}.`);
}

/**
 * dy times an activation's slope. Inputs: dy, and the activation's result, or what it was given where the slope does not
 * follow from the result (see `needsInput`).
 */
export const activationGradient: OpDef = {
  name: "activationGradient",
  infer(inputs) {
    const [dy, reference] = [typeAt("activationGradient", inputs, 0), typeAt("activationGradient", inputs, 1)];
    if (!sameShape(dy.shape, reference.shape)) refuse("activationGradient", "the gradient and its activation differ in shape");
    return [{ dtype: dy.dtype, shape: dy.shape }];
  },
  loops,
  cases: [
    ...[...FROM_RESULT, ...FROM_INPUT].map((of) =>
      makeCase(of, [typed("float32", [3, 7]), { ...typed("float32", [3, 7]), low: -7, high: 7 }], typed("float32", [3, 7]), { of, alpha: 0.1 }),
    ),
    ...CLAMPS.map((of) => makeCase(`${of}, int8`, [typed("float32", [3, 70]), typed("int8", [3, 70], 0.05, -30)], typed("float32", [3, 70]), { of })),
  ],
};

/** True where the slope is computed from what the activation was given, not from its result. */
export function needsInput(of: string): boolean {
  return (FROM_INPUT as readonly string[]).includes(of);
}
