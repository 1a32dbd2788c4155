import { KingletError } from "../base/index.ts";
import type { Graph } from "../graph/index.ts";
import { MEMORY_BYTES, type Program } from "../loops/index.ts";
import { findOp, type Schedules } from "../ops/index.ts";
import { type PassTrace, runPasses } from "../passes/index.ts";
import { checkPlan, orderSteps, type Plan, placeBuffers } from "../plan/index.ts";
import { DSP_SCHEDULES, FAST_DSP_SCHEDULES, SCALAR_SCHEDULES, SMALL_DSP_SCHEDULES, SMALL_SCALAR_SCHEDULES } from "../targets/c/index.ts";
import { lower } from "../targets/lower.ts";
import type { Optimize } from "../targets/share.ts";
import { wasmSchedules } from "../targets/wasm/index.ts";

/** What code is made for: portable C, C for Arm cores with the DSP extension, WebAssembly with or without SIMD, JavaScript, or the plain loops. */
export type TargetId = "c" | "c-dsp" | "wasm" | "wasm-scalar" | "js" | "plain";

export interface CompileOptions {
  readonly target: TargetId;
  readonly optimize?: Optimize;
  /** Every value keeps its own bytes, so that all of them can be read after a run. */
  readonly pinned?: boolean;
  /** Refuses a plan that needs more bytes of RAM. */
  readonly ram?: number;
  readonly trace?: PassTrace;
}

/** A network made for a target: loops, addresses, and the facts a person wants to know. */
export interface Compiled {
  readonly graph: Graph;
  readonly target: TargetId;
  readonly program: Program;
  readonly plan: Plan;
  readonly macs: number;
  readonly parameters: number;
  /** Tables in flash or in the module: weights, biases, multipliers. */
  readonly weightBytes: number;
}

function schedulesFor(target: TargetId, optimize: Optimize): Schedules {
  if (target === "plain") return {};
  if (target === "wasm") return wasmSchedules;
  if (optimize === "size") return target === "c-dsp" ? SMALL_DSP_SCHEDULES : SMALL_SCALAR_SCHEDULES;
  if (target !== "c-dsp") return SCALAR_SCHEDULES;
  return optimize === "speed" ? FAST_DSP_SCHEDULES : DSP_SCHEDULES;
}

/** Multiply-accumulates of one inference. */
export function macsOf(graph: Graph): number {
  return graph.nodes.reduce((sum, node) => sum + (findOp(node.op)?.macs?.(node) ?? 0), 0);
}

/** Elements of the network's constants. */
export function parametersOf(graph: Graph): number {
  const constants = new Set(graph.nodes.flatMap((node) => node.inputs.filter((value) => value?.data !== undefined)));
  return [...constants].reduce((sum, value) => sum + value!.data!.length, 0);
}

/** The better of the given order and the one with the lowest peak: overlap may favour either. */
function place(given: Program, pinned: boolean): Placed {
  if (pinned) return { program: given, plan: placeBuffers(given, { pinned }) };
  const reordered = orderSteps(given);
  const plan = placeBuffers(reordered);
  const same = given.steps.every((step, i) => step === reordered.steps[i]);
  if (same) return { program: reordered, plan };
  const before = placeBuffers(given);
  return before.arenaBytes <= plan.arenaBytes ? { program: given, plan: before } : { program: reordered, plan };
}

interface Placed {
  readonly program: Program;
  readonly plan: Plan;
}

/** The choice with the smallest arena; one that meets its lower bound ends the search. */
function smallest(choices: readonly (() => Placed)[]): Placed {
  let best = choices[0]!();
  for (const choice of choices.slice(1)) {
    if (best.plan.arenaBytes === best.plan.lowerBoundBytes) break;
    const next = choice();
    if (next.plan.arenaBytes < best.plan.arenaBytes) best = next;
  }
  return best;
}

/**
 * Graph to placed program: passes, kernels, order, addresses, proof.
 * @throws KingletError `unsupported`, `bad-graph`, `does-not-fit`, or `internal` where the plan fails its check.
 */
export function compileGraph(graph: Graph, options: CompileOptions): Compiled {
  const ready = runPasses(graph, options.trace);
  const optimize = options.optimize ?? "balanced";
  const schedules = schedulesFor(options.target, optimize);
  const walks =
    options.pinned === true || !ready.nodes.some((node) => node.op === "depthwiseConv2d")
      ? (["forward"] as const)
      : (["forward", "alternate"] as const);
  const { program, plan } = smallest(walks.map((walk) => () => place(lower(ready, { schedules, optimize, walks: walk }), options.pinned === true)));
  const check = checkPlan(program, plan);
  if (!check.ok) throw new KingletError("internal", `the memory plan failed its check: ${check.failures[0]?.message ?? ""}`, { place: graph.name });
  if (options.ram !== undefined && plan.arenaBytes > options.ram) {
    throw new KingletError("does-not-fit", `the network needs an arena of ${plan.arenaBytes} bytes and may use ${options.ram}`, {
      place: graph.name,
    });
  }
  return {
    graph: ready,
    target: options.target,
    program,
    plan,
    macs: macsOf(ready),
    parameters: parametersOf(ready),
    weightBytes: program.constants.reduce((sum, c) => sum + c.data.byteLength, 0),
  };
}

/** Bytes of a port's tensor. */
export function portBytes(program: Program, kind: "inputs" | "outputs", index: number): number {
  const buffer = program.buffers[program[kind][index]!.buffer]!;
  return buffer.length * MEMORY_BYTES[buffer.type];
}
