import { allocate, bytesOf, elementCount, KingletError } from "../base/index.ts";
import { compileGraph } from "../driver/index.ts";
import type { Graph } from "../graph/index.ts";
import { createWasmRunner } from "../targets/wasm/index.ts";
import type { TrainingBatch } from "./fit.ts";

/** A sample that was taken for another class. */
export interface Mistake {
  /** Its place in the order given. */
  readonly sample: number;
  readonly label: number;
  readonly answer: number;
  /** The answer's score less that of the sample's class: how sure the network was. */
  readonly margin: number;
}

/** How well a classifier does. */
export interface Evaluation {
  readonly samples: number;
  /** Share of samples whose largest score is their class. */
  readonly accuracy: number;
  /** [class][answer]: how many. */
  readonly confusion: readonly (readonly number[])[];
  /** Samples that were taken for another class. */
  readonly mistakes: readonly Mistake[];
}

/** The place of the largest number, the first of several. */
export function argMax(scores: ArrayLike<number>, start: number, count: number): number {
  let best = 0;
  for (let c = 1; c < count; c++) if (scores[start + c]! > scores[start + best]!) best = c;
  return best;
}

/** Real numbers as an input's type stores them. */
function storedInput(graph: Graph, data: Float32Array): Uint8Array {
  const { dtype, quantization } = graph.inputs[0]!;
  if (dtype === "float32") return bytesOf(data);
  if ((dtype !== "int8" && dtype !== "int16" && dtype !== "uint8") || quantization === undefined)
    throw new KingletError("unsupported", `the network's input is ${dtype}: give it float32 or quantized inputs`);
  const [low, high] = { int8: [-128, 127], uint8: [0, 255], int16: [-32768, 32767] }[dtype] as [number, number];
  const [scale, zero] = [quantization.scales[0]!, quantization.zeroPoints[0]!];
  const stored = allocate(dtype, data.length);
  for (let i = 0; i < data.length; i++) stored[i] = Math.min(high, Math.max(low, Math.round(data[i]! / scale) + zero));
  return bytesOf(stored);
}

function scoresOf(graph: Graph, bytes: Uint8Array): ArrayLike<number> {
  const copy = bytes.slice().buffer;
  const { dtype } = graph.outputs[0]!;
  if (dtype === "float32") return new Float32Array(copy);
  if (dtype === "int16") return new Int16Array(copy);
  return dtype === "int8" ? new Int8Array(copy) : new Uint8Array(copy);
}

/**
 * Runs a classifier, float or quantized, over batches of any size: the network's own batch divides them.
 * @throws KingletError `bad-input` where the batches do not fit the network.
 */
export async function evaluate(graph: Graph, batches: AsyncIterable<TrainingBatch> | Iterable<TrainingBatch>): Promise<Evaluation> {
  const { program, plan } = compileGraph(graph, { target: "wasm", overlap: false });
  const runner = createWasmRunner(program, plan);
  const input = elementCount(graph.inputs[0]!.shape);
  const own = graph.inputs[0]!.shape[0]!;
  const classes = elementCount(graph.outputs[0]!.shape) / own;
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  const mistakes: Mistake[] = [];
  const unit = graph.outputs[0]!.quantization?.scales[0] ?? 1;
  let samples = 0;
  for await (const { data, labels, count } of batches) {
    const size = input / own;
    for (let first = 0; first < count; first += own) {
      const slice = new Float32Array(input);
      slice.set(data.subarray(first * size, Math.min(data.length, (first + own) * size)));
      runner.setInput(0, storedInput(graph, slice));
      runner.run();
      const scores = scoresOf(graph, runner.output(0));
      for (let i = first; i < Math.min(count, first + own); i++) {
        const [label, answer] = [labels[i]!, argMax(scores, (i - first) * classes, classes)];
        if (confusion[label] === undefined)
          throw new KingletError("bad-input", `there is a sample of class ${label}, and the network has ${classes} classes`);
        confusion[label][answer]!++;
        if (label !== answer) {
          const at = (i - first) * classes;
          mistakes.push({ sample: samples + i, label, answer, margin: unit * (scores[at + answer]! - scores[at + label]!) });
        }
      }
    }
    samples += count;
  }
  const right = confusion.reduce((sum, row, label) => sum + row[label]!, 0);
  return { samples, accuracy: samples === 0 ? Number.NaN : right / samples, confusion, mistakes };
}
