import type { Node } from "../graph/index.ts";
import type { Buffer, Expr, KernelBuilder } from "../loops/index.ts";
import { scaleOf, zeroPointOf } from "./elementwise.ts";
import { inputOf, outputOf, unsupportedTypes } from "./op.ts";
import { rangeOfDType, roundAway } from "./quantization.ts";

/**
 * Quantized functions that TensorFlow Lite itself defines by evaluating a real function, in single precision, once
 * for every entry of a table.
 */

/** A real function in single precision: it gets and gives numbers that are exact floats. */
export type RealFunction = (x: number) => number;

const f = Math.fround;

/** The 256 results of an 8-bit tensor, indexed by the input's byte. */
function byteTable(node: Node, real: RealFunction): Int8Array | Uint8Array {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  const inputRange = rangeOfDType(x.dtype);
  const range = rangeOfDType(y.dtype);
  const inverse = f(1 / scaleOf(node, y));
  const table = y.dtype === "int8" ? new Int8Array(256) : new Uint8Array(256);
  for (let value = inputRange.low; value <= inputRange.high; value++) {
    const rescaled = roundAway(f(real(f(scaleOf(node, x) * (value - zeroPointOf(node, x)))) * inverse));
    const stored = Math.trunc(f(rescaled + zeroPointOf(node, y)));
    table[value & 255] = Math.max(range.low, Math.min(range.high, stored));
  }
  return table;
}

/** 513 knots over the 16-bit range; each is moved by half of the error that interpolation makes in the middle. */
export function shortTable(real: RealFunction, inputLow: number, inputHigh: number, outputLow: number, outputHigh: number): Int16Array {
  const step = f(f(inputHigh - inputLow) / 512);
  const halfStep = f(step / 2);
  const inverse = f(65536 / f(outputHigh - outputLow));
  const clamp = (x: number): number => Math.max(-32768, Math.min(32767, x));
  const table = new Int16Array(513);
  for (let i = 0; i < 512; i++) {
    const at = f(inputLow + f(i * step));
    const sample = roundAway(f(real(at) * inverse));
    const next = f(real(f(inputLow + f((i + 1) * step))) * inverse);
    const interpolated = roundAway(f(f(next + sample) / 2));
    const middle = roundAway(f(real(f(at + halfStep)) * inverse));
    const bias = roundAway(f(f(interpolated - middle) / 2));
    table[i] = clamp(f(sample - bias));
  }
  table[512] = clamp(roundAway(f(real(inputHigh) * inverse)));
  return table;
}

/** The table for a quantized 16-bit tensor's whole range. */
function shortTableOf(node: Node, real: RealFunction): Int16Array {
  const bounds = (value: ReturnType<typeof inputOf>): [number, number] => [
    f(scaleOf(node, value) * (-32768 - zeroPointOf(node, value))),
    f(scaleOf(node, value) * (32767 - zeroPointOf(node, value))),
  ];
  return shortTable(real, ...bounds(inputOf(node, 0)), ...bounds(outputOf(node)));
}

/** Linear interpolation between knots 128 apart, for an int16 `value`. */
export function lookUpShort(k: KernelBuilder, table: Buffer, value: Expr): Expr {
  const index = k.let("knot", value.shr(7).add(256));
  const base = k.let("base", table.load(index));
  // The slope is a 16-bit number in TensorFlow Lite.
  const slope = k.let("slope", table.load(index.add(1)).sub(base).shl(16).shr(16));
  return base.add(slope.mul(value.and(127)).add(64).shr(7));
}

/** Gives the function that looks up stored numbers of the node's input. */
export function tableLookup(k: KernelBuilder, node: Node, real: RealFunction): (x: Expr) => Expr {
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  if (x.dtype !== y.dtype) throw unsupportedTypes(node);
  switch (x.dtype) {
    case "int8":
    case "uint8": {
      const table = k.constant("table", x.dtype === "int8" ? "i8" : "u8", byteTable(node, real));
      return (value) => table.load(value.and(255));
    }
    case "int16": {
      const table = k.constant("table", "i16", shortTableOf(node, real));
      return (value) => lookUpShort(k, table, value);
    }
    default:
      throw unsupportedTypes(node);
  }
}
