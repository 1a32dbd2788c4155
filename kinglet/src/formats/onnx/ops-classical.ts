import { type DType, elementCount } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import { compare, div, mul, reduce, select, sub } from "./math.ts";
import { positiveIndices } from "./ops-index.ts";
import { concatenated, sliced } from "./ops-movement.ts";
import { samplesOf } from "./scores.ts";
import type { Rule, Site } from "./site.ts";

/** What ai.onnx.ml has beside its models: scalers, encoders, and how features are put together. */

/** One number for all features, or one for each of the last dimension. */
function perFeature(site: Site, x: Value, numbers: readonly number[]): Value {
  if (numbers.length !== 1 && numbers.length !== x.shape.at(-1)) site.fail(`${numbers.length} numbers for ${x.shape.at(-1)} features`);
  return site.like(x, numbers);
}

function scaler(site: Site): Value {
  const x = site.cast(site.input(0), "float32");
  const offset = perFeature(site, x, site.floats("offset") ?? [0]);
  return mul(site, sub(site, x, offset), perFeature(site, x, site.floats("scale") ?? [1]));
}

/** Rows that are zero by their norm stay as they are. */
function normalizer(site: Site): Value {
  const [given, x] = [site.cast(site.input(0), "float32"), samplesOf(site)];
  const norms: Readonly<Record<string, () => Value>> = {
    MAX: () => reduce(site, "reduceMax", x, [1]),
    L1: () => reduce(site, "sum", site.emit("abs", [x]), [1]),
    L2: () => site.emit("sqrt", [reduce(site, "sum", mul(site, x, x), [1])]),
  };
  const norm = (norms[site.text("norm", "MAX")] ?? site.fail("there is no such norm"))();
  return site.reshape(div(site, x, select(site, compare(site, "equal", norm, 0), 1, norm)), given.shape);
}

function imputer(site: Site): Value {
  const x = site.input(0);
  const isFloat = x.dtype === "float32";
  const values = (isFloat ? site.floats("imputed_value_floats") : site.ints("imputed_value_int64s")) ?? [];
  if (values.length === 0) site.fail("it has no values to impute");
  const replaced = isFloat ? site.float("replaced_value_float", 0) : site.int("replaced_value_int64", 0);
  const isMissing = Number.isNaN(replaced) ? compare(site, "notEqual", x, x) : compare(site, "equal", x, replaced);
  return select(site, isMissing, perFeature(site, x, values), x);
}

function binarizer(site: Site): Value {
  const x = site.input(0);
  return site.cast(compare(site, "greater", x, site.float("threshold", 0)), x.dtype);
}

/** Columns by number; the samples of a vector are one row. */
function arrayFeatureExtractor(site: Site): Value {
  const x = site.input(0);
  const matrix = x.shape.length === 1 ? site.reshape(x, [1, x.shape[0]!]) : x;
  const axis = matrix.shape.length - 1;
  const indices = positiveIndices(site, site.input(1), matrix.shape[axis]!);
  return site.emit("gather", [matrix, site.reshape(indices, [elementCount(indices.shape)])], { axis, batchDims: 0 });
}

/** Inputs side by side, each cut or filled with zeros to its declared width. */
function featureVectorizer(site: Site): Value {
  const widths = site.ints("inputdimensions") ?? [];
  const parts = site.inputs.map((_, i) => {
    const x = site.cast(site.input(i), "float32");
    const rows = x.shape.length === 1 ? 1 : x.shape[0]!;
    const width = elementCount(x.shape) / rows;
    const matrix = site.reshape(x, [rows, width]);
    const wanted = widths[i] ?? width;
    if (wanted <= width) return sliced(site, matrix, 1, 0, wanted);
    return site.emit("pad", [matrix], { before: [0, 0], after: [0, wanted - width], value: 0 });
  });
  return concatenated(site, parts, 1);
}

/** A category that is not listed gives zeros, also where the file calls that an error: a network has no other way to say so. */
function oneHotEncoder(site: Site): Value {
  const categories = site.ints("cats_int64s") ?? [];
  if (categories.length === 0) return site.unsupported("categories that are strings are not supported");
  const whole = site.cast(site.input(0), "int64");
  const hit = compare(site, "equal", site.reshape(whole, [...whole.shape, 1]), site.like(whole, categories));
  return site.cast(hit, "float32");
}

interface Table {
  readonly dtype: DType;
  readonly values: readonly number[];
}

/** Keys or values of a LabelEncoder, of whatever kind of numbers they are. */
function numberTable(site: Site, side: "keys" | "values"): Table | null {
  const tensor = site.tensor(`${side}_tensor`);
  if (tensor !== undefined) return { dtype: tensor.element.dtype, values: Array.from<number | bigint, number>(tensor.data, Number) };
  if (site.has(`${side}_floats`)) return { dtype: "float32", values: site.floats(`${side}_floats`)! };
  if (site.has(`${side}_int64s`)) return { dtype: "int64", values: site.ints(`${side}_int64s`)! };
  return null;
}

function defaultOf(site: Site, dtype: DType): number {
  const tensor = site.tensor("default_tensor");
  if (tensor !== undefined) return Number(tensor.data[0] ?? 0);
  return dtype === "float32" ? site.float("default_float", -0) : site.int("default_int64", -1);
}

/** Values that are strings become their positions in a list of labels, which goes out beside them. */
function textTable(site: Site): { table: Table; labels: readonly string[] } | null {
  const texts = site.texts("values_strings") ?? site.texts("classes_strings");
  if (texts === undefined) return null;
  const all = [...texts, site.text("default_string", "_Unused")];
  const labels = [...new Set(all)];
  return { table: { dtype: "int64", values: all.map((text) => labels.indexOf(text)) }, labels };
}

function labelEncoder(site: Site): Value {
  const x = site.input(0);
  const texts = textTable(site);
  // The first version maps positions to strings; it has no keys.
  const isFirst = site.has("classes_strings");
  const keys = isFirst ? site.texts("classes_strings")!.map((_, i) => i) : numberTable(site, "keys")?.values;
  const values = texts?.table ?? numberTable(site, "values");
  if (keys === undefined || !values) return site.unsupported("keys that are strings are not supported");
  const all = texts === null ? [...values.values, defaultOf(site, values.dtype)] : values.values;
  if (all.length !== keys.length + 1) site.fail(`${keys.length} keys for ${all.length - 1} values`);
  const wide = x.dtype === "float32" || x.dtype === "int32" ? x : site.cast(x, "int64");
  const y = site.emit("mapValues", [wide, site.like(wide, keys), site.importer.numbers(all, values.dtype)]);
  return texts === null ? y : site.importer.strings(y, texts.labels);
}

/** A map for each sample is a row of scores: the names of its columns go out beside it. */
function zipMap(site: Site): Value {
  const scores = site.input(0);
  const labels = site.texts("classlabels_strings") ?? site.ints("classlabels_int64s")?.map(String);
  if (labels !== undefined && labels.length > 0) site.importer.label(scores, labels);
  return scores;
}

export const CLASSICAL: Readonly<Record<string, Rule>> = {
  Scaler: scaler,
  Normalizer: normalizer,
  Imputer: imputer,
  Binarizer: binarizer,
  ArrayFeatureExtractor: arrayFeatureExtractor,
  FeatureVectorizer: featureVectorizer,
  OneHotEncoder: oneHotEncoder,
  LabelEncoder: labelEncoder,
  ZipMap: zipMap,
};
