import { elementCount } from "../../base/index.ts";
import type { Value } from "../../graph/index.ts";
import { compare, div, mul, reduce, select } from "./math.ts";
import { elementPositions } from "./ops-index.ts";
import { unsqueezed } from "./ops-movement.ts";
import type { Rule, Site } from "./site.ts";

/** −weight · x at each target's class; what is ignored counts nothing. */
function negativeLogLikelihood(site: Site, logits: Value, target: Value, weight: Value | null): Value {
  const classes = logits.shape[1]!;
  const ignored = site.has("ignore_index") ? compare(site, "equal", target, site.int("ignore_index", 0)) : null;
  const safe = ignored === null ? target : select(site, ignored, site.like(target, 0), target);
  const indices = unsqueezed(site, safe, [1]);
  const flat = site.reshape(logits, [elementCount(logits.shape)]);
  const picked = site.emit("gather", [flat, elementPositions(site, logits, indices, 1)], { axis: 0, batchDims: 0 });
  const loss = site.emit("neg", [site.reshape(picked, target.shape)]);
  const each = weight === null ? null : site.emit("gather", [site.reshape(weight, [classes]), safe], { axis: 0, batchDims: 0 });
  const zero = site.importer.numbers(0, "float32");
  const one = site.importer.numbers(1, "float32");
  const counts =
    each === null ? (ignored === null ? null : select(site, ignored, zero, one)) : ignored === null ? each : select(site, ignored, zero, each);
  const weighted = counts === null ? loss : mul(site, loss, counts);
  const all = target.shape.map((_, d) => d);
  const reduction = site.text("reduction", "mean");
  if (reduction === "none") return weighted;
  if (reduction === "sum" || counts === null) return reduce(site, reduction === "sum" ? "sum" : "mean", weighted, all, false);
  return div(site, reduce(site, "sum", weighted, all, false), reduce(site, "sum", counts, all, false));
}

function crossEntropy(site: Site): Value[] {
  const scores = site.input(0);
  const swap = scores.shape.map((_, d) => (d === 1 ? scores.shape.length - 1 : d === scores.shape.length - 1 ? 1 : d));
  const logs = site.transpose(site.emit("logSoftmax", [site.transpose(scores, swap)]), swap);
  return [negativeLogLikelihood(site, logs, site.input(1), site.optional(2)), logs];
}

export const LOSS: Readonly<Record<string, Rule>> = {
  NegativeLogLikelihoodLoss: (site) => negativeLogLikelihood(site, site.input(0), site.input(1), site.optional(2)),
  SoftmaxCrossEntropyLoss: crossEntropy,
};
