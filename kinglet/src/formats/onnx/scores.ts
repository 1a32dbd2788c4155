import type { Value } from "../../graph/index.ts";
import { add, compare, div, mul, reduce, select, sub } from "./math.ts";
import type { Site } from "./site.ts";

/** What classifiers of ai.onnx.ml have in common: scores become probabilities, and the best of them a class. */

/** The classes of a classifier in the order of its scores. */
export interface Classes {
  readonly labels: readonly string[];
  /** Null where labels are strings: the network then gives a class's position. */
  readonly numbers: readonly number[] | null;
}

export function classesOf(site: Site, integers: "classlabels_int64s" | "classlabels_ints"): Classes {
  const [texts, numbers] = [site.texts("classlabels_strings") ?? [], site.ints(integers) ?? []];
  if (texts.length === 0 && numbers.length === 0) site.fail("it names no classes");
  return texts.length > 0 ? { labels: texts, numbers: null } : { labels: numbers.map(String), numbers };
}

/** The outputs of a classifier: the class of each sample and the scores, both with the classes' names. */
export function classified(site: Site, { labels, numbers }: Classes, position: Value, scores: Value): Value[] {
  const isPosition = numbers === null || numbers.every((number, i) => number === i);
  const table = (): Value => site.importer.numbers(numbers!, "int64");
  const named = isPosition ? position : site.emit("gather", [table(), position], { axis: 0, batchDims: 0 });
  site.importer.label(scores, labels);
  if (numbers === null) site.importer.strings(named, labels);
  else site.importer.label(named, labels);
  return [named, scores];
}

/** The position of the best score of each sample. */
export function bestOf(site: Site, scores: Value): Value {
  return site.emit("argMax", [scores], { axis: 1, keepDims: false, dtype: "int64" });
}

/** Two classes by one score [n, 1]: the second where it is above a bound. */
export function secondAbove(site: Site, score: Value, bound: number): Value {
  return site.reshape(site.cast(compare(site, "greater", score, bound), "int64"), [score.shape[0]!]);
}

/** Scores that are next to nothing count as absent. */
const ABSENT = 1e-7;

function softmaxOfPresent(site: Site, scores: Value): Value {
  const powers = site.emit("exp", [sub(site, scores, reduce(site, "reduceMax", scores, [1]))]);
  const present = compare(site, "greater", site.emit("abs", [scores]), ABSENT);
  const kept = select(site, present, powers, 0);
  return div(site, kept, reduce(site, "sum", kept, [1]));
}

/** Winitzki's constant of the inverse error function, as ONNX Runtime has it. */
const WINITZKI = 0.147;

/** The quantile of the normal distribution: √2 · erf⁻¹(2x − 1), by Winitzki's formula. */
function probit(site: Site, scores: Value): Value {
  const x = sub(site, mul(site, scores, 2), 1);
  const log = site.emit("log", [mul(site, sub(site, 1, x), add(site, x, 1))]);
  const middle = add(site, mul(site, log, 0.5), 2 / (Math.PI * WINITZKI));
  const root = site.emit("sqrt", [sub(site, mul(site, middle, middle), mul(site, log, 1 / WINITZKI))]);
  const size = mul(site, site.emit("sqrt", [sub(site, root, middle)]), Math.SQRT2);
  return select(site, compare(site, "less", x, 0), site.emit("neg", [size]), size);
}

export type Transform = "NONE" | "LOGISTIC" | "SOFTMAX" | "SOFTMAX_ZERO" | "PROBIT";

/** What an operator does with its scores [n, targets] in the end. */
export function transformed(site: Site, scores: Value, transform: Transform): Value {
  switch (transform) {
    case "NONE":
      return scores;
    case "LOGISTIC":
      return site.emit("logistic", [scores]);
    case "SOFTMAX":
      return site.emit("softmax", [scores], { beta: 1 });
    case "SOFTMAX_ZERO":
      return softmaxOfPresent(site, scores);
    case "PROBIT":
      return probit(site, scores);
    default:
      transform satisfies never;
      return site.fail(`there is no transform "${transform}" of scores`);
  }
}

export const transformOf = (site: Site): Transform => site.text("post_transform", "NONE") as Transform;

/** The operator's input as rows of floats. */
export function samplesOf(site: Site): Value {
  const x = site.cast(site.input(0), "float32");
  if (x.shape.length > 2) site.fail(`samples of the shape [${x.shape.join(",")}]`);
  return x.shape.length === 2 ? x : site.reshape(x, [1, x.shape[0] ?? 1]);
}
