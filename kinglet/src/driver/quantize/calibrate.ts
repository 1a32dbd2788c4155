import { KingletError } from "../../base/index.ts";
import type { Graph, Value } from "../../graph/index.ts";
import { findOp } from "../../ops/index.ts";
import { type CalibrationMethod, Histogram, needsHistogram, type Range, RangeObserver } from "../../passes/index.ts";
import type { Sample } from "../tensors.ts";
import { createValueRunner, type ValueRunner } from "./values.ts";

export interface CalibrateOptions {
  /** The default is min-max. */
  readonly method?: CalibrationMethod;
  /** For the percentile method: how many per cent of the elements the range must hold (default 99.99). */
  readonly percentile?: number;
}

/** Values whose ranges are wanted: everything in floating point that is not constant. */
function observed(graph: Graph): Value[] {
  const values = [...graph.inputs, ...graph.nodes.flatMap((node) => node.outputs)];
  return values.filter((value) => value.dtype === "float32");
}

/** What is only another name of a value has its range. */
function fillAliases(graph: Graph, ranges: Map<number, Range>): void {
  for (const node of graph.nodes) {
    const [from, to] = [node.inputs[0], node.outputs[0]];
    if (findOp(node.op)?.alias !== true || !from || !to || ranges.has(to.id)) continue;
    const range = ranges.get(from.id);
    if (range !== undefined) ranges.set(to.id, range);
  }
}

function pass(runner: ValueRunner, values: readonly Value[], samples: readonly Sample[], see: (value: Value, data: Float32Array) => void): void {
  for (const sample of samples) {
    runner.run(sample, (read) => {
      for (const value of values) {
        const data = read(value);
        if (data !== undefined) see(value, data);
      }
    });
  }
}

/**
 * Runs the samples through a floating-point graph and gives the range of every value, by id. Histogram methods run
 * them twice: first for the extremes, then to count.
 * @param graph from `prepareForQuantization`
 * @throws KingletError `bad-input` without samples, for a sample of the wrong size, or where a value becomes NaN or infinite.
 */
export function calibrate(graph: Graph, samples: readonly Sample[], options: CalibrateOptions = {}): ReadonlyMap<number, Range> {
  if (samples.length === 0) throw new KingletError("bad-input", "there is no calibration sample");
  const method = options.method ?? "minmax";
  const runner = createValueRunner(graph);
  const values = observed(graph);
  const observers = new Map(values.map((value) => [value.id, new RangeObserver(value.name)]));
  pass(runner, values, samples, (value, data) => observers.get(value.id)!.observe(data));
  const kind = method === "moving-average" ? method : "minmax";
  const seen = values.flatMap((value) => {
    const range = observers.get(value.id)!.range(kind);
    return range === undefined ? [] : [[value, range] as const];
  });
  const ranges = needsHistogram(method) ? byHistogram(runner, seen, samples, options) : new Map(seen.map(([value, range]) => [value.id, range]));
  fillAliases(graph, ranges);
  return ranges;
}

function byHistogram(
  runner: ValueRunner,
  seen: readonly (readonly [Value, Range])[],
  samples: readonly Sample[],
  { method, percentile = 99.99 }: CalibrateOptions,
): Map<number, Range> {
  const values = seen.map(([value]) => value);
  const histograms = new Map(seen.map(([value, range]) => [value.id, new Histogram(range)]));
  pass(runner, values, samples, (value, data) => histograms.get(value.id)!.observe(data));
  return new Map([...histograms].map(([id, histogram]) => [id, histogram.choose(method as "percentile" | "mse" | "entropy", percentile)]));
}
