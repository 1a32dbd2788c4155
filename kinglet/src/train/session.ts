import { bytesOf, fromBytes, KingletError, type TypedArray, viewOf } from "../base/index.ts";
import { type Compiled, compileGraph } from "../driver/browser.ts";
import type { Graph, Value } from "../graph/index.ts";
import type { ProgramRunner } from "../loops/index.ts";
import { createJsRunner } from "../targets/js/index.ts";
import { canShareMemory, createSharedRunner, createWasmRunner } from "../targets/wasm/index.ts";
import { type Optimizer, ratesFor } from "./optimizer.ts";
import { WeightAverage } from "./average.ts";
import { joinChannels } from "./channels.ts";
import { LOSS_NODE } from "./distill.ts";
import { type StepOptions, type TrainingStep, trainingStep } from "./step.ts";

/** Where training computes: WebAssembly with SIMD, or plain JavaScript (slow, the definition). */
export type TrainingTarget = "wasm" | "plain";

/** Begins the names of averages in a saved state. */
const AVERAGE = "average/";

/** A step ready to run. */
interface Prepared {
  readonly step: TrainingStep;
  readonly compiled: Compiled;
  readonly runner: ProgramRunner;
  readonly threads: number;
  readonly close: () => void;
}

function compiledStep(network: Graph, options: StepOptions, target: TrainingTarget): Pick<Prepared, "step" | "compiled"> {
  const step = trainingStep(network, options);
  return { step, compiled: compileGraph(step.graph, { target, overlap: false }) };
}

function prepared(network: Graph, options: StepOptions, target: TrainingTarget, mostBytes: number = Number.POSITIVE_INFINITY): Prepared {
  const made = compiledStep(network, options, target);
  const { program, plan } = made.compiled;
  if (plan.arenaBytes > mostBytes)
    throw new KingletError("does-not-fit", `a training step needs ${plan.arenaBytes} bytes, and ${mostBytes} are allowed`, {
      hint: "Allow more, or train with smaller batches.",
    });
  const runner = target === "wasm" ? createWasmRunner(program, plan) : createJsRunner(program, plan);
  return { ...made, runner, threads: 1, close: () => {} };
}

/** A copy of floats in a runner's memory. */
function asFloats(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}

/** What a step gives back. */
export interface StepResult {
  /** Mean loss of the batch. */
  readonly loss: number;
  /** Class probabilities or outputs, [batch, …]. */
  readonly results: Float32Array;
}

/**
 * A training step, compiled and loaded, with its state in its memory. The same seed, data and options give the same bits on
 * every machine.
 */
export class TrainingSession {
  readonly step: TrainingStep;
  readonly compiled: Compiled;
  /** How many share each step. */
  readonly threads: number;
  /** Ends the workers, where there are some; nothing runs any more then. */
  readonly close: () => void;
  private readonly optimizer: Optimizer;
  private readonly runner: ProgramRunner;
  private readonly buffers: ReadonlyMap<string, number>;
  /** The step that computes the losses, and where they lie. No state changes before it: see `after` in step.ts. */
  private readonly lossStep: number;
  private readonly lossBuffer: number;
  private count = 0;
  private masks: ReadonlyMap<string, Uint8Array> = new Map();
  private readonly average: WeightAverage | undefined;

  /** On one thread. @throws what `trainingStep` and compiling throw. */
  constructor(network: Graph, options: StepOptions, target: TrainingTarget = "wasm", made: Prepared = prepared(network, options, target)) {
    ({ step: this.step, compiled: this.compiled, runner: this.runner, threads: this.threads, close: this.close } = made);
    this.optimizer = options.optimizer;
    const { program } = this.compiled;
    const places = new Map(program.buffers.map((buffer, i) => [buffer.value, i]));
    this.lossStep = program.steps.findIndex(({ name }) => name === LOSS_NODE);
    this.lossBuffer = program.buffers.findIndex(({ value }) => value === this.step.losses.id);
    const { averageDecay } = options;
    if (averageDecay !== undefined)
      this.average = new WeightAverage(
        averageDecay,
        new Map(this.step.trained.map(({ variable: { name, value } }) => [name, value.initial as Float32Array])),
      );
    this.buffers = new Map(this.step.state.map(({ name, value }) => [name, places.get(value.id)!]));
  }

  /** On one thread, in memory of at most so many bytes: none is taken before it is known to be enough. @throws KingletError `does-not-fit`. */
  static within(mostBytes: number, network: Graph, options: StepOptions): TrainingSession {
    return new TrainingSession(network, options, "wasm", prepared(network, options, "wasm", mostBytes));
  }

  /**
   * A session whose steps several threads share, by images, rows and channels, each result computed by one of them: the number of
   * threads changes no bit. On one thread where memory cannot be shared, as in a page that is not cross-origin isolated.
   * @throws KingletError `misuse` for a number of threads that cannot be, `unsupported` where workers do not start.
   */
  static async onThreads(network: Graph, options: StepOptions, threads: number): Promise<TrainingSession> {
    if (threads === 1 || !canShareMemory()) return new TrainingSession(network, options);
    const made = compiledStep(network, options, "wasm");
    const runner = await createSharedRunner(made.compiled.program, made.compiled.plan, threads);
    return new TrainingSession(network, options, "wasm", { ...made, runner, threads, close: () => runner.close() });
  }

  /** Bytes of everything that a step needs: weights, their memory, values and gradients. */
  get memoryBytes(): number {
    return this.compiled.plan.arenaBytes;
  }

  /** Steps done. */
  get steps(): number {
    return this.count;
  }

  private setInput(input: number, data: TypedArray): void {
    const { length } = this.compiled.program.buffers[this.compiled.program.inputs[input]!.buffer]!;
    if (data.length !== length)
      throw new KingletError("bad-input", `"${this.step.graph.inputs[input]!.name}" takes ${length} numbers, not ${data.length}`);
    this.runner.setInput(input, bytesOf(data));
  }

  /**
   * Runs one batch. Where the loss is not finite it is NaN, no state changes and the step does not count.
   * @param inputs in the network's order and element types. @param targets [batch, classes] or as the output. @param rate the learning rate.
   */
  run(inputs: readonly TypedArray[], targets: Float32Array, rate: number): StepResult {
    inputs.forEach((data, i) => this.setInput(i, data));
    this.setInput(this.step.targetsInput, targets);
    this.setInput(this.step.ratesInput, ratesFor(this.optimizer, rate, this.count + 1));
    if (this.step.seedInput !== null) this.runner.setInput(this.step.seedInput, bytesOf(Int32Array.of(this.count + 1)));
    const { steps } = this.compiled.program;
    this.runner.runSteps(0, this.lossStep + 1);
    if (!asFloats(this.runner.buffer(this.lossBuffer)).every(Number.isFinite)) return { loss: Number.NaN, results: new Float32Array(0) };
    this.runner.runSteps(this.lossStep + 1, steps.length);
    this.count++;
    this.applyMasks();
    this.average?.add(this.count, (name) => this.view(name));
    return { loss: asFloats(this.runner.output(0))[0]!, results: asFloats(this.runner.output(1)) };
  }

  /**
   * Names the first node up to the loss whose result is not finite when the batch is run again; empty where all are. A step
   * whose loss is not finite changes no state, so the batch can be.
   */
  whereNotFinite(inputs: readonly TypedArray[], targets: Float32Array): string {
    const { program } = this.compiled;
    inputs.forEach((data, i) => this.setInput(i, data));
    this.setInput(this.step.targetsInput, targets);
    for (const [k, step] of program.steps.slice(0, this.lossStep + 1).entries()) {
      this.runner.runSteps(k, k + 1);
      const made = new Set(this.step.graph.nodes.find((node) => node.name === step.name)?.outputs.map(({ id }) => id));
      const buffers = program.buffers.flatMap((buffer, i) => (buffer.value !== undefined && made.has(buffer.value) ? [i] : []));
      if (buffers.some((i) => !asFloats(this.runner.buffer(i)).every(Number.isFinite))) return `, first in "${step.name}"`;
    }
    return "";
  }

  /** The first variable that holds a number which is not finite, or undefined: activations can hide one from the loss. */
  notFinite(): string | undefined {
    return this.step.state.find(({ name }) => !(this.stored(name) as Float32Array).every(Number.isFinite))?.name;
  }

  private bufferOf(name: string): Uint8Array {
    return this.runner.buffer(this.buffers.get(name)!);
  }

  /** A copy of a variable of floats. */
  variable(name: string): Float32Array {
    return this.view(name).slice();
  }

  /** A copy of a variable of any type, as it is stored: int8 weights are integers. */
  stored(name: string): TypedArray {
    return fromBytes(this.typeOf(name), this.bufferOf(name));
  }

  private typeOf(name: string): Value["dtype"] {
    return this.step.state.find((each) => each.name === name)!.value.dtype;
  }

  /**
   * Sets weights to 0 where their mask is 0, now and after each step: so every forward pass sees exact zeros, whatever the
   * optimizer remembers of them.
   */
  mask(masks: ReadonlyMap<string, Uint8Array>): void {
    this.masks = masks;
    this.applyMasks();
  }

  private applyMasks(): void {
    for (const [name, mask] of this.masks) {
      for (const weights of [this.view(name), this.average?.weights.get(name)])
        for (let i = 0; weights !== undefined && i < mask.length; i++) if (mask[i] === 0) weights[i] = 0;
    }
  }

  /** A variable of floats where it lies; what is written here is the variable's. */
  private view(name: string): Float32Array {
    if (this.typeOf(name) !== "float32")
      throw new KingletError("unsupported", `"${name}" holds integers: masks, averages and checkpoints are for networks of floats`);
    const bytes = this.bufferOf(name);
    return viewOf("float32", bytes.buffer, bytes.byteOffset, bytes.byteLength / 4) as Float32Array;
  }

  /** A copy of all variables by name, and how many steps made them: what a checkpoint holds. */
  save(): SessionState {
    const variables = this.step.state.map(({ name }) => [name, this.variable(name)] as const);
    const averages = [...(this.average?.weights ?? [])].map(([name, weights]) => [AVERAGE + name, weights.slice()] as const);
    return { steps: this.count, variables: new Map([...variables, ...averages]) };
  }

  /** Goes on from a saved state, bit for bit. @throws KingletError `bad-input` where it is of another network or optimizer. */
  restore({ steps, variables }: SessionState): void {
    const places = this.step.state.map(({ name }) => [name, this.view(name)] as const);
    const averages = [...(this.average?.weights ?? [])].map(([name, weights]) => [AVERAGE + name, weights] as const);
    for (const [name, to] of [...places, ...averages]) {
      const saved = variables.get(name);
      if (saved === undefined || saved.length !== to.length)
        throw new KingletError("bad-input", `the saved state does not have "${name}" as this network needs it`);
      to.set(saved);
    }
    this.count = steps;
  }

  /** The network's constants with the trained contents, or their averages where those are kept, by value. */
  trainedConstants(): Map<Value, TypedArray> {
    const contents = (name: string): TypedArray => this.average?.weights.get(name)?.slice() ?? this.stored(name);
    return new Map(this.step.trained.map(({ constant, variable }) => [constant, joinChannels(constant, contents(variable.name))]));
  }
}

export interface SessionState {
  readonly steps: number;
  readonly variables: ReadonlyMap<string, Float32Array>;
}
