import { bytesOf, KingletError } from "../base/index.ts";
import { type Compiled, compileGraph } from "../driver/index.ts";
import type { Graph, Value } from "../graph/index.ts";
import type { ProgramRunner } from "../loops/index.ts";
import { createJsRunner } from "../targets/js/index.ts";
import { createWasmRunner } from "../targets/wasm/index.ts";
import { type Optimizer, ratesFor } from "./optimizer.ts";
import { type StepOptions, type TrainingStep, trainingStep } from "./step.ts";

/** Where training computes: WebAssembly with SIMD, or plain JavaScript (slow, the definition). */
export type TrainingTarget = "wasm" | "plain";

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
  private readonly optimizer: Optimizer;
  private readonly runner: ProgramRunner;
  private readonly buffers: ReadonlyMap<string, number>;
  private count = 0;

  /** @throws what `trainingStep` and compiling throw. */
  constructor(network: Graph, options: StepOptions, target: TrainingTarget = "wasm") {
    this.step = trainingStep(network, options);
    this.optimizer = options.optimizer;
    this.compiled = compileGraph(this.step.graph, { target, overlap: false });
    const { program, plan } = this.compiled;
    this.runner = target === "wasm" ? createWasmRunner(program, plan) : createJsRunner(program, plan);
    const places = new Map(program.buffers.map((buffer, i) => [buffer.value, i]));
    this.buffers = new Map(this.step.state.map(({ name, value }) => [name, places.get(value.id)!]));
  }

  /** Bytes of everything that a step needs: weights, their memory, values and gradients. */
  get memoryBytes(): number {
    return this.compiled.plan.arenaBytes;
  }

  /** Steps done. */
  get steps(): number {
    return this.count;
  }

  private setFloats(input: number, data: Float32Array): void {
    const { length } = this.compiled.program.buffers[this.compiled.program.inputs[input]!.buffer]!;
    if (data.length !== length)
      throw new KingletError("bad-input", `"${this.step.graph.inputs[input]!.name}" takes ${length} numbers, not ${data.length}`);
    this.runner.setInput(input, bytesOf(data));
  }

  /** Runs one batch: inputs in the network's order, targets [batch, classes or …], and the learning rate. */
  run(inputs: readonly Float32Array[], targets: Float32Array, rate: number): StepResult {
    inputs.forEach((data, i) => this.setFloats(i, data));
    this.setFloats(this.step.targetsInput, targets);
    this.setFloats(this.step.ratesInput, ratesFor(this.optimizer, rate, this.count + 1));
    if (this.step.seedInput !== null) this.runner.setInput(this.step.seedInput, bytesOf(Int32Array.of(this.count + 1)));
    this.runner.run();
    this.count++;
    const floats = (output: number): Float32Array => new Float32Array(this.runner.output(output).slice().buffer);
    return { loss: floats(0)[0]!, results: floats(1) };
  }

  private bufferOf(name: string): Uint8Array {
    return this.runner.buffer(this.buffers.get(name)!);
  }

  /** A copy of all variables by name, and how many steps made them: what a checkpoint holds. */
  save(): SessionState {
    const variables = new Map(this.step.state.map(({ name }) => [name, new Float32Array(this.bufferOf(name).slice().buffer)]));
    return { steps: this.count, variables };
  }

  /** Goes on from a saved state, bit for bit. @throws KingletError `bad-input` where it is of another network or optimizer. */
  restore({ steps, variables }: SessionState): void {
    for (const { name } of this.step.state) {
      const saved = variables.get(name);
      const to = this.bufferOf(name);
      if (saved === undefined || saved.byteLength !== to.length)
        throw new KingletError("bad-input", `the saved state does not have "${name}" as this network needs it`);
      to.set(bytesOf(saved));
    }
    this.count = steps;
  }

  /** The network's constants with the trained contents, by value. */
  trainedConstants(): Map<Value, Float32Array> {
    return new Map(this.step.trained.map(({ constant, variable }) => [constant, new Float32Array(this.bufferOf(variable.name).slice().buffer)]));
  }
}

export interface SessionState {
  readonly steps: number;
  readonly variables: ReadonlyMap<string, Float32Array>;
}

/** The network with other contents in some of its constants. */
export function withConstants(network: Graph, contents: ReadonlyMap<Value, Float32Array>): Graph {
  const replaced = new Map(network.values.map((value) => [value, contents.has(value) ? { ...value, data: contents.get(value)! } : value]));
  const now = (value: Value): Value => replaced.get(value)!;
  return {
    ...network,
    values: network.values.map(now),
    nodes: network.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map((value) => (value === null ? null : now(value))),
      outputs: node.outputs.map(now),
    })),
    inputs: network.inputs.map(now),
    outputs: network.outputs.map(now),
  };
}
