import { elementCount, sameShape } from "../base/index.ts";
import type { Node } from "../graph/index.ts";
import { type Expr, f32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { binaryLoops, makeCase, oneType, typed, unaryLoops } from "./elementwise.ts";
import { attributesOf, inputOf, type OpDef, refuse, typeAt } from "./op.ts";
import { rangeOfDType } from "./quantization.ts";
import { roundAwayFloat } from "./round.ts";

/** The integer type and scale that a tensor is to have once it is quantized. */
export interface FakeQuantizeAttributes {
  readonly dtype: "int8" | "int16";
  readonly scale: number;
  readonly zeroPoint: number;
}

/** Multiples of the scale that the type can store. */
function stepsOf(node: Node): { scale: number; low: number; high: number } {
  const { dtype, scale, zeroPoint } = attributesOf<FakeQuantizeAttributes>(node);
  const { low, high } = rangeOfDType(dtype);
  return { scale: Math.fround(scale), low: low - zeroPoint, high: high - zeroPoint };
}

/** `x` between two bounds; not a number stays what it is, so that it is found. */
function bounded(x: Expr, low: Expr, high: Expr): Expr {
  return x.lt(low).select(low, x.gt(high).select(high, x));
}

function fakeQuantizeLoops(k: KernelBuilder, node: Node): KernelInstance {
  oneType(node, ["float32"]);
  const steps = stepsOf(node);
  const [scale, low, high] = [k.float("scale", steps.scale), k.float("low", steps.low), k.float("high", steps.high)];
  unaryLoops(k, node, (x) => bounded(k.let("step", k.call(roundAwayFloat, x.div(scale))), low, high).mul(scale));
  return k.finish("fake_quantize_f32", "The nearest numbers that the integer type can store.");
}

const CASES: readonly FakeQuantizeAttributes[] = [
  { dtype: "int8", scale: 0.01, zeroPoint: -17 },
  { dtype: "int16", scale: 0.0001, zeroPoint: 0 },
];

function sameType(op: string, inputs: Parameters<OpDef["infer"]>[0]): ReturnType<OpDef["infer"]> {
  const { dtype, shape } = typeAt(op, inputs, 0);
  return [{ dtype, shape }];
}

/**
 * Quantized and dequantized again, in floating point (Jacob et al., CVPR 2018): scale · (clamp(round(x / scale) + zero point) − zero
 * point), ties away from zero. Its gradient is straight-through: that of the identity inside the range, 0 outside.
 */
export const fakeQuantize: OpDef = {
  name: "fakeQuantize",
  infer: (inputs) => sameType("fakeQuantize", inputs),
  loops: fakeQuantizeLoops,
  cases: CASES.map((each) => makeCase(each.dtype, [{ ...typed("float32", [3, 7]), low: -4, high: 4 }], typed("float32", [3, 7]), { ...each })),
};

function gradientLoops(k: KernelBuilder, node: Node): KernelInstance {
  oneType(node, ["float32"]);
  const { scale, low, high } = stepsOf(node);
  const [least, most] = [k.float("least", low * scale), k.float("most", high * scale)];
  binaryLoops(k, node, (dy, x) => x.ge(least).and(x.le(most)).select(dy, f32(0)));
  return k.finish("fake_quantize_gradient_f32", "The gradient where the range held the number, 0 elsewhere.");
}

/** The straight-through gradient of `fakeQuantize`. Inputs: dy, and what was quantized. */
export const fakeQuantizeGradient: OpDef = {
  name: "fakeQuantizeGradient",
  infer(inputs) {
    const [dy, x] = [typeAt("fakeQuantizeGradient", inputs, 0), typeAt("fakeQuantizeGradient", inputs, 1)];
    if (!sameShape(dy.shape, x.shape)) refuse("fakeQuantizeGradient", "the gradient and what was quantized differ in shape");
    return sameType("fakeQuantizeGradient", inputs);
  },
  loops: gradientLoops,
  cases: CASES.map((each) =>
    makeCase(each.dtype, [typed("float32", [3, 7]), { ...typed("float32", [3, 7]), low: -4, high: 4 }], typed("float32", [3, 7]), { ...each }),
  ),
};

export interface FakeQuantizeWeightsAttributes {
  /** The largest stored number: 127 with 8 bits, 7 with 4. */
  readonly limit: number;
  /** The dimension of the output channels, each with its own scale; one scale for all where absent. */
  readonly axis?: number;
}

function weightLoops(k: KernelBuilder, node: Node): KernelInstance {
  oneType(node, ["float32"]);
  const { limit, axis } = attributesOf<FakeQuantizeWeightsAttributes>(node);
  const { shape } = inputOf(node, 0);
  const [outer, channels, inner] =
    axis === undefined ? [1, 1, elementCount(shape)] : [elementCount(shape.slice(0, axis)), shape[axis]!, elementCount(shape.slice(axis + 1))];
  const [w, y] = [k.input(0, "w"), k.output(0, "y")];
  const [size, step, span] = [k.int("inner", inner), k.int("step", channels * inner), k.int("outer", outer)];
  k.for("c", 0, k.int("channels", channels), (c) => {
    const first = k.let("first", c.mul(size));
    const each = (body: (at: Expr) => void): void =>
      k.for("o", 0, span, (o) => k.for("i", 0, size, (i) => body(k.let("at", first.add(o.mul(step)).add(i)))));
    const most = k.variable("most", f32(0));
    each((at) => {
      const value = k.let("magnitude", w.load(at).abs());
      most.set(value.gt(most.get()).select(value, most.get()));
    });
    const scale = k.let(
      "scale",
      most
        .get()
        .gt(f32(0))
        .select(most.get().div(k.float("limit", limit)), f32(1)),
    );
    each((at) => y.store(at, k.call(roundAwayFloat, w.load(at).div(scale)).mul(scale)));
  });
  return k.finish("fake_quantize_weights_f32", "The nearest multiples of each channel's scale.");
}

/**
 * Weights as they will be once quantized: symmetric, with the scale largest magnitude / limit of each output channel, which follows the
 * weights while they train. Nothing is outside of the range, so the straight-through gradient is dy itself.
 */
export const fakeQuantizeWeights: OpDef = {
  name: "fakeQuantizeWeights",
  infer: (inputs) => sameType("fakeQuantizeWeights", inputs),
  loops: weightLoops,
  parameters: [0],
  cases: [
    makeCase("8 bits, channels first", [typed("float32", [3, 2, 2, 5])], typed("float32", [3, 2, 2, 5]), { limit: 127, axis: 0 }),
    makeCase("4 bits, channels last", [typed("float32", [1, 3, 3, 5])], typed("float32", [1, 3, 3, 5]), { limit: 7, axis: 3 }),
    makeCase("8 bits, one scale", [typed("float32", [4, 6])], typed("float32", [4, 6]), { limit: 127 }),
  ],
};
