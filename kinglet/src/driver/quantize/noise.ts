import type { Graph, Node, Value } from "../../graph/index.ts";
import type { QuantizedModel } from "../../passes/index.ts";
import type { Sample } from "../tensors.ts";
import { createValueRunner, sampleFor } from "./values.ts";

/** Energies of a signal and of its error, in all and by channel (the last dimension). */
export class Noise {
  readonly signal: Float64Array;
  readonly error: Float64Array;
  /** False until something was compared. */
  seen = false;

  constructor(channels: number) {
    this.signal = new Float64Array(channels);
    this.error = new Float64Array(channels);
  }

  add(real: Float32Array, got: Float32Array): void {
    const channels = this.signal.length;
    this.seen = true;
    real.forEach((x, i) => {
      const c = i % channels;
      this.signal[c]! += x * x;
      this.error[c]! += (x - got[i]!) ** 2;
    });
  }

  /** Signal-to-noise ratio in decibels: 10 log10(Σ x² / Σ (x − x̂)²); Infinity where nothing differs. */
  decibels(): number {
    return decibelsOf(sum(this.signal), sum(this.error));
  }

  channelDecibels(): number[] {
    return Array.from(this.signal, (signal, c) => decibelsOf(signal, this.error[c]!));
  }
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}

function decibelsOf(signal: number, error: number): number {
  if (error === 0) return Number.POSITIVE_INFINITY;
  return signal === 0 ? Number.NEGATIVE_INFINITY : 10 * Math.log10(signal / error);
}

function channelsOf(value: Value): number {
  return value.shape[value.shape.length - 1] ?? 1;
}

/** Pairs of a value in the floating-point graph and what stands for it. */
type Pairs = readonly (readonly [Value, Value])[];

/** Runs two graphs on the same samples and measures how far each right-hand value is from its left-hand one. */
function compare(left: Graph, right: Graph, pairs: Pairs, samples: readonly Sample[]): Map<number, Noise> {
  const [a, b] = [createValueRunner(left), createValueRunner(right)];
  const noises = new Map(pairs.map(([value]) => [value.id, new Noise(channelsOf(value))]));
  for (const sample of samples) {
    a.run(sample, (readLeft) =>
      b.run(sampleFor(right, left, sample), (readRight) => {
        for (const [real, got] of pairs) {
          const [x, y] = [readLeft(real), readRight(got)];
          if (x !== undefined && y !== undefined) noises.get(real.id)!.add(x, y);
        }
      }),
    );
  }
  return new Map([...noises].filter(([, noise]) => noise.seen));
}

function pairsOf(model: QuantizedModel): Pairs {
  return model.layers.flatMap(({ source }) =>
    source.outputs.flatMap((value) => {
      const got = model.values.get(value.id);
      return value.dtype === "float32" && got !== undefined ? [[value, got] as const] : [];
    }),
  );
}

/** Error of every integer layer's output in the running quantized network, by the source value's id. */
export function layerNoise(model: QuantizedModel, samples: readonly Sample[]): Map<number, Noise> {
  return compare(model.source, model.graph, pairsOf(model), samples);
}

const SQUASHING = new Set(["softmax", "logSoftmax", "logistic", "tanh"]);

function producer(graph: Graph, value: Value): Node | undefined {
  return graph.nodes.find((node) => node.outputs.includes(value));
}

/**
 * What an output is judged by: the input of a closing softmax or sigmoid, because those squeeze errors where they are
 * sure, and have a fixed step of 1/256.
 */
export function judgedValue(graph: Graph, output: Value): Value {
  let at = output;
  for (;;) {
    const node = producer(graph, at);
    const before = node?.inputs[0];
    const passes = node !== undefined && (SQUASHING.has(node.op) || node.op === "reshape");
    if (!passes || !before || before.data !== undefined || producer(graph, before) === undefined) return at;
    at = before;
  }
}

export interface OutputQuality {
  /** Signal-to-noise ratio of the judged values of all outputs together, in decibels. */
  readonly snrDb: number;
  /** Share of samples whose largest element is the same, for the first output; null where it has one element. */
  readonly agreement: number | null;
}

function largest(data: Float32Array): number {
  let at = 0;
  for (let i = 1; i < data.length; i++) if (data[i]! > data[at]!) at = i;
  return at;
}

/** How well a quantized model's outputs follow those of the original network, which may be another graph than its source. */
export function outputQuality(original: Graph, model: QuantizedModel, samples: readonly Sample[]): OutputQuality {
  const values = original.outputs.flatMap((output, i) => {
    const [real, mine] = [judgedValue(original, output), judgedValue(model.source, model.source.outputs[i]!)];
    const got = model.values.get(mine.id);
    return real.dtype === "float32" && got !== undefined ? [[real, got] as const] : [];
  });
  const [a, b] = [createValueRunner(original), createValueRunner(model.graph)];
  const noise = new Noise(1);
  let agreed = 0;
  for (const sample of samples) {
    a.run(sample, (readLeft) =>
      b.run(sampleFor(model.graph, original, sample), (readRight) => {
        values.forEach(([real, got], i) => {
          const [x, y] = [readLeft(real), readRight(got)];
          if (x === undefined || y === undefined) return;
          noise.add(x, y);
          if (i === 0 && largest(x) === largest(y)) agreed++;
        });
      }),
    );
  }
  const several = values[0] !== undefined && channelsOf(values[0][0]) > 1;
  return { snrDb: noise.decibels(), agreement: several ? agreed / samples.length : null };
}
