import { allocate, type DType, elementCount } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import { type ElementType, STRING } from "./elements.ts";
import { elementType, isStrings, STRINGS, textsOf } from "./tensor.ts";
import { compare, select, sub } from "./math.ts";
import type { Rule, Site } from "./site.ts";

function constant(site: Site): Value {
  const texts = site.attribute("value")?.tensor;
  if (texts && isStrings(texts)) return site.importer.texts(textsOf(texts, site.place), texts.dims);
  const tensor = site.tensor("value");
  if (tensor !== undefined) return site.importer.mark(site.constant(tensor.data, tensor.element.dtype, tensor.shape), tensor.element);
  if (site.has("value_float")) return site.importer.numbers(site.float("value_float", 0), "float32");
  if (site.has("value_int")) return site.importer.numbers(site.int("value_int", 0), "int64");
  if (site.has("value_floats")) return site.importer.numbers(site.floats("value_floats") ?? [], "float32");
  if (site.has("value_ints")) return site.importer.numbers(site.ints("value_ints") ?? [], "int64");
  return site.unsupported("a constant of strings, or a sparse one, is not supported");
}

/** The same number in every element. */
function filled(site: Site, dtype: DType, shape: readonly number[], value: number | bigint): Value {
  if (shape.some((dim) => dim < 0) || elementCount(shape) > 2 ** 28) site.fail(`[${shape.join(",")}] is not the shape of a constant`);
  site.importer.spend(elementCount(shape), site.place);
  const data = allocate(dtype, elementCount(shape));
  (data as { fill(value: number | bigint): unknown }).fill(value);
  return site.constant(data, dtype, shape);
}

function constantOfShape(site: Site): Value {
  const value = site.tensor("value");
  const y = filled(site, value?.element.dtype ?? "float32", site.numbers(0) ?? [], value?.data[0] ?? 0);
  return value === undefined ? y : site.importer.mark(y, value.element);
}

function shapeRule(site: Site): Value {
  const shape = site.shape(0);
  const rank = shape.length;
  const clampTo = (at: number): number => Math.max(0, Math.min(rank, at < 0 ? at + rank : at));
  return site.importer.numbers(shape.slice(clampTo(site.int("start", 0)), clampTo(site.int("end", rank))), "int64");
}

function range(site: Site): Value {
  const [start, limit, delta] = [0, 1, 2].map((i) => site.numbers(i)![0]!) as [number, number, number];
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  if (!(count <= 2 ** 24)) site.fail(`a range of ${count} numbers`);
  return site.importer.numbers(
    Array.from({ length: count }, (_, i) => start + i * delta),
    site.input(0).dtype,
  );
}

function eyeLike(site: Site): Value {
  const x = site.input(0);
  const element = site.has("dtype") ? elementType(site.int("dtype", 1), site.place) : site.element(0);
  const [rows, columns] = x.shape as [number, number];
  const k = site.int("k", 0);
  site.importer.spend(rows * columns, site.place);
  const numbers = Array.from({ length: rows * columns }, (_, i) => ((i % columns) - Math.floor(i / columns) === k ? 1 : 0));
  return site.importer.mark(site.reshape(site.importer.numbers(numbers, element.dtype), [rows, columns]), element);
}

/** Values as another element type would hold them. */
export function castTo(site: Site, x: Value, to: ElementType, saturate: boolean): Value {
  const from = site.importer.elementOf(x);
  if (to.float !== undefined) {
    const { mantissaBits, bias, exponentBits, largest, beyond, unsigned } = to.float;
    const float = site.cast(x, "float32");
    const what = beyond === "largest" || (saturate && to.bits === 8) ? "largest" : beyond;
    if (unsigned === true) return site.unsupported("casts to float8e8m0 are not supported");
    // Formats of 4 bits have no place for what is not a number.
    if (to.bits === 4)
      return site.importer.mark(
        site.emit("roundFloat", [select(site, compare(site, "notEqual", float, float), site.like(float, 0), float)], {
          mantissaBits,
          smallestExponent: 1 - bias,
          largest,
          beyond: what,
        }),
        to,
      );
    const smallest = exponentBits === 8 ? -126 : 1 - bias;
    return site.importer.mark(site.emit("roundFloat", [float], { mantissaBits, smallestExponent: smallest, largest, beyond: what }), to);
  }
  if (to.bits < 8) return site.importer.mark(narrowed(site, x, to), to);
  if (x.dtype === "float32" && to.dtype !== "float32" && to.dtype !== "bool")
    return site.importer.mark(site.emit("cast", [throughWide(site, x, to)], { dtype: to.dtype }), to);
  if (x.dtype === to.dtype) return from.name === to.name ? x : site.importer.mark(site.reshape(copyOf(site, x), x.shape), to);
  return site.importer.mark(site.cast(x, to.dtype), to);
}

/** Values keep one element type each, so a cast that changes nothing but the name makes another value. */
function copyOf(site: Site, x: Value): Value {
  return x.data !== undefined ? site.constant(x.data, x.dtype, x.shape) : site.emit("reshape", [x], { shape: [...x.shape] }, x.quantization);
}

/** Floats become integers by truncation; what does not fit wraps, as with C's conversions by way of 64 bits. */
function throughWide(site: Site, x: Value, to: ElementType): Value {
  return to.bits <= 32 ? site.cast(x, "int64") : x;
}

/** The low bits of an integer, as a number of so few bits. */
function narrowed(site: Site, x: Value, to: ElementType): Value {
  const whole = x.dtype === "float32" ? site.cast(x, "int32") : site.cast(x, "int32");
  const size = 2 ** to.bits;
  const low = site.emit("floorMod", [whole, site.like(whole, size)]);
  const signed = to.range![0] < 0 ? select(site, compare(site, "greaterEqual", low, size / 2), sub(site, low, size), low) : low;
  return site.cast(signed, to.dtype);
}

/** Strings stay strings: what numbers they might say is not known. */
function castStrings(site: Site): Value {
  return site.int("to", 1) === STRINGS ? site.input(0) : site.unsupported("numbers of strings are not supported");
}

const saturates = (site: Site): boolean => site.int("saturate", 1) !== 0;

/** Windows of signal processing, evaluated when the file is read. */
function window(coefficients: readonly number[]): Rule {
  return (site) => {
    const size = site.numbers(0)?.[0] ?? 1;
    if (!(size >= 1 && size <= 2 ** 24)) site.fail(`a window of ${size} elements`);
    const period = site.int("periodic", 1) !== 0 ? size : size - 1;
    const at = (i: number): number => coefficients.reduce((sum, c, n) => sum + (n % 2 === 0 ? c : -c) * Math.cos((2 * Math.PI * n * i) / period), 0);
    const element = elementType(site.int("output_datatype", 1), site.place);
    const values = Array.from({ length: size }, (_, i) => at(i));
    return site.importer.mark(site.importer.numbers(values, element.dtype), element);
  };
}

export const CONSTANT: Readonly<Record<string, Rule>> = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Shape: shapeRule,
  Size: (site) => site.importer.numbers(elementCount(site.shape(0)), "int64"),
  Range: range,
  EyeLike: eyeLike,
  Cast: (site) =>
    site.element(0) === STRING ? castStrings(site) : castTo(site, site.input(0), elementType(site.int("to", 1), site.place), saturates(site)),
  CastLike: (site) => castTo(site, site.input(0), site.element(1), saturates(site)),
  HannWindow: window([0.5, 0.5]),
  HammingWindow: window([25 / 46, 21 / 46]),
  BlackmanWindow: window([0.42, 0.5, 0.08]),
};
