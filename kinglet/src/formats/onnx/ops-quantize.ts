import { elementCount } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import type { ElementType } from "./elements.ts";
import { add, clip, div, mul, reduce, sub } from "./math.ts";
import { castTo } from "./ops-constant.ts";
import { matmul } from "./ops-matrix.ts";
import { windowPlan } from "./window.ts";
import { convOf } from "./ops-conv.ts";
import type { Rule, Site } from "./site.ts";
import { elementType } from "./tensor.ts";

/** Scales (or zero points) in the shape in which they broadcast over x: one, one for each index of an axis, or one for each block. */
function spread(site: Site, x: Value, scale: Value): Value {
  if (elementCount(scale.shape) === 1) return site.reshape(scale, []);
  const axis = site.axis(site.int("axis", 1), x.shape.length);
  if (scale.shape.length === 1)
    return site.reshape(
      scale,
      x.shape.map((_, d) => (d === axis ? scale.shape[0]! : 1)),
    );
  const block = site.int("block_size", 0);
  if (block < 1) return scale;
  const wide = site.emit("broadcastTo", [site.reshape(scale, [...scale.shape.slice(0, axis + 1), 1, ...scale.shape.slice(axis + 1)])], {
    shape: [...scale.shape.slice(0, axis + 1), block, ...scale.shape.slice(axis + 1)],
  });
  const joined = site.reshape(
    wide,
    scale.shape.map((dim, d) => (d === axis ? dim * block : dim)),
  );
  if (joined.shape[axis] === x.shape[axis]) return joined;
  return site.emit("slice", [joined], { begin: x.shape.map(() => 0), size: [...x.shape] });
}

const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
};

function rangeOf(site: Site, element: ElementType): readonly [number, number] {
  return element.range ?? RANGES[element.name] ?? site.unsupported(`quantization to ${element.name} is not supported`);
}

/** round(x / scale) + zero point, ties to even, held within the type. */
export function quantized(site: Site, x: Value, scale: Value, zeroPoint: Value | null, element: ElementType): Value {
  const ratio = div(site, x, scale);
  if (element.float !== undefined) return castTo(site, ratio, element, true);
  const rounded = site.emit("round", [ratio]);
  const [low, high] = rangeOf(site, element);
  const moved = zeroPoint === null ? rounded : add(site, rounded, site.cast(zeroPoint, "float32"));
  return site.importer.mark(site.cast(clip(site, moved, low, high), element.dtype), element);
}

/** (x − zero point) · scale */
export function dequantized(site: Site, x: Value, scale: Value, zeroPoint: Value | null): Value {
  const float = site.cast(x, "float32");
  return mul(site, zeroPoint === null ? float : sub(site, float, site.cast(zeroPoint, "float32")), scale);
}

function quantizeLinear(site: Site): Value {
  const [x, scale, zeroPoint] = [site.cast(site.input(0), "float32"), site.input(1), site.optional(2)];
  const element = zeroPoint !== null ? site.element(2) : elementType(site.int("output_dtype", 2) || 2, site.place);
  return quantized(site, x, spread(site, x, scale), zeroPoint === null ? null : spread(site, x, zeroPoint), element);
}

function dequantizeLinear(site: Site): Value {
  const [x, scale, zeroPoint] = [site.input(0), site.input(1), site.optional(2)];
  const y = dequantized(site, x, spread(site, x, scale), zeroPoint === null ? null : spread(site, x, zeroPoint));
  return site.importer.mark(y, site.element(1));
}

/** Scale and zero point follow from the numbers themselves, 0 included. */
function dynamicQuantize(site: Site): Value[] {
  const x = site.input(0);
  const all = x.shape.map((_, d) => d);
  const high = clip(site, reduce(site, "reduceMax", x, all, false), 0, Infinity);
  const low = clip(site, reduce(site, "reduceMin", x, all, false), -Infinity, 0);
  const scale = div(site, sub(site, high, low), 255);
  const zero = site.emit("round", [clip(site, div(site, sub(site, 0, low), scale), 0, 255)]);
  const y = clip(site, add(site, site.emit("round", [div(site, x, scale)]), zero), 0, 255);
  return [site.cast(y, "uint8"), scale, site.cast(zero, "uint8")];
}

/** Whole numbers with their zero points taken off; they are exact as floats while sums stay below 2^24. */
function centered(site: Site, index: number, zeroIndex: number, row: boolean): Value {
  const x = site.cast(site.input(index), "float32");
  const zero = site.optional(zeroIndex);
  if (zero === null) return x;
  const float = site.cast(zero, "float32");
  return sub(
    site,
    x,
    elementCount(zero.shape) > 1 && row
      ? site.reshape(float, [elementCount(zero.shape), 1])
      : elementCount(zero.shape) === 1
        ? site.reshape(float, [])
        : float,
  );
}

function exact(site: Site, terms: number): void {
  if (terms * 255 * 255 > 2 ** 24)
    site.unsupported(`sums of ${terms} products of bytes are not supported here`, "Quantize the model with QDQ nodes around float operators.");
}

function matmulInteger(site: Site): Value {
  exact(site, site.shape(0).at(-1)!);
  return site.cast(matmul(site, centered(site, 0, 2, true), centered(site, 1, 3, false)), "int32");
}

function convInteger(site: Site): Value {
  const [x, w] = [centered(site, 0, 2, false), site.cast(site.input(1), "float32")];
  exact(site, elementCount(w.shape.slice(1)));
  const zero = site.optional(3);
  const weights =
    zero === null
      ? w
      : sub(site, w, site.reshape(site.cast(zero, "float32"), elementCount(zero.shape) === 1 ? [] : [w.shape[0]!, ...w.shape.slice(1).map(() => 1)]));
  const plan = windowPlan(site, x.shape.slice(2), site.ints("kernel_shape") ?? w.shape.slice(2));
  return site.cast(convOf(site, x, weights, null, plan, site.int("group", 1)), "int32");
}

/** The product of the numbers behind two quantized matrices. */
function qlinearMatmul(site: Site): Value {
  const [aScale, bScale, yScale] = [site.input(1), site.input(4), site.input(6)];
  const scalar = (value: Value): Value => (elementCount(value.shape) === 1 ? site.reshape(value, []) : value);
  const a = centered(site, 0, 2, true);
  const b = centered(site, 3, 5, false);
  exact(site, a.shape.at(-1)!);
  const scale = div(site, mul(site, scalar(aScale), scalar(bScale)), scalar(yScale));
  const moved = add(site, site.emit("round", [mul(site, matmul(site, a, b), scale)]), site.cast(scalar(site.input(7)), "float32"));
  const element = site.element(7);
  const [low, high] = rangeOf(site, element);
  return site.importer.mark(site.cast(clip(site, moved, low, high), element.dtype), element);
}

export const QUANTIZE: Readonly<Record<string, Rule>> = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  DynamicQuantizeLinear: dynamicQuantize,
  MatMulInteger: matmulInteger,
  ConvInteger: convInteger,
  QLinearMatMul: qlinearMatmul,
};
