import type { Node, ValueType } from "../graph/index.ts";
import { constant, type Expr, i32, intrinsic, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import {
  activatePlain,
  binaryLoops,
  binaryTypes,
  broadcastOf,
  eachElement,
  isQuantizedType,
  makeCase,
  oneType,
  scaleOf,
  typed,
  zeroPointOf,
} from "./elementwise.ts";
import { requantize, roundingShift } from "./fixed.ts";
import { reciprocalMantissa } from "./fixed-point.ts";
import { attributesOf, badNode, inputOf, type OpCase, type OpDef, outputOf, refuse, suffixOf, typeAt } from "./op.ts";
import { type Activation, type Multiplier, quantizationOf, quantizedBounds, quantizeMultiplier } from "./quantization.ts";

export interface FusedAttributes {
  readonly activation: Activation;
}

const f = Math.fround;

function activationOf(node: Node): Activation {
  return attributesOf<Partial<FusedAttributes>>(node).activation ?? "none";
}

/** Adds the output's zero point and clamps to the fused activation's bounds. */
function finishStored(k: KernelBuilder, node: Node, x: Expr): Expr {
  const y = outputOf(node);
  const activation = activationOf(node);
  if (activation === "tanh") throw badNode(node, "has a fused tanh, which integer kernels do not have");
  const { low, high } = quantizedBounds(activation, quantizationOf(node, y), y.dtype);
  return x.add(k.int("zero_point", zeroPointOf(node, y))).clamp(k.int("low", low), k.int("high", high));
}

function scaled(k: KernelBuilder, name: string, x: Expr, factor: Multiplier): Expr {
  return k.call(requantize, x, k.int(`${name}_multiplier`, factor.multiplier), k.int(`${name}_shift`, factor.shift));
}

/** Factors that bring two operands to one scale and the result to the output's. */
export interface CommonScale {
  readonly bits: number;
  readonly a: Multiplier;
  readonly b: Multiplier;
  readonly y: Multiplier;
}

/** Twice the larger scale is the common one, 2^bits finer. */
export function commonScale(node: Node): CommonScale {
  const [sa, sb, sy] = [scaleOf(node, inputOf(node, 0)), scaleOf(node, inputOf(node, 1)), scaleOf(node, outputOf(node))];
  const bits = outputOf(node).dtype === "int16" ? 15 : 20;
  const twice = 2 * Math.max(sa, sb);
  return { bits, a: quantizeMultiplier(sa / twice), b: quantizeMultiplier(sb / twice), y: quantizeMultiplier(twice / (2 ** bits * sy)) };
}

/** An operand on the common scale. */
function aligned(k: KernelBuilder, node: Node, index: number, x: Expr, factor: Multiplier, bits: Expr): Expr {
  const name = index === 0 ? "a" : "b";
  const offset = k.int(`${name}_offset`, -zeroPointOf(node, inputOf(node, index)));
  return k.let(`${name}_scaled`, scaled(k, name, x.add(offset).shl(bits), factor));
}

type Combine = (a: Expr, b: Expr) => Expr;

function sumLoops(name: string, plain: Combine): OpDef["loops"] {
  return (k, node) => {
    const dtype = oneType(node, ["int8", "uint8", "int16", "int32", "int64", "float32"]);
    if (isQuantizedType(dtype)) {
      const common = commonScale(node);
      binaryLoops(k, node, (a, b) => {
        const bits = k.int("left_shift", common.bits);
        const sum = plain(aligned(k, node, 0, a, common.a, bits), aligned(k, node, 1, b, common.b, bits));
        return finishStored(k, node, scaled(k, "y", k.let("sum", sum), common.y));
      });
    } else binaryLoops(k, node, (a, b) => activatePlain(k, plain(a, b), activationOf(node)));
    return k.finish(`${name}_${suffixOf(dtype)}`, `Element by element ${name}, with broadcasting.`);
  };
}

const plainAdd: Combine = (a, b) => (a.type === "f32" ? a.add(b) : a.wrapAdd(b));
const plainSub: Combine = (a, b) => (a.type === "f32" ? a.sub(b) : a.wrapSub(b));
const plainMul: Combine = (a, b) => (a.type === "f32" ? a.mul(b) : a.wrapMul(b));

function mulLoops(k: KernelBuilder, node: Node): KernelInstance {
  const dtype = oneType(node, ["int8", "uint8", "int16", "int32", "int64", "float32"]);
  if (isQuantizedType(dtype)) {
    const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
    const factor = quantizeMultiplier((scaleOf(node, a) * scaleOf(node, b)) / scaleOf(node, outputOf(node)));
    binaryLoops(k, node, (left, right) => {
      const product = left.add(k.int("a_offset", -zeroPointOf(node, a))).mul(right.add(k.int("b_offset", -zeroPointOf(node, b))));
      return finishStored(k, node, scaled(k, "y", product, factor));
    });
  } else binaryLoops(k, node, (a, b) => activatePlain(k, plainMul(a, b), activationOf(node)));
  return k.finish(`mul_${suffixOf(dtype)}`, "Element by element product, with broadcasting.");
}

/** Truncating division that gives 0 for a divisor of 0 and wraps where the quotient does not fit. */
export function safeDivide(a: Expr, b: Expr): Expr {
  const simple = b.eq(0).or(b.eq(-1));
  const quotient = a.div(simple.select(constant(1, a.type), b));
  return b.eq(0).select(constant(0, a.type), b.eq(-1).select(constant(0, a.type).wrapSub(a), quotient));
}

/** a / b of stored numbers through a fixed-point reciprocal; a divisor of zero counts as 1. */
function divideStored(k: KernelBuilder, node: Node, factor: Multiplier, left: Expr, right: Expr): Expr {
  const a = k.let("a_value", left.add(k.int("a_offset", -zeroPointOf(node, inputOf(node, 0)))));
  const b = k.let("b_value", right.add(k.int("b_offset", -zeroPointOf(node, inputOf(node, 1)))));
  const numerator = k.let("numerator", b.lt(0).select(i32(0).sub(a), a));
  const divisor = k.let("divisor", b.abs().max(1));
  const reciprocal = k.let("reciprocal", k.call(reciprocalMantissa, divisor));
  const headroom = k.let("headroom", numerator.xor(numerator.shr(31)).clz().sub(1));
  const quotient = k.let("quotient", intrinsic("roundingHighMul", numerator.shl(headroom), reciprocal));
  const shift = k.int("y_shift", factor.shift).sub(i32(31).sub(divisor.clz())).sub(headroom);
  const high = intrinsic("roundingHighMul", quotient, k.int("y_multiplier", factor.multiplier));
  return k.call(roundingShift, high, i32(0).sub(shift).clamp(0, 31));
}

function divLoops(k: KernelBuilder, node: Node): KernelInstance {
  const dtype = oneType(node, ["int8", "uint8", "int32", "int64", "float32"]);
  if (isQuantizedType(dtype)) {
    const scales = [inputOf(node, 0), inputOf(node, 1), outputOf(node)].map((value) => scaleOf(node, value)) as [number, number, number];
    const factor = quantizeMultiplier(f(scales[0] / f(scales[1] * scales[2])));
    binaryLoops(k, node, (a, b) => finishStored(k, node, divideStored(k, node, factor, a, b)));
  } else {
    const plain: Combine = (a, b) => (a.type === "f32" ? a.div(b) : safeDivide(a, b));
    binaryLoops(k, node, (a, b) => activatePlain(k, plain(a, b), activationOf(node)));
  }
  return k.finish(`div_${suffixOf(dtype)}`, "Element by element quotient, with broadcasting.");
}

function squaredDifferenceLoops(k: KernelBuilder, node: Node): KernelInstance {
  const dtype = oneType(node, ["int8", "uint8", "int16", "int32", "int64", "float32"]);
  if (isQuantizedType(dtype)) {
    const [sa, sb, sy] = [scaleOf(node, inputOf(node, 0)), scaleOf(node, inputOf(node, 1)), scaleOf(node, outputOf(node))];
    // 7 more bits are what a square of 8-bit differences has room for in 32 bits.
    const bits = dtype === "int16" ? 0 : 7;
    const twice = 2 * Math.max(sa, sb);
    const [fa, fb, fy] = [sa / twice, sb / twice, (twice * twice) / (2 ** (2 * bits) * sy)].map(quantizeMultiplier) as [
      Multiplier,
      Multiplier,
      Multiplier,
    ];
    binaryLoops(k, node, (a, b) => {
      const left = k.int("left_shift", bits);
      const difference = k.let("difference", aligned(k, node, 0, a, fa, left).sub(aligned(k, node, 1, b, fb, left)));
      return finishStored(k, node, scaled(k, "y", difference.mul(difference), fy));
    });
  } else {
    binaryLoops(k, node, (a, b) => {
      const difference = k.let("difference", plainSub(a, b));
      return plainMul(difference, difference);
    });
  }
  return k.finish(`squared_difference_${suffixOf(dtype)}`, "(a - b)^2 element by element, with broadcasting.");
}

/** All operands of a quantized sum have one scale. */
function addNLoops(k: KernelBuilder, node: Node): KernelInstance {
  const dtype = oneType(node, ["int8", "uint8", "int32", "int64", "float32"]);
  const inputs = node.inputs.map((_, i) => k.input(i, `x${i}`));
  const output = k.output(0, "y");
  if (isQuantizedType(dtype)) {
    const x = inputOf(node, 0);
    const bits = 20;
    const one = quantizeMultiplier(0.5);
    const factor = quantizeMultiplier((2 * scaleOf(node, x)) / (2 ** bits * scaleOf(node, outputOf(node))));
    eachElement(k, x.shape, (i) => {
      const terms = inputs.map((input) =>
        scaled(
          k,
          "x",
          input
            .load(i)
            .add(k.int("x_offset", -zeroPointOf(node, x)))
            .shl(k.int("left_shift", bits)),
          one,
        ),
      );
      output.store(
        i,
        finishStored(
          k,
          node,
          scaled(
            k,
            "y",
            k.let(
              "sum",
              terms.reduce((a, b) => a.wrapAdd(b)),
            ),
            factor,
          ),
        ),
      );
    });
  } else eachElement(k, inputOf(node, 0).shape, (i) => output.store(i, inputs.map((input) => input.load(i)).reduce(plainAdd)));
  return k.finish(`add_n_${inputs.length}_${suffixOf(dtype)}`, `Sum of ${inputs.length} tensors.`);
}

/** Shape rule of a binary operator whose result has its operands' type. */
export function inferBinary(op: string): OpDef["infer"] {
  return (inputs) => {
    const [a, b] = binaryTypes(op, inputs);
    return [{ dtype: a.dtype, shape: broadcastOf(op, [a, b]) }];
  };
}

const FLOATS: ValueType[] = [typed("float32", [2, 3, 4]), typed("float32", [3, 1])];

function fusedCases(outputScale: number): OpCase[] {
  return [
    makeCase("int8", [typed("int8", [2, 3, 4], 0.05, -3), typed("int8", [2, 3, 4], 0.03, 7)], typed("int8", [2, 3, 4], outputScale, 5), {
      activation: "none",
    }),
    makeCase(
      "int8 broadcast, relu",
      [typed("int8", [2, 3, 4], 0.05, -3), typed("int8", [3, 1], 0.07, 7)],
      typed("int8", [2, 3, 4], outputScale, -20),
      { activation: "relu" },
    ),
    makeCase(
      "uint8 by a scalar, relu6",
      [typed("uint8", [5, 3], 0.05, 120), typed("uint8", [1], 0.04, 2)],
      typed("uint8", [5, 3], outputScale, 100),
      { activation: "relu6" },
    ),
    makeCase("int16", [typed("int16", [1, 9], 0.001), typed("int16", [2, 1], 0.0007)], typed("int16", [2, 9], outputScale * 0.02), {
      activation: "none",
    }),
    makeCase("int32", [typed("int32", [2, 3]), typed("int32", [3])], typed("int32", [2, 3]), { activation: "relu" }),
    makeCase("int64", [typed("int64", [2, 3]), typed("int64", [3])], typed("int64", [2, 3]), { activation: "none" }),
    makeCase("float", FLOATS, typed("float32", [2, 3, 4]), { activation: "reluN1To1" }),
  ];
}

export const add: OpDef = { name: "add", infer: inferBinary("add"), loops: sumLoops("add", plainAdd), cases: fusedCases(0.08) };
export const sub: OpDef = { name: "sub", infer: inferBinary("sub"), loops: sumLoops("sub", plainSub), cases: fusedCases(0.08) };
export const mul: OpDef = { name: "mul", infer: inferBinary("mul"), loops: mulLoops, cases: fusedCases(0.2) };
export const squaredDifference: OpDef = {
  name: "squaredDifference",
  infer: inferBinary("squaredDifference"),
  loops: squaredDifferenceLoops,
  cases: fusedCases(0.5).map(({ attributes: _, ...rest }) => ({ ...rest, attributes: {} })),
};

export const div: OpDef = {
  name: "div",
  infer: inferBinary("div"),
  loops: divLoops,
  cases: [
    makeCase("int8", [typed("int8", [4, 5], 0.05, -3), { ...typed("int8", [4, 5], 0.03, -10), low: -9, high: 127 }], typed("int8", [4, 5], 0.2, 5), {
      activation: "none",
    }),
    makeCase(
      "int8 by negative numbers",
      [typed("int8", [4, 5], 0.05, -3), { ...typed("int8", [5], 0.03, 0), low: -128, high: -1 }],
      typed("int8", [4, 5], 0.02, 5),
      { activation: "relu" },
    ),
    makeCase(
      "uint8",
      [typed("uint8", [4, 5], 0.05, 30), { ...typed("uint8", [4, 1], 0.03, 2), low: 3, high: 255 }],
      typed("uint8", [4, 5], 0.1, 50),
      { activation: "none" },
    ),
    makeCase("int32, also by zero", [typed("int32", [2, 30]), { ...typed("int32", [30]), low: -4, high: 4 }], typed("int32", [2, 30]), {
      activation: "none",
    }),
    makeCase("float", [FLOATS[0]!, { ...FLOATS[1]!, low: 0.5, high: 3 }], typed("float32", [2, 3, 4]), { activation: "relu6" }),
  ],
};

export const addN: OpDef = {
  name: "addN",
  infer(inputs) {
    const first = typeAt("addN", inputs, 0);
    inputs.forEach((_, i) => {
      const type = typeAt("addN", inputs, i);
      if (type.dtype !== first.dtype || type.shape.join() !== first.shape.join()) refuse("addN", "all inputs must have one shape and element type");
    });
    return [{ dtype: first.dtype, shape: first.shape }];
  },
  loops: addNLoops,
  cases: [
    makeCase(
      "three int8",
      [0, 1, 2].map(() => typed("int8", [3, 5], 0.05, -3)),
      typed("int8", [3, 5], 0.11, 4),
    ),
    makeCase(
      "four floats",
      [0, 1, 2, 3].map(() => typed("float32", [3, 5])),
      typed("float32", [3, 5]),
    ),
  ],
};
