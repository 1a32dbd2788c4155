import { elementCount, KingletError, sameShape, shapeText } from "../base/index.ts";
import type { Graph, GraphBuilder, Value } from "../graph/index.ts";
import { applyOp } from "../ops/index.ts";
import { withBatch } from "../passes/index.ts";
import { type Hint, hintLoss, outputNamed } from "./hint.ts";
import type { StateVariable } from "./optimizer.ts";

/** A teacher whose answers a network learns to give (Hinton, Vinyals & Dean, arXiv 1503.02531). */
export interface Distillation {
  /** Any float network, trained or imported, with as many inputs as the student and its classes; its batch and the inputs' shape may be others. */
  readonly teacher: Graph;
  /** T: both answers are softened by it. Default 4. */
  readonly temperature?: number;
  /** α: what the teacher counts; 1 − α is left for the labels. Default 0.9. */
  readonly alpha?: number;
  /** Also makes a layer of the student like one of the teacher. */
  readonly hint?: Hint;
}

/** The node that computes the loss of each sample. */
export const LOSS_NODE = "losses";

function check({ teacher, temperature, alpha }: Required<Omit<Distillation, "hint">>, inputs: readonly Value[]): void {
  if (!(temperature > 0 && Number.isFinite(temperature))) throw new KingletError("misuse", `the temperature is ${temperature}; it must be above 0`);
  if (!(alpha >= 0 && alpha <= 1)) throw new KingletError("misuse", `alpha is ${alpha}; it is a share from 0 to 1`);
  teacher.inputs.forEach((input, i) => {
    const own = inputs[i];
    if (own === undefined || own.dtype !== input.dtype || elementCount(own.shape) !== elementCount(input.shape))
      throw new KingletError(
        "misuse",
        `the teacher takes ${input.dtype}${shapeText(input.shape)} and the student ${own === undefined ? "less" : shapeText(own.shape)}`,
      );
  });
}

/** What is rows of pixels for the one may be pictures for the other. */
function asShape(builder: GraphBuilder, x: Value, { shape, name }: Value): Value {
  return sameShape(x.shape, shape) ? x : applyOp(builder, "reshape", [x], { shape: [...shape] }, `teacher/${name}`)[0]!;
}

/** Writes a network's nodes, as they are for inference, behind other inputs; gives its output before a final softmax. */
function writeFrozen(builder: GraphBuilder, network: Graph, inputs: readonly Value[]): Value {
  const now = new Map(network.inputs.map((input, i) => [input.id, inputs[i]!]));
  const of = (value: Value): Value => {
    const known = now.get(value.id);
    if (known !== undefined) return known;
    if (value.data === undefined) throw new KingletError("unsupported", `the teacher's "${value.name}" keeps state from run to run`);
    const constant = builder.constant(`teacher/${value.name}`, value, value.data);
    now.set(value.id, constant);
    return constant;
  };
  const end = network.outputs[0]!;
  const last = network.nodes.find((node) => node.outputs.includes(end));
  for (const node of network.nodes) {
    if (node === last && node.op === "softmax") return of(node.inputs[0]!);
    const sources = node.inputs.map((value) => (value === null ? null : of(value)));
    const results = node.outputs.map((value) => builder.value(`teacher/${value.name}`, value));
    node.outputs.forEach((value, i) => now.set(value.id, results[i]!));
    builder.node(node.op, sources, results, node.attributes, `teacher/${node.name}`);
  }
  return of(end);
}

function scaled(builder: GraphBuilder, x: Value, factor: number, name?: string): Value {
  const by = builder.constant(`factor_${builder.written.length}`, { dtype: "float32", shape: [1] }, Float32Array.of(factor));
  return applyOp(builder, "mul", [x, by], { activation: "none" }, name)[0]!;
}

/**
 * (1 − α) · CE(y, softmax(z)) + α · T² · KL(softmax(z_t / T) ‖ softmax(z / T)) of each sample, with logits z of the student and z_t of
 * the teacher, which runs in the same step on the same (augmented, dropped-out) batch. The divergence is the cross-entropy with the
 * teacher's answer less that answer's own entropy, which has no gradient but makes a perfect student's loss 0. T² keeps the gradient's
 * size when T changes. What a hint trains along is added to `state`.
 */
export function distillationLoss(
  builder: GraphBuilder,
  logits: Value,
  targets: Value,
  options: Distillation,
  state: StateVariable[],
): { loss: Value; result: Value } {
  const { temperature = 4, alpha = 0.9, hint } = options;
  const own = hint === undefined ? undefined : outputNamed(builder, hint.student, "student");
  const teacher = withBatch(options.teacher, logits.shape[0]!);
  const inputs = builder.build().inputs.slice(0, teacher.inputs.length);
  check({ teacher, temperature, alpha }, inputs);
  const seen = inputs.map((input, i) => asShape(builder, input, teacher.inputs[i]!));
  const answer = writeFrozen(builder, teacher, seen);
  if (elementCount(answer.shape) !== elementCount(logits.shape) || !sameShape(answer.shape, logits.shape))
    throw new KingletError("misuse", `the teacher answers ${shapeText(answer.shape)} and the student ${shapeText(logits.shape)}`);
  const apply = (op: string, values: Value[], attributes = {}, name?: string): Value[] => applyOp(builder, op, values, attributes, name);
  const [hard, result] = apply("softmaxCrossEntropy", [logits, targets], {}, "hard_losses") as [Value, Value];
  const soft = scaled(builder, answer, 1 / temperature);
  const [probabilities] = apply("softmax", [soft], { beta: 1 }, "teacher/answer") as [Value];
  const [entropy] = apply("softmaxCrossEntropy", [soft, probabilities], {}, "teacher/entropy") as [Value];
  const [cross] = apply("softmaxCrossEntropy", [scaled(builder, logits, 1 / temperature), probabilities], {}, "soft_losses") as [Value];
  const [divergence] = apply("sub", [cross, entropy], { activation: "none" }, "divergence") as [Value];
  const parts = [scaled(builder, hard, 1 - alpha), scaled(builder, divergence, alpha * temperature * temperature)];
  if (hint === undefined || own === undefined) return { loss: apply("add", parts, { activation: "none" }, LOSS_NODE)[0]!, result };
  const learned = apply("add", parts, { activation: "none" }, "answer_losses")[0]!;
  const hinted = hintLoss(builder, own, outputNamed(builder, `teacher/${hint.teacher}`, "teacher"), hint.weight ?? 1, state);
  return { loss: apply("add", [learned, hinted], { activation: "none" }, LOSS_NODE)[0]!, result };
}
