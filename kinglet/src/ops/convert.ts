import type { DType } from "../base/index.ts";
import type { Node } from "../graph/index.ts";
import type { Expr, KernelBuilder, KernelInstance } from "../loops/index.ts";
import { makeCase, scaleOf, typed, unaryLoops, zeroPointOf } from "./elementwise.ts";
import { requantize, unsignedWide } from "./fixed.ts";
import { attributesOf, inputOf, type OpDef, outputOf, suffixOf, typeAt, unsupportedTypes } from "./op.ts";
import { quantizeMultiplier, rangeOfDType } from "./quantization.ts";
import { roundAwayFloat } from "./round.ts";

const CASTS: readonly DType[] = ["float32", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool"];

/** Bounds that are floats: the largest below 2^31 and 2^63 for the wide types. */
function floatRange(dtype: DType): { low: number; high: number } {
  if (dtype === "int64") return { low: -(2 ** 63), high: 2 ** 63 - 2 ** 39 };
  // Floats from 2^63 on would need unsigned numbers of 64 bits, which the loop language does not have.
  if (dtype === "uint64") return { low: 0, high: 2 ** 63 - 2 ** 39 };
  if (dtype === "uint32") return { low: 0, high: 2 ** 32 - 256 };
  return dtype === "int32" ? { low: -(2 ** 31), high: 2 ** 31 - 128 } : rangeOfDType(dtype);
}

/** From 2^63 on half the number is converted; its last bit keeps what the rounding needs. */
function unsignedFloat(value: Expr): Expr {
  return value.lt(0).select(value.shru(1).or(value.and(1)).to("f32").mul(2), value.to("f32"));
}

function castLoops(k: KernelBuilder, node: Node): KernelInstance {
  const [x, y] = [inputOf(node, 0).dtype, outputOf(node).dtype];
  if (!CASTS.includes(x) || !CASTS.includes(y)) throw unsupportedTypes(node);
  const { low, high } = floatRange(y);
  const target = y === "float32" ? "f32" : y === "int64" || y === "uint64" ? "i64" : "i32";
  unaryLoops(k, node, (stored) => {
    // The upper half of uint32 has no place in 32 signed bits.
    const value = x === "uint32" ? unsignedWide(stored) : stored;
    if (y === "bool") return value.ne(0);
    if (x === "uint64" && y === "float32") return unsignedFloat(value);
    if (x !== "float32" || y === "float32") return value.to(target);
    const bounded = value.clamp(low, high);
    return y === "uint32" ? bounded.to("i64").to("i32") : bounded.to(target);
  });
  return k.finish(`cast_${suffixOf(x)}_${suffixOf(y)}`, "Changes the element type; floats are truncated and clamped, wide integers wrap.");
}

export const cast: OpDef = {
  name: "cast",
  infer: (inputs, attributes) => [{ dtype: attributesOf<{ dtype: DType }>({ attributes }).dtype, shape: typeAt("cast", inputs, 0).shape }],
  loops: castLoops,
  cases: CASTS.flatMap((from) =>
    CASTS.filter((to) => to !== from).map((to) =>
      makeCase(`${from} to ${to}`, [from === "float32" ? { ...typed(from, [2, 7]), low: -300, high: 300 } : typed(from, [2, 7])], typed(to, [2, 7]), {
        dtype: to,
      }),
    ),
  ),
};

const INTEGERS: readonly DType[] = ["int8", "uint8", "int16", "int32"];

export interface QuantizeAttributes {
  readonly dtype?: DType;
  /** Where a float lies in the middle between two steps: away from zero as TensorFlow Lite has it, or to the even one as ONNX has it. */
  readonly ties?: "even";
}

function quantizeLoops(k: KernelBuilder, node: Node): KernelInstance {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const even = attributesOf<QuantizeAttributes>(node).ties === "even";
  const range = rangeOfDType(y.dtype);
  const zero = k.int("zero_point", zeroPointOf(node, y));
  if (!INTEGERS.includes(y.dtype)) throw unsupportedTypes(node);
  if (x.dtype === "float32") {
    const scale = k.float("scale", scaleOf(node, y));
    // Clamped before the conversion so that far values stay defined; 2^30 is beyond every 16-bit result.
    const limit = y.dtype === "int32" ? 2 ** 31 - 128 : 2 ** 30;
    unaryLoops(k, node, (value) => {
      const ratio = value.div(scale);
      const rounded = (even ? ratio.rint() : k.call(roundAwayFloat, ratio)).clamp(-limit, limit).to("i32");
      return y.dtype === "int32" ? rounded.wrapAdd(zero) : rounded.add(zero).clamp(range.low, range.high);
    });
  } else {
    if (!INTEGERS.includes(x.dtype)) throw unsupportedTypes(node);
    const factor = quantizeMultiplier(scaleOf(node, x) / scaleOf(node, y));
    const [inZero, multiplier, shift] = [
      k.int("input_zero_point", zeroPointOf(node, x)),
      k.int("multiplier", factor.multiplier),
      k.int("shift", factor.shift),
    ];
    unaryLoops(k, node, (value) => {
      const scaled = k.call(requantize, value.wrapSub(inZero), multiplier, shift);
      return y.dtype === "int32" ? scaled.wrapAdd(zero) : scaled.wrapAdd(zero).clamp(range.low, range.high);
    });
  }
  return k.finish(`quantize_${suffixOf(x.dtype)}_${suffixOf(y.dtype)}${even ? "_even" : ""}`, "Changes scale and zero point.");
}

const SCALES: Partial<Record<DType, readonly [number, number]>> = { int8: [0.05, -3], uint8: [0.04, 120], int16: [0.0002, 0], int32: [0.001, 0] };
const tensor = (dtype: DType): ReturnType<typeof typed> =>
  SCALES[dtype] === undefined ? typed(dtype, [3, 7]) : typed(dtype, [3, 7], ...SCALES[dtype]);

export const quantize: OpDef = {
  name: "quantize",
  // The element type of the result is the output tensor's own: a node carries no attribute for it.
  infer: (inputs, attributes) => {
    const x = typeAt("quantize", inputs, 0);
    return [{ dtype: attributesOf<QuantizeAttributes>({ attributes }).dtype ?? "int8", shape: x.shape }];
  },
  loops: quantizeLoops,
  cases: [
    ...(["float32", ...INTEGERS] as DType[]).flatMap((from) =>
      INTEGERS.filter((to) => to !== "int32" || from !== "float32").map((to) =>
        makeCase(`${from} to ${to}`, [tensor(from)], tensor(to), { dtype: to }),
      ),
    ),
    makeCase("float32 to int8, ties to even", [tensor("float32")], typed("int8", [3, 7], 0.5, 2), { dtype: "int8", ties: "even" }),
  ],
};

/** Products below this convert to f32 with one rounding on every machine, also where that goes by way of 53 bits. */
const EXACT = 2 ** 52;

/** scale · (q − zero point) with one rounding: 32-bit numbers times a 24-bit mantissa need 57 bits. */
function wideProduct(k: KernelBuilder, value: Expr, scale: number, zeroPoint: number): Expr {
  const exponent = Math.floor(Math.log2(scale)) - 23;
  const product = k.let(
    "product",
    value
      .to("i64")
      .sub(k.int("zero_point", zeroPoint).to("i64"))
      .mul(k.int("mantissa", Math.round(scale / 2 ** exponent)).to("i64")),
  );
  const large = k.let("large", product.ge(EXACT).or(product.le(-EXACT)));
  // The last five bits joined into one (rounding to odd) leave the rounding to 24 bits as it was.
  const sticky = product.and(31).ne(0).to("i64");
  const joined = k.let("joined", large.select(product.shr(5).or(sticky), product));
  return joined.to("f32").mul(large.select(k.float("coarse_unit", 2 ** (exponent + 5)), k.float("unit", 2 ** exponent)));
}

export const dequantize: OpDef = {
  name: "dequantize",
  infer: (inputs) => [{ dtype: "float32", shape: typeAt("dequantize", inputs, 0).shape }],
  loops(k, node) {
    const x = inputOf(node, 0);
    if (!INTEGERS.includes(x.dtype)) throw unsupportedTypes(node);
    const [scale, zeroPoint] = [scaleOf(node, x), zeroPointOf(node, x)];
    unaryLoops(k, node, (value) =>
      x.dtype === "int32"
        ? wideProduct(k, value, scale, zeroPoint)
        : value.sub(k.int("zero_point", zeroPoint)).to("f32").mul(k.float("scale", scale)),
    );
    return k.finish(`dequantize_${suffixOf(x.dtype)}`, "scale * (stored - zero point).");
  },
  cases: INTEGERS.map((from) => makeCase(from, [tensor(from)], typed("float32", [3, 7]))),
};
