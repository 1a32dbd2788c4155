import type { DType } from "../base/index.ts";
import type { Node } from "../graph/index.ts";
import { f32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { eachElement, typed } from "./elementwise.ts";
import { requantize } from "./fixed.ts";
import { attributesOf, inputOf, type OpDef, outputOf, suffixOf, typeAt, unsupportedTypes } from "./op.ts";
import { quantizationOf, quantizeMultiplier, rangeOfDType } from "./quantization.ts";

const STORED: readonly DType[] = ["int8", "uint8", "int16", "int32"];

/** round(x / scale) + zero point, in single precision. */
function fromFloat(k: KernelBuilder, node: Node): KernelInstance {
  const y = outputOf(node);
  const { scale, zeroPoint } = quantizationOf(node, y);
  const { low, high } = rangeOfDType(y.dtype);
  const input = k.input(0, "x");
  const output = k.output(0, "y");
  eachElement(k, y.shape, (i) => {
    // The clamp in front keeps the conversion to an integer defined; it is far outside what can be stored.
    const scaled = k.let("scaled", input.load(i).div(k.float("scale", scale)).clamp(-1e6, 1e6));
    // A sum with a half may round up to the next whole number: 0.49999997 must stay 0, so the fraction decides.
    const whole = k.let("whole", scaled.trunc());
    const rest = k.let("rest", scaled.sub(whole).abs());
    const away = scaled.lt(f32(0)).select(f32(-1), f32(1));
    const rounded = rest.ge(f32(0.5)).select(whole.add(away), whole);
    output.store(i, rounded.to("i32").add(k.int("zero_point", zeroPoint)).clamp(k.int("low", low), k.int("high", high)));
  });
  return k.finish(`quantize_${suffixOf(y.dtype)}`, "Real numbers to stored integers.");
}

/** From one integer type or scale to another, in fixed point. */
function fromInteger(k: KernelBuilder, node: Node): KernelInstance {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const [from, to] = [quantizationOf(node, x), quantizationOf(node, y)];
  const { multiplier, shift } = quantizeMultiplier(Math.fround(from.scale) / Math.fround(to.scale));
  const { low, high } = rangeOfDType(y.dtype);
  const input = k.input(0, "x");
  const output = k.output(0, "y");
  eachElement(k, y.shape, (i) => {
    const moved = input.load(i).sub(k.int("input_zero_point", from.zeroPoint));
    const scaled = k.call(requantize, k.let("moved", moved), k.int("multiplier", multiplier), k.int("shift", shift));
    output.store(i, scaled.add(k.int("zero_point", to.zeroPoint)).clamp(k.int("low", low), k.int("high", high)));
  });
  return k.finish(`requantize_${suffixOf(x.dtype)}_${suffixOf(y.dtype)}`, "Stored integers from one scale to another.");
}

export const quantize: OpDef = {
  name: "quantize",
  infer: (inputs, attributes) => [{ dtype: attributesOf<{ dtype: DType }>({ attributes }).dtype, shape: typeAt("quantize", inputs, 0).shape }],
  loops(k, node) {
    const [x, y] = [inputOf(node, 0), outputOf(node)];
    if (!STORED.includes(y.dtype) || (x.dtype !== "float32" && !STORED.includes(x.dtype))) throw unsupportedTypes(node);
    return x.dtype === "float32" ? fromFloat(k, node) : fromInteger(k, node);
  },
  cases: [
    ...(["int8", "uint8", "int16"] as const).map((dtype) => ({ name: `float to ${dtype}`, attributes: { dtype }, inputs: [typed("float32", [3, 50])], outputs: [typed(dtype, [3, 50], 0.013, dtype === "int16" ? 0 : 5)] })),
    ...STORED.flatMap((from) => STORED.map((to) => ({ name: `${from} to ${to}`, attributes: { dtype: to }, inputs: [typed(from, [40], 0.05, from === "int16" ? 0 : 3)], outputs: [typed(to, [40], 0.03, to === "int16" ? 0 : -2)] }))),
  ],
};

export const dequantize: OpDef = {
  name: "dequantize",
  infer: (inputs) => [{ dtype: "float32", shape: typeAt("dequantize", inputs, 0).shape }],
  loops(k, node) {
    const x = inputOf(node, 0);
    if (!STORED.includes(x.dtype)) throw unsupportedTypes(node);
    const { scale, zeroPoint } = quantizationOf(node, x);
    const input = k.input(0, "x");
    const output = k.output(0, "y");
    eachElement(k, x.shape, (i) => output.store(i, input.load(i).sub(k.int("zero_point", zeroPoint)).to("f32").mul(k.float("scale", scale))));
    return k.finish(`dequantize_${suffixOf(x.dtype)}`, "Stored integers to real numbers.");
  },
  cases: STORED.map((dtype) => ({ name: dtype, attributes: {}, inputs: [typed(dtype, [20], 0.05, dtype === "int16" ? 0 : 3)], outputs: [typed("float32", [20])] })),
};
