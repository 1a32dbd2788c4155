import { fromBytes, KingletError, Xorshift32 } from "../base/index.ts";
import { compileGraph, createValueRunner, judgedValue, type Sample, type Tune } from "../driver/browser.ts";
import { type Graph, withConstants } from "../graph/index.ts";
import { fakeQuantize, type QuantizeOptions, withBatch } from "../passes/index.ts";
import { rateAt } from "./schedule.ts";
import { TrainingSession } from "./session.ts";

/** A network to train as it will be once quantized (Jacob et al., CVPR 2018). */
export interface QuantizationAware {
  /** What is trained: the source with fake quantization in it. */
  readonly graph: Graph;
  /** The source with what the trained graph learned: `quantizeGraph` takes it, with the same ranges. */
  readonly sourceOf: (trained: Graph) => Graph;
}

/**
 * Prepares quantization-aware training of a network whose batch norms are folded, with ranges from calibration, which stay as they are.
 * @param source from `prepareForQuantization`
 */
export function quantizationAware(source: Graph, options: QuantizeOptions): QuantizationAware {
  const { graph, constants } = fakeQuantize(source, options);
  const sourceOf = (trained: Graph): Graph =>
    withConstants(
      source,
      new Map([...constants].flatMap(([value, id]) => (value.dtype === "float32" ? [[value, trained.values[id]!.data as Float32Array]] : []))),
    );
  return { graph, sourceOf };
}

const TUNE = { batch: 16, rate: 1e-3, leastSteps: 30, mostSteps: 400 };
/** Multiply-accumulates that tuning may take; a backward pass is about twice a forward one. */
const MOST_WORK = 6e10;

function stepsFor(graph: Graph, batch: number): number {
  const { macs } = compileGraph(graph, { target: "plain" });
  return Math.max(TUNE.leastSteps, Math.min(TUNE.mostSteps, Math.floor(MOST_WORK / (3 * batch * Math.max(1, macs)))));
}

/** Copies some samples one behind the other. */
function joined(samples: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(samples.length * samples[0]!.length);
  samples.forEach((sample, i) => all.set(sample, i * sample.length));
  return all;
}

/**
 * Short quantization-aware training without labels: for some hundred steps the network with fake quantization learns to answer the
 * calibration samples as the floating-point one does (mean square, before a closing softmax). Gives undefined where the network cannot
 * be trained: several inputs or outputs, another batch than 1, an operator without a gradient, a loss that is no number.
 */
export const tuneQuantized: Tune = (source, options, samples, tell) => {
  const [input, output] = [source.inputs[0]!, source.outputs[0]!];
  if (source.inputs.length !== 1 || source.outputs.length !== 1 || input.dtype !== "float32" || input.shape[0] !== 1) return undefined;
  const judged = judgedValue(source, output);
  const open = { ...source, outputs: [judged] };
  try {
    return tuned(source, open, options, samples, tell);
  } catch (error) {
    if (error instanceof KingletError && error.code === "unsupported") return undefined;
    throw error;
  }
};

function tuned(source: Graph, open: Graph, options: QuantizeOptions, samples: readonly Sample[], tell: (what: string) => void): Graph | undefined {
  const batch = Math.min(TUNE.batch, samples.length);
  const aware = quantizationAware(open, options);
  const network = withBatch(aware.graph, batch);
  const session = new TrainingSession(network, { optimizer: { kind: "adam" }, loss: "meanSquare" });
  const teacher = createValueRunner(open);
  const answers = samples.map((sample) => teacher.run(sample, (read) => Float32Array.from(read(open.outputs[0]!)!)));
  const data = samples.map((sample) => fromBytes("float32", sample[0]!) as Float32Array);
  const steps = stepsFor(source, batch);
  const random = new Xorshift32(7);
  for (let step = 0; step < steps; step++) {
    tell(`quantization-aware training: step ${step + 1} of ${steps}`);
    const chosen = Array.from({ length: batch }, () => random.int(0, samples.length - 1));
    const rate = rateAt({ kind: "cosine", rate: TUNE.rate }, step, steps);
    const { loss } = session.run([joined(chosen.map((i) => data[i]!))], joined(chosen.map((i) => answers[i]!)), rate);
    if (Number.isNaN(loss)) return undefined;
  }
  if (session.notFinite() !== undefined) return undefined;
  const learned = aware.sourceOf(withConstants(network, session.trainedConstants()));
  return { ...learned, outputs: source.outputs.map(({ id }) => learned.values[id]!) };
}
