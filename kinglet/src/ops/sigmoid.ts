import type { Node } from "../graph/index.ts";
import { type Buffer, type Expr, type Func, i32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { makeCase, oneType, scaleOf, typed, unaryLoops, zeroPointOf } from "./elementwise.ts";
import { requantize, roundingShift } from "./fixed.ts";
import { logisticFixed, tanhFixed } from "./fixed-point.ts";
import { logisticFloat, tanhFloat } from "./float-math.ts";
import { tableLookup } from "./lookup.ts";
import { inputOf, type OpCase, type OpDef, suffixOf, typeAt } from "./op.ts";
import { quantizeMultiplier } from "./quantization.ts";
import { shortLogistic, shortTanh, sigmoidTable } from "./sigmoid-table.ts";

/** Logistic and tanh: fixed point for int8, a shared table for int16. */
interface Sigmoid {
  readonly name: "logistic" | "tanh";
  readonly float: Func;
  readonly fixed: Func;
  /** What the fixed-point result is shifted right by, and what is added then. */
  readonly drop: number;
  readonly zeroPoint: number;
  readonly real: (x: number) => number;
  readonly short: (k: KernelBuilder, table: Buffer, x: Expr) => Expr;
}

/** The largest difference from the zero point that stays below 2^bits in Q(bits) after the shift. */
export function inputRadius(integerBits: number, leftShift: number): number {
  return Math.floor(((2 ** integerBits - 1) * 2 ** (31 - integerBits)) / 2 ** leftShift);
}

function byteElement(k: KernelBuilder, node: Node, rule: Sigmoid, x: Expr): Expr {
  const factor = quantizeMultiplier(scaleOf(node, inputOf(node, 0)) * 2 ** 27);
  const limit = inputRadius(4, factor.shift);
  const radius = k.int("radius", limit);
  const value = k.let("centered", x.add(k.int("offset", -zeroPointOf(node, inputOf(node, 0)))));
  // Beyond the radius the result is a bound, whatever the clamped argument gives.
  const bounded = k.let("bounded", value.clamp(i32(0).sub(radius), radius));
  const q4 = k.call(requantize, bounded, k.int("multiplier", factor.multiplier), k.int("shift", factor.shift));
  const result = k.call(roundingShift, k.call(rule.fixed, q4), rule.drop);
  const stored = k.let("stored", result.add(rule.zeroPoint).clamp(-128, 127));
  return value.le(i32(0).sub(radius)).select(i32(-128), value.ge(radius).select(i32(127), stored));
}

/** Multiplier and right shift that bring an int16 input to steps of 1 / (3 · 4096), where the table's knots lie. */
function shortInputScale(scale: number, largestPower: number): { multiplier: number; shift: number } {
  const exponent = Math.log2(scale);
  const left = 12 + Math.round(exponent);
  if (Math.abs(exponent - Math.round(exponent)) < 1e-3 && left >= 0 && left <= largestPower) return { multiplier: 3 * 2 ** left, shift: 0 };
  let multiplier = scale * 4096 * 3;
  let shift = 0;
  while (multiplier <= 32767 / 2 && shift <= 30) {
    shift++;
    multiplier *= 2;
  }
  return { multiplier: Math.trunc(multiplier), shift };
}

function shortElement(k: KernelBuilder, node: Node, rule: Sigmoid): (x: Expr) => Expr {
  const table = k.constant("sigmoid", "u16", sigmoidTable());
  const { multiplier, shift } = shortInputScale(scaleOf(node, inputOf(node, 0)), rule.name === "tanh" ? 1 : 0);
  return (x) => {
    const product = x.mul(k.int("multiplier", multiplier)).wrapAdd(k.int("half", shift > 0 ? 2 ** (shift - 1) : 0));
    return rule.short(k, table, k.let("scaled", product.shr(k.int("shift", shift))));
  };
}

function sigmoidLoops(rule: Sigmoid): OpDef["loops"] {
  return (k: KernelBuilder, node: Node): KernelInstance => {
    const dtype = oneType(node, ["int8", "uint8", "int16", "float32"]);
    const shorts = dtype === "int16" ? shortElement(k, node, rule) : undefined;
    const bytes = dtype === "uint8" ? tableLookup(k, node, rule.real) : undefined;
    unaryLoops(k, node, (x) => shorts?.(x) ?? bytes?.(x) ?? (dtype === "int8" ? byteElement(k, node, rule, x) : k.call(rule.float, x)));
    return k.finish(`${rule.name}_${suffixOf(dtype)}`, rule.float.doc);
  };
}

function sigmoidCases(scale: number, zeroPoint: number): OpCase[] {
  const shape = [4, 40];
  return [
    makeCase("int8", [typed("int8", shape, 0.06, 3)], typed("int8", shape, scale, zeroPoint)),
    makeCase("int8 of a wide range", [typed("int8", shape, 0.3, -20)], typed("int8", shape, scale, zeroPoint)),
    makeCase("uint8", [typed("uint8", shape, 0.06, 120)], typed("uint8", shape, scale, zeroPoint + 128)),
    makeCase("int16 of a power of two", [typed("int16", shape, 2 ** -12)], typed("int16", shape, 2 ** -15)),
    makeCase("int16", [typed("int16", shape, 0.0004)], typed("int16", shape, 2 ** -15)),
    makeCase("float", [{ ...typed("float32", shape), low: -20, high: 20 }], typed("float32", shape)),
  ];
}

const f = Math.fround;

function sigmoid(rule: Sigmoid, cases: OpCase[]): OpDef {
  return {
    name: rule.name,
    infer(inputs) {
      const x = typeAt(rule.name, inputs, 0);
      return [{ dtype: x.dtype, shape: x.shape }];
    },
    loops: sigmoidLoops(rule),
    cases,
  };
}

export const logistic = sigmoid(
  {
    name: "logistic",
    float: logisticFloat,
    fixed: logisticFixed,
    drop: 23,
    zeroPoint: -128,
    short: shortLogistic,
    real: (x) => f(1 / f(1 + f(Math.exp(-x)))),
  },
  sigmoidCases(1 / 256, -128),
);

export const tanh = sigmoid(
  {
    name: "tanh",
    float: tanhFloat,
    fixed: tanhFixed,
    drop: 24,
    zeroPoint: 0,
    short: shortTanh,
    real: (x) => f(Math.tanh(x)),
  },
  sigmoidCases(1 / 128, 0),
);
