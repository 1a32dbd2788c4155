import type { Node } from "../graph/index.ts";
import { type Expr, f32, type KernelBuilder, type KernelInstance, type Variable } from "../loops/index.ts";
import { makeCase, typed } from "./elementwise.ts";
import { attributesOf, inputOf, type OpDef, outputOf, refuse, typeAt, unsupportedTypes } from "./op.ts";

/** In the order in which they can be asked for. */
export const STATISTICS = ["mean", "std", "rms", "skewness", "kurtosis", "min", "max", "zeroCrossings", "peaks"] as const;
export type Statistic = (typeof STATISTICS)[number];

export interface TimeStatisticsAttributes {
  /** Names from `STATISTICS`, with a space between them. */
  readonly kinds: string;
  /** A peak must be higher than this. */
  readonly peakHeight: number;
}

const NAME = "timeStatistics";

function kindsOf(text: string): Statistic[] {
  return text.split(" ").map((kind) => STATISTICS.find((known) => known === kind) ?? refuse(NAME, `there is no statistic "${kind}"`));
}

/** Sums over a channel's samples, each only where something needs it. */
class Sums {
  private readonly k: KernelBuilder;
  private readonly kinds: readonly Statistic[];
  private readonly found = new Map<string, Variable>();
  private readonly rules: ((x: Expr, before: Expr, after: Expr) => void)[] = [];

  constructor(k: KernelBuilder, kinds: readonly Statistic[]) {
    this.k = k;
    this.kinds = kinds;
  }

  needs(...kinds: readonly Statistic[]): boolean {
    return kinds.some((kind) => this.kinds.includes(kind));
  }

  /** Makes `next` of what was found before and of a sample with its neighbours. */
  collect(name: string, start: Expr, next: (found: Expr, x: Expr, before: Expr, after: Expr) => Expr): void {
    const variable = this.k.variable(name, start);
    this.found.set(name, variable);
    this.rules.push((x, before, after) => variable.set(next(variable.get(), x, before, after)));
  }

  visit(x: Expr, before: Expr, after: Expr): void {
    for (const rule of this.rules) rule(x, before, after);
  }

  get(name: string): Expr {
    return this.found.get(name)!.get();
  }
}

/** What the second visit of the samples collects: central moments, extremes and counts. */
function collectAll(k: KernelBuilder, sums: Sums, mean: Expr, first: Expr, height: Expr): void {
  const centered = (x: Expr): Expr => x.sub(mean);
  const raised = (x: Expr, power: number): Expr => Array.from({ length: power - 1 }).reduce<Expr>((y) => y.mul(x), x);
  const moment = (name: string, power: number): void =>
    sums.collect(name, f32(0), (found, x) => found.add(raised(k.let(`${name}_part`, centered(x)), power)));
  if (sums.needs("std", "skewness", "kurtosis")) moment("second", 2);
  if (sums.needs("skewness")) moment("third", 3);
  if (sums.needs("kurtosis")) moment("fourth", 4);
  if (sums.needs("rms")) sums.collect("squares", f32(0), (found, x) => found.add(x.mul(x)));
  if (sums.needs("min")) sums.collect("least", first, (found, x) => x.min(found));
  if (sums.needs("max")) sums.collect("most", first, (found, x) => x.max(found));
  const counted = (condition: Expr): Expr => condition.to("f32");
  if (sums.needs("zeroCrossings")) sums.collect("crossings", f32(0), (found, x, before) => found.add(counted(x.lt(0).ne(before.lt(0)))));
  if (sums.needs("peaks"))
    sums.collect("peaks", f32(0), (found, x, before, after) => found.add(counted(x.gt(before).and(x.gt(after)).and(x.gt(height)))));
}

/** A quotient that is 0 where nothing varies. */
function standardized(k: KernelBuilder, moment: Expr, spread: Expr, constantSignal: Expr): Expr {
  return constantSignal.select(f32(0), moment.div(k.let("spread", constantSignal.select(f32(1), spread))));
}

function statisticOf(k: KernelBuilder, kind: Statistic, sums: Sums, mean: Expr, count: Expr): Expr {
  const average = (name: string): Expr => sums.get(name).div(count);
  const variance = (): Expr => k.let("variance", average("second"));
  switch (kind) {
    case "mean":
      return mean;
    case "std":
      return variance().sqrt();
    case "rms":
      return average("squares").sqrt();
    case "skewness": {
      const v = variance();
      return standardized(k, average("third"), v.mul(v.sqrt()), v.le(0));
    }
    case "kurtosis": {
      const v = variance();
      return v.le(0).select(f32(0), standardized(k, average("fourth"), v.mul(v), v.le(0)).sub(3));
    }
    case "min":
      return sums.get("least");
    case "max":
      return sums.get("most");
    case "zeroCrossings":
      return sums.get("crossings");
    case "peaks":
      return sums.get("peaks");
    default:
      return kind satisfies never;
  }
}

function meanOf(k: KernelBuilder, samples: Expr, count: Expr, at: (t: Expr) => Expr): Expr {
  const total = k.variable("total", f32(0));
  k.for("t", 0, samples, (t) => total.set(total.get().add(at(t))));
  return k.let("mean", total.get().div(count));
}

function statisticsLoops(k: KernelBuilder, node: Node): KernelInstance {
  if (inputOf(node, 0).dtype !== "float32" || outputOf(node).dtype !== "float32") throw unsupportedTypes(node);
  const a = attributesOf<TimeStatisticsAttributes>(node);
  const kinds = kindsOf(a.kinds);
  const [rows, time, channels] = inputOf(node, 0).shape as [number, number, number];
  const [x, y] = [k.input(0, "x"), k.output(0, "y")];
  const [samples, width] = [k.int("samples", time), k.int("channels", channels)];
  const count = k.float("count", time);
  k.for("row", 0, k.int("rows", rows), (row) =>
    k.for("channel", 0, width, (channel) => {
      const first = k.let("first", row.mul(samples).mul(width).add(channel));
      const at = (t: Expr): Expr => x.load(first.add(t.mul(width)));
      const sums = new Sums(k, kinds);
      const mean = sums.needs("mean", "std", "skewness", "kurtosis") ? meanOf(k, samples, count, at) : f32(0);
      collectAll(k, sums, mean, x.load(first), k.float("peak_height", a.peakHeight));
      k.for("s", 0, samples, (s) => {
        // Neighbours of the ends are the ends themselves: no crossing, no peak.
        sums.visit(k.let("value", at(s)), at(s.sub(1).max(0)), at(s.add(1).min(samples.sub(1))));
      });
      kinds.forEach((kind, i) => {
        const to = row.mul(kinds.length).add(i).mul(width).add(channel);
        y.store(to, statisticOf(k, kind, sums, mean, count));
      });
    }),
  );
  return k.finish("time_statistics_f32", "Statistics of every channel along time.");
}

/**
 * [n, time, channels] → [n, kinds, channels]. std is that of the population, skewness and (excess) kurtosis are its
 * moments as scipy.stats has them by default, 0 for a constant signal; a zero crossing is a change of x < 0; a peak is
 * larger than both neighbours and than the height.
 */
export const timeStatistics: OpDef = {
  name: NAME,
  infer(inputs, attributes) {
    const x = typeAt(NAME, inputs, 0, 3);
    const { kinds, peakHeight } = attributesOf<TimeStatisticsAttributes>({ attributes });
    if (!Number.isFinite(peakHeight)) refuse(NAME, `the height of a peak is ${peakHeight}`);
    return [{ dtype: x.dtype, shape: [x.shape[0]!, kindsOf(kinds).length, x.shape[2]!] }];
  },
  loops: statisticsLoops,
  cases: [STATISTICS.join(" "), "rms peaks"].map((kinds) =>
    makeCase(kinds, [typed("float32", [2, 40, 3])], typed("float32", [2, kinds.split(" ").length, 3]), { kinds, peakHeight: 0.25 }),
  ),
};
