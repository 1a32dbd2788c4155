import { bytesOf, elementCount, fromBytes, KingletError } from "../base/index.ts";
import { compileGraph } from "../driver/browser.ts";
import type { Graph } from "../graph/index.ts";
import { storedNumbers } from "../ops/index.ts";
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
      runner.setInput(0, bytesOf(storedNumbers(graph.inputs[0]!, slice)));
      runner.run();
      const scores = fromBytes(graph.outputs[0]!.dtype, runner.output(0)) as ArrayLike<number>;
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
