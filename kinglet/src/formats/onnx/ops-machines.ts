import type { Value } from "../../graph/index.ts";
import { add, compare, mul, select, sub } from "./math.ts";
import { dense } from "./ops-matrix.ts";
import { concatenated } from "./ops-movement.ts";
import { bestOf, classesOf, classified, samplesOf, secondAbove, type Transform, transformed, transformOf } from "./scores.ts";
import type { Rule, Site } from "./site.ts";

/** Linear models and support vector machines of ai.onnx.ml. */

/** A table of floats in rows of `width`; the file says how long it is, not how it is cut. */
function rowsOf(site: Site, numbers: readonly number[], width: number, what: string): Value {
  if (numbers.length === 0 || numbers.length % width !== 0) site.fail(`${numbers.length} ${what} cannot be cut into rows of ${width}`);
  return site.constant(Float32Array.from(numbers), "float32", [numbers.length / width, width]);
}

function linear(site: Site, coefficients: readonly number[], offsets: readonly number[]): Value {
  const x = samplesOf(site);
  const weights = rowsOf(site, coefficients, x.shape[1]!, "coefficients");
  if (offsets.length > 0 && offsets.length !== weights.shape[0]) site.fail(`${offsets.length} intercepts for ${weights.shape[0]} scores`);
  return dense(site, x, weights, offsets.length === 0 ? null : site.importer.numbers(offsets, "float32"));
}

const linearScores = (site: Site): Value => linear(site, site.floats("coefficients") ?? [], site.floats("intercepts") ?? []);

function linearRegressor(site: Site): Value {
  const scores = linearScores(site);
  if (scores.shape[1] !== site.int("targets", 1)) site.fail(`its coefficients are for ${scores.shape[1]} targets`);
  return transformed(site, scores, transformOf(site));
}

/** The scores of two classes from the one of the second. */
function bothScores(site: Site, score: Value, transform: Transform): Value {
  if (transform === "PROBIT") return site.unsupported("PROBIT of one score for two classes is not supported");
  const second = transform === "LOGISTIC" ? transformed(site, score, transform) : score;
  return concatenated(site, [sub(site, 1, second), second], 1);
}

function linearClassifier(site: Site): Value[] {
  const [scores, classes] = [linearScores(site), classesOf(site, "classlabels_ints")];
  const [count, transform] = [classes.labels.length, transformOf(site)];
  if (scores.shape[1] === 1 && count === 2) return classified(site, classes, secondAbove(site, scores, 0), bothScores(site, scores, transform));
  if (scores.shape[1] !== count) site.unsupported(`${scores.shape[1]} scores for ${count} classes are not supported`);
  return classified(site, classes, bestOf(site, scores), transformed(site, scores, transform));
}

type Kernel = "LINEAR" | "POLY" | "RBF" | "SIGMOID";

/** The kernel of every sample with every support vector: [n, vectors]. */
function kernels(site: Site, vectors: Value): Value {
  const x = samplesOf(site);
  const [gamma, offset, degree] = site.floats("kernel_params") ?? [];
  const kind = site.text("kernel_type", "LINEAR") as Kernel;
  if (kind === "LINEAR") return dense(site, x, vectors, null);
  if (gamma === undefined || offset === undefined || degree === undefined) return site.fail("its kernel lacks its three parameters");
  if (kind === "RBF") return site.emit("exp", [mul(site, site.emit("squaredDistances", [x, vectors]), -gamma)]);
  const inner = add(site, mul(site, dense(site, x, vectors, null), gamma), offset);
  if (kind === "SIGMOID") return site.emit("tanh", [inner]);
  return kind === "POLY" ? power(site, inner, degree) : site.fail(`there is no kernel "${kind}"`);
}

/** Small whole powers are products. */
function power(site: Site, x: Value, degree: number): Value {
  if (degree === 2) return mul(site, x, x);
  return degree === 3 ? mul(site, mul(site, x, x), x) : site.emit("pow", [x, site.like(x, degree)]);
}

function svmRegressor(site: Site): Value {
  const [coefficients, rho, count] = [site.floats("coefficients") ?? [], site.floats("rho") ?? [], site.int("n_supports", 0)];
  const score =
    count === 0
      ? linear(site, coefficients, rho)
      : dense(site, supported(site, count), rowsOf(site, coefficients, count, "coefficients"), rhoOf(site, rho));
  return site.int("one_class", 0) === 0 ? score : select(site, compare(site, "greater", score, 0), site.like(score, 1), -1);
}

function rhoOf(site: Site, rho: readonly number[]): Value {
  if (rho.length !== 1) site.fail(`it has ${rho.length} offsets`);
  return site.importer.numbers(rho, "float32");
}

function supported(site: Site, count: number): Value {
  const vectors = rowsOf(site, site.floats("support_vectors") ?? [], samplesOf(site).shape[1]!, "numbers of support vectors");
  if (vectors.shape[0] !== count) site.fail(`it has ${vectors.shape[0]} support vectors, not ${count}`);
  return kernels(site, vectors);
}

function svmClassifier(site: Site): Value[] {
  const classes = classesOf(site, "classlabels_ints");
  const count = classes.labels.length;
  if (count < 2) site.unsupported("a classifier of one class is not supported");
  const vectors = site.ints("vectors_per_class") ?? [];
  const total = vectors.reduce((sum, each) => sum + each, 0);
  if (total === 0) return linearMachine(site);
  if (vectors.length !== count) site.fail(`support vectors of ${vectors.length} classes for ${count} labels`);
  const pairs = (count * (count - 1)) / 2;
  const [rho, slopes, offsets] = (["rho", "prob_a", "prob_b"] as const).map((name) => site.floats(name) ?? []) as [number[], number[], number[]];
  const coefficients = rowsOf(site, site.floats("coefficients") ?? [], total, "coefficients");
  const tables = [supported(site, total), coefficients, site.importer.numbers(rho, "float32")];
  const scores = site.emit("oneVersusOneScores", tables, { vectors });
  const winner = bestOf(site, site.emit("oneVersusOneVotes", [scores]));
  const transform = transformOf(site);
  if (slopes.length === 0)
    return classified(site, classes, winner, pairs === 1 ? signedScores(site, scores, transform) : transformed(site, scores, transform));
  const sigmoids = [site.importer.numbers(slopes, "float32"), site.importer.numbers(offsets, "float32")];
  return classified(site, classes, winner, transformed(site, site.emit("oneVersusOneProbabilities", [scores, ...sigmoids]), transform));
}

/** Two classes without probabilities: as in ONNX Runtime the one score goes out with both signs, and as a share where it is transformed. */
function signedScores(site: Site, score: Value, transform: Transform): Value {
  return transform === "NONE" ? concatenated(site, [site.emit("neg", [score]), score], 1) : bothScores(site, score, transform);
}

/** A machine without support vectors has a weight for each feature and class, and one offset. */
function linearMachine(site: Site): Value[] {
  const [classes, coefficients] = [classesOf(site, "classlabels_ints"), site.floats("coefficients") ?? []];
  const rho = site.floats("rho")?.[0] ?? 0;
  const scores = linear(
    site,
    coefficients,
    classes.labels.map(() => rho),
  );
  return classified(site, classes, bestOf(site, scores), transformed(site, scores, transformOf(site)));
}

export const MACHINES: Readonly<Record<string, Rule>> = {
  LinearRegressor: linearRegressor,
  LinearClassifier: linearClassifier,
  SVMRegressor: svmRegressor,
  SVMClassifier: svmClassifier,
};
