import { elementCount, KingletError } from "../base/index.ts";
import { type Graph, GraphBuilder, type Node, type Value } from "../graph/index.ts";
import { applyOp, learnableValues } from "../ops/index.ts";
import { differentiate, unrollLstm } from "../passes/index.ts";
import { type Distillation, distillationLoss, LOSS_NODE } from "./distill.ts";
import { type Part, splitChannels } from "./channels.ts";
import { checkOptimizer, type Optimizer, rateCount, type StateVariable, writeIntegerUpdate, writeUpdate } from "./optimizer.ts";

/** What one training step computes. */
export interface StepOptions {
  readonly optimizer: Optimizer;
  /** Cross-entropy of the network's logits with a distribution over classes, or the mean square of output − target. */
  readonly loss?: "crossEntropy" | "meanSquare";
  /** Learns from a teacher's answers beside the labels; only with the cross-entropy. */
  readonly distill?: Distillation;
  /** Gradients longer than this, all together as one vector, are shortened to it. */
  readonly clipNorm?: number;
  /** Share of the inputs of the last fully connected layer that are dropped. */
  readonly dropout?: number;
  /** How much of the running statistics of a batch normalization a step keeps. */
  readonly statisticsDecay?: number;
  /**
   * Keeps a moving average of all weights and statistics, of which a step keeps this share, and gives it back instead of the last ones
   * (Polyak & Juditsky 1992); 0.99 to 0.999 as a rule. At the beginning it keeps less: at most (1 + n) / (10 + n) after n steps.
   */
  readonly averageDecay?: number;
  /**
   * Pulls parameters back to where they began: the gradient gains this times (weights − anchor) (FedProx; Li et al., MLSys 2020). The
   * anchors are state, `NAME/anchor`.
   */
  readonly proximal?: number;
  /** Adds `NAME/correction`, which is state, to every gradient (SCAFFOLD; Karimireddy et al., ICML 2020). */
  readonly corrected?: boolean;
  /** Parameters that stay as they are; a batch normalization whose scale is frozen keeps its statistics, too. */
  readonly frozen?: (name: string) => boolean;
  /** Of these weights, of fully connected layers and ungrouped convolutions, only so many channels (their last dimension) learn, the first ones. */
  readonly channels?: ReadonlyMap<string, number>;
  /** Of int8 weights: false leaves quantization-aware scaling out, to see what it is good for (see the operator `quantizedDescentUpdate`). */
  readonly scaled?: boolean;
}

/** A training step as a graph: forward, loss, backward, updates. Its state are variables, kept from step to step. */
export interface TrainingStep {
  readonly graph: Graph;
  /** The network's own constants, by the variable that stands for each while it is trained, or for its first channels where only those learn. */
  readonly trained: readonly { readonly constant: Value; readonly variable: StateVariable }[];
  /** All variables: parameters, statistics, the optimizer's memory. */
  readonly state: readonly StateVariable[];
  /** Names of those that are running statistics of batch normalization. */
  readonly statistics: ReadonlySet<string>;
  /** Places in `graph.inputs`: the network's inputs come first; `seed` is there with dropout only. */
  readonly targetsInput: number;
  readonly ratesInput: number;
  readonly seedInput: number | null;
  /** The loss of each sample, [batch]. */
  readonly losses: Value;
}

const STATISTICS = [3, 4] as const;

class StepWriter {
  readonly builder: GraphBuilder;
  readonly state: StateVariable[] = [];
  readonly trained: { constant: Value; variable: StateVariable }[] = [];
  /** Running statistics are state, but nothing that gradients change. */
  readonly statistics = new Set<Value>();
  /** Weights in two parts, by how many of their channels learn. */
  readonly channels = new Map<Value, number>();
  private readonly moving: { readonly running: Value; readonly statistic: Value; readonly name: string }[] = [];
  private readonly network: Graph;
  private readonly options: StepOptions;
  private readonly values = new Map<number, Value>();
  private readonly parameters: ReadonlySet<Value>;

  constructor(network: Graph, options: StepOptions) {
    this.network = network;
    this.options = options;
    this.builder = new GraphBuilder(`training step of ${network.name}`);
    const frozen = options.frozen ?? (() => false);
    this.parameters = new Set(learnableValues(network).filter(({ name }) => !frozen(name)));
    for (const input of network.inputs) this.values.set(input.id, this.builder.input(input.name, input));
  }

  private variable(constant: Value): Value {
    // Files may give several tensors one name; state is kept by name.
    const taken = this.state.some(({ name }) => name === constant.name);
    const name = taken ? `${constant.name}#${constant.id}` : constant.name;
    const learned = this.options.channels?.get(constant.name) ?? Infinity;
    const { head, rest } = splitChannels(constant, learned);
    const variable = { name, value: this.builder.variable(name, head.type, head.data) };
    this.state.push(variable);
    this.trained.push({ constant, variable });
    const whole = rest === null ? variable.value : this.joined(constant, variable.value, rest);
    this.values.set(constant.id, whole);
    return whole;
  }

  /** Weights of which only the first channels are a variable. */
  private joined(constant: Value, head: Value, rest: Part): Value {
    const whole = this.builder.value(`${constant.name} whole`, { dtype: constant.dtype, shape: constant.shape, quantization: constant.quantization });
    const frozen = this.builder.constant(`${constant.name} frozen`, rest.type, rest.data);
    this.builder.node("concatenation", [head, frozen], [whole], { axis: constant.shape.length - 1 }, whole.name);
    this.channels.set(whole, head.shape.at(-1)!);
    return whole;
  }

  /** The step's own value for one of the network's. */
  of(value: Value): Value {
    const known = this.values.get(value.id);
    if (known !== undefined) return known;
    if (value.data === undefined) throw new KingletError("unsupported", `"${value.name}" keeps state from run to run, which training does not have`);
    if (this.parameters.has(value)) return this.variable(value);
    const constant = this.builder.constant(value.name, value, value.data);
    this.values.set(value.id, constant);
    return constant;
  }

  private copy(node: Node): void {
    const inputs = node.inputs.map((value) => (value === null ? null : this.of(value)));
    const outputs = node.outputs.map((value) => this.builder.value(value.name, value));
    node.outputs.forEach((value, i) => this.values.set(value.id, outputs[i]!));
    this.builder.node(node.op, inputs, outputs, node.attributes, node.name);
  }

  /** By the batch's own statistics, which move the running ones on. */
  private batchNorm(node: Node): void {
    const [x, scale, offset] = node.inputs.slice(0, 3).map((value) => this.of(value!)) as [Value, Value, Value];
    const [y, ...statistics] = applyOp(this.builder, "batchNormTraining", [x, scale, offset], node.attributes, node.name) as [Value, ...Value[]];
    this.values.set(node.outputs[0]!.id, y);
    STATISTICS.forEach((index, i) => {
      const running = this.variable(node.inputs[index]!);
      this.statistics.add(running);
      this.moving.push({ running, statistic: statistics[i]!, name: `${node.name} statistics ${i}` });
    });
  }

  private seed: Value | null = null;

  private dropInputs(node: Node, rate: number): void {
    this.seed = this.builder.input("seed", { dtype: "int32", shape: [1] });
    const x = node.inputs[0]!;
    this.values.set(x.id, applyOp(this.builder, "dropout", [this.of(x), this.seed], { rate, salt: 0 }, `${node.name} dropout`)[0]!);
  }

  /** The network's output before a final softmax, and the nodes behind it, which a loss has no use for. */
  private answer(): { readonly output: Value; readonly behind: readonly Node[] } {
    const maker = (value: Value): Node | undefined => this.network.nodes.find(({ outputs }) => outputs.includes(value));
    const output = this.network.outputs[0]!;
    const last = maker(output);
    const softmax = last?.op === "dequantize" ? maker(last.inputs[0]!) : last;
    if (softmax?.op !== "softmax" || this.options.loss === "meanSquare") return { output, behind: [] };
    return { output: softmax.inputs[0]!, behind: [softmax, last!] };
  }

  /** Writes the network and gives its output before a final softmax, as real numbers. */
  forward(): Value {
    const { nodes } = this.network;
    const { output, behind } = this.answer();
    const dense = nodes.findLast((node) => node.op === "fullyConnected");
    for (const node of nodes) {
      if (behind.includes(node)) continue;
      if (node === dense && (this.options.dropout ?? 0) > 0) this.dropInputs(node, this.options.dropout!);
      if (node.op === "batchNorm" && this.parameters.has(node.inputs[1]!)) this.batchNorm(node);
      else this.copy(node);
    }
    const answer = this.of(output);
    return answer.dtype === "float32" ? answer : applyOp(this.builder, "dequantize", [answer], {}, "answer")[0]!;
  }

  /** Moves the running statistics on, once the loss is known. */
  moveStatistics(loss: Value): void {
    const decay = this.options.statisticsDecay ?? 0.9;
    for (const { running, statistic, name } of this.moving)
      this.builder.node("movingAverage", [running, after(this.builder, statistic, loss)], [], { decay }, name);
  }

  get seedInput(): Value | null {
    return this.seed;
  }
}

/**
 * A row of numbers that is there only when the loss is: whatever changes state takes one of its inputs through here, so that a step
 * can be stopped at its loss with nothing changed.
 */
function after(builder: GraphBuilder, x: Value, loss: Value): Value {
  const both = applyOp(builder, "concatenation", [x, loss], { axis: 0 })[0]!;
  return applyOp(builder, "slice", [both], { begin: [0], size: [...x.shape] })[0]!;
}

/** Shortens all gradients together to a length of at most `most` (Pascanu et al., ICML 2013). */
function clipped(builder: GraphBuilder, gradients: readonly Value[], most: number): Value[] {
  const apply = (op: string, inputs: Value[], attributes = {}): Value => applyOp(builder, op, inputs, attributes)[0]!;
  const number = (name: string, value: number): Value => builder.constant(name, { dtype: "float32", shape: [1] }, Float32Array.of(value));
  const squares = gradients.map((g) => {
    const axes = g.shape.map((_, d) => d);
    return apply("reshape", [apply("sum", [apply("square", [g])], { axes, keepDims: false })], { shape: [1] });
  });
  const total = squares.length === 1 ? squares[0]! : apply("addN", squares);
  const length = apply("maximum", [apply("sqrt", [total]), number("clip_norm", most)]);
  const factor = apply("div", [number("clip_norm_again", most), length], { activation: "none" });
  return gradients.map((g) => apply("mul", [g, factor], { activation: "none" }));
}

/** Gradients with what federated learning adds to them; `state` gains the variables. */
function pulled(
  builder: GraphBuilder,
  updated: readonly { readonly value: Value; readonly gradient: Value }[],
  { proximal = 0, corrected = false }: StepOptions,
  state: StateVariable[],
): Value[] {
  const remember = (weights: Value, what: string, data: Float32Array): Value => {
    const name = `${weights.name}/${what}`;
    const value = builder.variable(name, weights, data);
    state.push({ name, value });
    return value;
  };
  const apply = (op: string, inputs: Value[]): Value => applyOp(builder, op, inputs, { activation: "none" })[0]!;
  return updated.map(({ value, gradient }) => {
    let result = gradient;
    if (proximal !== 0) {
      const away = apply("sub", [value, remember(value, "anchor", value.initial as Float32Array)]);
      const strength = builder.constant(`${value.name} proximal`, { dtype: "float32", shape: [1] }, Float32Array.of(proximal));
      result = apply("add", [result, apply("mul", [away, strength])]);
    }
    if (corrected) result = apply("add", [result, remember(value, "correction", new Float32Array(elementCount(value.shape)))]);
    return result;
  });
}

/** Writes the nodes that change parameters; `state` gains what they remember. */
function writeUpdates(
  builder: GraphBuilder,
  { optimizer, scaled = true }: StepOptions,
  updated: readonly { readonly value: Value; readonly gradient: Value }[],
  rates: Value,
  state: StateVariable[],
): void {
  updated.forEach(({ value, gradient }, i) => {
    if (value.dtype === "float32") state.push(...writeUpdate(builder, optimizer, value, gradient, rates));
    else state.push(writeIntegerUpdate(builder, optimizer, value, gradient, rates, i + 1, scaled));
  });
}

function lossOf({ builder, state }: StepWriter, output: Value, targets: Value, { loss: kind, distill }: StepOptions): { loss: Value; result: Value } {
  if (distill !== undefined && kind === "meanSquare") throw new KingletError("misuse", "distillation needs classes and the cross-entropy");
  if (distill !== undefined) return distillationLoss(builder, output, targets, distill, state);
  if (kind === "meanSquare") {
    const squares = applyOp(builder, "squaredDifference", [output, targets], { activation: "none" }, "squares")[0]!;
    const axes = squares.shape.slice(1).map((_, d) => d + 1);
    return { loss: applyOp(builder, "mean", [squares], { axes, keepDims: false }, LOSS_NODE)[0]!, result: output };
  }
  const [loss, result] = applyOp(builder, "softmaxCrossEntropy", [output, targets], {}, LOSS_NODE) as [Value, Value];
  return { loss, result };
}

/**
 * Writes the training step of a network whose batch is the first dimension of its input: of floats, or of int8, whose weights and biases
 * stay integers while they learn (Lin et al., NeurIPS 2022). Outputs: the mean loss [1], and
 * the results [batch, …] (class probabilities with cross-entropy).
 * @throws KingletError `unsupported` for operators without a gradient; `misuse` for options that make no sense.
 */
export function trainingStep(given: Graph, options: StepOptions): TrainingStep {
  checkOptimizer(options.optimizer);
  if (options.proximal !== undefined && !(options.proximal >= 0)) throw new KingletError("misuse", `the proximal term is ${options.proximal}`);
  const writer = new StepWriter(unrollLstm(given), options);
  const { builder } = writer;
  const output = writer.forward();
  const targets = builder.input("targets", { dtype: "float32", shape: output.shape });
  const rates = builder.input("rates", { dtype: "float32", shape: [rateCount(options.optimizer)] });
  const { loss, result } = lossOf(writer, output, targets, options);
  const mean = applyOp(builder, "mean", [loss], { axes: [0], keepDims: true }, "loss")[0]!;
  const parameters = writer.state.filter(({ value }) => !writer.statistics.has(value));
  if (parameters.length === 0) throw new KingletError("misuse", "the network has no parameter to train");
  const stepRates = after(builder, rates, mean);
  const wanted = parameters.map(({ value }) => value);
  const gradients = differentiate(builder, mean, wanted, writer.channels);
  const updated = parameters.flatMap(({ value }, i) => (gradients[i] === null ? [] : [{ value, gradient: gradients[i]! }]));
  const all = updated.map(({ gradient }) => gradient);
  const ready = options.clipNorm === undefined ? all : clipped(builder, all, options.clipNorm);
  const directed = updated.map(({ value }, i) => ({ value, gradient: ready[i]! }));
  const final = pulled(builder, directed, options, writer.state);
  const moved = updated.map(({ value }, i) => ({ value, gradient: final[i]! }));
  writeUpdates(builder, options, moved, stepRates, writer.state);
  writer.moveStatistics(mean);
  builder.output(mean);
  builder.output(result);
  const graph = builder.build();
  const place = (value: Value | null): number | null => (value === null ? null : graph.inputs.indexOf(value));
  return {
    graph,
    trained: writer.trained,
    state: writer.state,
    statistics: new Set(writer.state.filter(({ value }) => writer.statistics.has(value)).map(({ name }) => name)),
    targetsInput: place(targets)!,
    ratesInput: place(rates)!,
    seedInput: place(writer.seedInput),
    losses: loss,
  };
}
