import type { Node } from "../graph/index.ts";
import { type Expr, f32, i32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import {
  activatePlain,
  binaryLoops,
  broadcastOf,
  isQuantizedType,
  makeCase,
  oneType,
  scaleOf,
  typed,
  unaryLoops,
  zeroPointOf,
} from "./elementwise.ts";
import { requantize, roundingShift } from "./fixed.ts";
import { saturatingShift } from "./fixed-point.ts";
import { erfcFloat, expm1Float, tanhFloat } from "./float-math.ts";
import { tableLookup } from "./lookup.ts";
import { attributesOf, inputOf, type OpCase, type OpDef, outputOf, refuse, suffixOf, typeAt, unsupportedTypes } from "./op.ts";
import { type Activation, type Multiplier, quantizationOf, quantizedBounds, quantizeMultiplier, rangeOfDType } from "./quantization.ts";

const f = Math.fround;

/** The output has the input's type and shape. */
export function inferSame(op: string): OpDef["infer"] {
  return (inputs) => {
    const x = typeAt(op, inputs, 0);
    return [{ dtype: x.dtype, shape: x.shape }];
  };
}

function centered(k: KernelBuilder, node: Node, x: Expr): Expr {
  return k.let("centered", x.add(k.int("offset", -zeroPointOf(node, inputOf(node, 0)))));
}

function rescaled(k: KernelBuilder, name: string, x: Expr, factor: Multiplier): Expr {
  return k.call(requantize, x, k.int(`${name}multiplier`, factor.multiplier), k.int(`${name}shift`, factor.shift));
}

/** Adds the zero point and clamps to the type. */
function stored(k: KernelBuilder, node: Node, x: Expr): Expr {
  const { low, high } = rangeOfDType(outputOf(node).dtype);
  return x.add(k.int("zero_point", zeroPointOf(node, outputOf(node)))).clamp(low, high);
}

function reluLoops(name: string, activation: Activation): OpDef["loops"] {
  return (k, node) => {
    const dtype = oneType(node, ["int8", "uint8", "int16", "int32", "float32"]);
    if (isQuantizedType(dtype)) {
      const y = outputOf(node);
      const factor = quantizeMultiplier(scaleOf(node, inputOf(node, 0)) / scaleOf(node, y));
      const { low, high } = quantizedBounds(activation, quantizationOf(node, y), dtype);
      unaryLoops(k, node, (x) =>
        rescaled(k, "", centered(k, node, x), factor)
          .add(k.int("zero_point", zeroPointOf(node, y)))
          .clamp(k.int("low", low), k.int("high", high)),
      );
    } else unaryLoops(k, node, (x) => activatePlain(k, x, activation));
    return k.finish(`${name}_${suffixOf(dtype)}`, "Clamps to a range.");
  };
}

const SHAPE = [3, 50];

function unaryCases(attributes: OpCase["attributes"], types: readonly string[]): OpCase[] {
  const all = [
    makeCase("int8", [typed("int8", SHAPE, 0.06, -7)], typed("int8", SHAPE, 0.07, 3), attributes),
    makeCase("uint8", [typed("uint8", SHAPE, 0.06, 113)], typed("uint8", SHAPE, 0.05, 99), attributes),
    makeCase("int16", [typed("int16", SHAPE, 0.0003)], typed("int16", SHAPE, 0.00021), attributes),
    makeCase("float", [{ ...typed("float32", SHAPE), low: -8, high: 8 }], typed("float32", SHAPE), attributes),
  ];
  return all.filter((example) => types.includes(example.name));
}

const ALL = ["int8", "uint8", "int16", "float"];

export const relu: OpDef = { name: "relu", infer: inferSame("relu"), loops: reluLoops("relu", "relu"), cases: unaryCases({}, ALL) };
export const relu6: OpDef = { name: "relu6", infer: inferSame("relu6"), loops: reluLoops("relu6", "relu6"), cases: unaryCases({}, ALL) };
export const reluN1To1: OpDef = {
  name: "reluN1To1",
  infer: inferSame("reluN1To1"),
  loops: reluLoops("relu_n1_to_1", "reluN1To1"),
  cases: unaryCases({}, ALL),
};

export interface LeakyReluAttributes {
  readonly alpha: number;
}

function leakyReluLoops(k: KernelBuilder, node: Node): KernelInstance {
  const dtype = oneType(node, ["int8", "uint8", "int16", "float32"]);
  const alpha = f(attributesOf<LeakyReluAttributes>(node).alpha);
  if (isQuantizedType(dtype)) {
    // Both factors are formed in single precision.
    const [sx, sy] = [scaleOf(node, inputOf(node, 0)), scaleOf(node, outputOf(node))];
    const keep = quantizeMultiplier(f(sx / sy));
    const leak = quantizeMultiplier(f(f(sx * alpha) / sy));
    unaryLoops(k, node, (x) => {
      const value = centered(k, node, x);
      const multiplier = value.ge(0).select(k.int("multiplier", keep.multiplier), k.int("alpha_multiplier", leak.multiplier));
      const shift = value.ge(0).select(k.int("shift", keep.shift), k.int("alpha_shift", leak.shift));
      return stored(k, node, k.call(requantize, value, multiplier, shift));
    });
  } else unaryLoops(k, node, (x) => x.gt(0).select(x, x.mul(k.float("alpha", alpha))));
  return k.finish(`leaky_relu_${suffixOf(dtype)}`, "x where it is positive, else alpha * x.");
}

export const leakyRelu: OpDef = {
  name: "leakyRelu",
  infer: inferSame("leakyRelu"),
  loops: leakyReluLoops,
  cases: [...unaryCases({ alpha: 0.2 }, ALL), ...unaryCases({ alpha: -1.5 }, ["int8"]).map((c) => ({ ...c, name: "int8, negative alpha" }))],
};

function preluLoops(k: KernelBuilder, node: Node): KernelInstance {
  const [x, alpha, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  const mixed = x.dtype === "int16" && alpha.dtype === "int8";
  if (y.dtype !== x.dtype || (alpha.dtype !== x.dtype && !mixed)) throw unsupportedTypes(node);
  if (x.dtype === "float32") binaryLoops(k, node, (a, b) => a.ge(0).select(a, a.mul(b)));
  else if (x.dtype === "int8" || x.dtype === "uint8" || mixed) {
    const keep = quantizeMultiplier(scaleOf(node, x) / scaleOf(node, y));
    const leak = quantizeMultiplier((scaleOf(node, x) * scaleOf(node, alpha)) / scaleOf(node, y));
    binaryLoops(k, node, (a, b) => {
      const value = centered(k, node, a);
      const product = value.mul(b.add(k.int("alpha_offset", -zeroPointOf(node, alpha))));
      const positive = rescaled(k, "", value, keep);
      return stored(k, node, value.ge(0).select(positive, rescaled(k, "alpha_", product, leak)));
    });
  } else throw unsupportedTypes(node);
  return k.finish(`prelu_${suffixOf(x.dtype)}`, "x where it is positive, else alpha * x with an alpha for each channel.");
}

export const prelu: OpDef = {
  name: "prelu",
  infer(inputs) {
    const [x, alpha] = [typeAt("prelu", inputs, 0), typeAt("prelu", inputs, 1)];
    const shape = broadcastOf("prelu", [x, alpha]);
    if (shape.join() !== x.shape.join()) refuse("prelu", "alpha must broadcast to the input's shape");
    return [{ dtype: x.dtype, shape }];
  },
  loops: preluLoops,
  parameters: [1],
  cases: [
    makeCase(
      "int8",
      [typed("int8", [1, 3, 4, 5], 0.05, -3), { ...typed("int8", [1, 1, 5], 0.01, 5), constant: true }],
      typed("int8", [1, 3, 4, 5], 0.06, 7),
    ),
    makeCase(
      "uint8",
      [typed("uint8", [3, 4, 5], 0.05, 130), { ...typed("uint8", [4, 1], 0.01, 5), constant: true }],
      typed("uint8", [3, 4, 5], 0.06, 70),
    ),
    makeCase("int16", [typed("int16", [3, 4, 5], 0.001), { ...typed("int8", [5], 0.01, 0), constant: true }], typed("int16", [3, 4, 5], 0.0012)),
    makeCase("float", [typed("float32", [3, 4, 5]), { ...typed("float32", [5]), constant: true }], typed("float32", [3, 4, 5])),
  ],
};

/** A 31-bit multiplier as 15 bits; the largest saturates. */
function shortMultiplier(multiplier: number): number {
  return multiplier >= 2 ** 31 - 2 ** 15 ? 32767 : (multiplier + (1 << 15)) >> 16;
}

/** Product of two Q15 numbers, rounded to nearest. */
function highMul16(a: Expr, b: Expr): Expr {
  const product = a.mul(b);
  // Truncation after adding ±half; the halves differ by one so that ties go up.
  return product
    .ge(0)
    .select(product.add(1 << 14), product.add(1 - (1 << 14)))
    .div(1 << 15)
    .min(32767);
}

function clamp16(x: Expr): Expr {
  return x.clamp(-32768, 32767);
}

function hardSwishStored(k: KernelBuilder, node: Node, x: Expr): Expr {
  // The input on a scale 128 times finer, from which both factors of x · relu6(x + 3) / 6 come.
  const fine = f((1 / 128) * scaleOf(node, inputOf(node, 0)));
  const output = quantizeMultiplier(f(fine / scaleOf(node, outputOf(node))));
  const gate = quantizeMultiplier(f(fine / f(3 / 32768)));
  const input = k.let("input", centered(k, node, x).mul(128).shl(16).shr(16));
  const onOutput = k.let("on_output", highMul16(input, k.int("output_multiplier", shortMultiplier(output.multiplier))));
  const gateShift = k.int("gate_shift", gate.shift);
  const grown = k.let("grown", clamp16(k.call(saturatingShift, input, gateShift.sub(1).max(0))));
  const product = k.let("product", highMul16(grown, k.int("gate_multiplier", shortMultiplier(gate.multiplier))));
  const doubled = gateShift.gt(0).select(clamp16(product.mul(2)), product);
  const gated = k.let("gated", k.call(roundingShift, doubled, i32(0).sub(gateShift).max(0)));
  // From [−1, 1] to [0, 1].
  const share = k.let("share", gated.add(32768).shr(1));
  const result = k.let("result", share.mul(onOutput).div(32768));
  return stored(k, node, k.call(roundingShift, result, k.int("output_shift", Math.max(0, -output.shift))));
}

function hardSwishLoops(k: KernelBuilder, node: Node): KernelInstance {
  const dtype = oneType(node, ["int8", "uint8", "float32"]);
  unaryLoops(k, node, (x) => (dtype === "float32" ? x.mul(x.add(3).max(0).min(6)).div(6) : hardSwishStored(k, node, x)));
  return k.finish(`hard_swish_${suffixOf(dtype)}`, "x * min(6, max(0, x + 3)) / 6.");
}

export const hardSwish: OpDef = {
  name: "hardSwish",
  infer: inferSame("hardSwish"),
  loops: hardSwishLoops,
  cases: [
    ...unaryCases({}, ["int8", "uint8", "float"]),
    makeCase("int8 of a wide range", [typed("int8", SHAPE, 0.7, -7)], typed("int8", SHAPE, 0.6, -100)),
    makeCase("int8 of a narrow range", [typed("int8", SHAPE, 0.004, 2)], typed("int8", SHAPE, 0.002, -1)),
  ],
};

const eluReal = (x: number): number => (x < 0 ? f(f(Math.exp(x)) - 1) : x);

function eluLoops(k: KernelBuilder, node: Node): KernelInstance {
  const dtype = oneType(node, ["int8", "uint8", "float32"]);
  const table = dtype === "float32" ? undefined : tableLookup(k, node, eluReal);
  unaryLoops(k, node, (x) => table?.(x) ?? x.lt(0).select(k.call(expm1Float, x), x));
  return k.finish(`elu_${suffixOf(dtype)}`, "x where it is positive, else e^x - 1.");
}

export const elu: OpDef = { name: "elu", infer: inferSame("elu"), loops: eluLoops, cases: unaryCases({}, ["int8", "uint8", "float"]) };

export interface GeluAttributes {
  readonly approximate: boolean;
}

/** erfc in double precision: a power series below 3, a continued fraction above. */
function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  if (x >= 3) {
    let fraction = 0;
    for (let n = 60; n >= 1; n--) fraction = n / 2 / (x + fraction);
    return Math.exp(-x * x) / (Math.sqrt(Math.PI) * (x + fraction));
  }
  let term = x;
  let sum = x;
  for (let n = 1; n < 80; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return 1 - (2 / Math.sqrt(Math.PI)) * sum;
}

const SQRT_2_OVER_PI = f(Math.sqrt(2 / Math.PI));

function geluReal(approximate: boolean): (x: number) => number {
  if (!approximate) return (x) => f(f(0.5 * x) * f(erfc(f(x * f(-Math.SQRT1_2)))));
  return (x) => {
    const cubic = f(f(f(f(0.044715) * x) * x) * x);
    return f(f(0.5 * x) * f(1 + f(Math.tanh(f(SQRT_2_OVER_PI * f(x + cubic))))));
  };
}

function geluLoops(k: KernelBuilder, node: Node): KernelInstance {
  const dtype = oneType(node, ["int8", "uint8", "int16", "float32"]);
  const { approximate } = attributesOf<GeluAttributes>(node);
  const table = dtype === "float32" ? undefined : tableLookup(k, node, geluReal(approximate));
  unaryLoops(k, node, (x) => {
    if (table !== undefined) return table(x);
    if (!approximate) return x.mul(0.5).mul(k.call(erfcFloat, x.mul(-Math.SQRT1_2)));
    const inner = x.add(x.mul(0.044715).mul(x).mul(x)).mul(SQRT_2_OVER_PI);
    return x.mul(0.5).mul(f32(1).add(k.call(tanhFloat, inner)));
  });
  return k.finish(`gelu_${suffixOf(dtype)}`, "x times the normal distribution function of x.");
}

export const gelu: OpDef = {
  name: "gelu",
  infer: inferSame("gelu"),
  loops: geluLoops,
  cases: [
    ...unaryCases({ approximate: false }, ALL),
    ...unaryCases({ approximate: true }, ["int8", "float"]).map((c) => ({ ...c, name: `${c.name}, approximate` })),
  ],
};
