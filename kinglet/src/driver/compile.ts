import { KingletError } from "../base/index.ts";
import type { Graph, Node } from "../graph/index.ts";
import { type Program, wasmCodeBytes } from "../loops/index.ts";
import { findOp, type Schedules } from "../ops/index.ts";
import { type PassTrace, runPasses } from "../passes/index.ts";
import { checkPlan, type Plan } from "../plan/index.ts";
import {
  balancedDspSchedules,
  balancedHeliumSchedules,
  FAST_DSP_SCHEDULES,
  FAST_HELIUM_SCHEDULES,
  FAST_MANY_REGISTER_SCHEDULES,
  FAST_SCALAR_SCHEDULES,
  MANY_REGISTER_SCHEDULES,
  SCALAR_SCHEDULES,
  SMALL_DSP_SCHEDULES,
  SMALL_SCALAR_SCHEDULES,
  thriftyDspSchedules,
} from "../targets/c/index.ts";
import { lower } from "../targets/lower.ts";
import type { Optimize } from "../targets/share.ts";
import { convertLayout, wasmDotSchedules, wasmSchedules } from "../targets/wasm/index.ts";

import { chooseMemory, type LowerWith, type MemoryOptions, type Placed } from "./memory.ts";
import { packLayers, type SparseLayer } from "./zeros.ts";

/** What code is made for: portable C, C for Arm cores with the DSP extension or with Helium vectors, C for RISC-V, WebAssembly with SIMD (and with dot products of bytes) or without, JavaScript, or the plain loops. */
export type TargetId = "c" | "c-dsp" | "c-mve" | "c-riscv" | "wasm" | "wasm-dots" | "wasm-scalar" | "js" | "plain";

export interface CompileOptions extends MemoryOptions {
  readonly target: TargetId;
  readonly optimize?: Optimize;
  /** The node of a training step up to which it is an inference: a library then has two calls. */
  readonly learnsAfter?: string;
  readonly trace?: PassTrace;
}

/** A network made for a target: loops, addresses, and the facts a person wants to know. */
export interface Compiled {
  readonly graph: Graph;
  readonly target: TargetId;
  readonly program: Program;
  readonly plan: Plan;
  /** Multiply-accumulates of one inference, and how many of them compute something again. */
  readonly macs: number;
  readonly extraMacs: number;
  readonly parameters: number;
  /** Layers of which most weights are 0, and how they are stored; of C only. */
  readonly sparse: readonly SparseLayer[];
  /** Tables in flash or in the module: weights, biases, multipliers. */
  readonly weightBytes: number;
}

function schedulesFor(target: TargetId, optimize: Optimize, graph: Graph): Schedules {
  if (target === "plain") return {};
  if (target === "wasm") return wasmSchedules;
  if (target === "wasm-dots") return wasmDotSchedules;
  if (target === "c-mve") return optimize === "speed" ? FAST_HELIUM_SCHEDULES : balancedHeliumSchedules(graph);
  if (target === "c-riscv" && optimize !== "size") return optimize === "speed" ? FAST_MANY_REGISTER_SCHEDULES : MANY_REGISTER_SCHEDULES;
  if (optimize === "size") return target === "c-dsp" ? SMALL_DSP_SCHEDULES : SMALL_SCALAR_SCHEDULES;
  if (target !== "c-dsp") return optimize === "speed" ? FAST_SCALAR_SCHEDULES : SCALAR_SCHEDULES;
  return optimize === "speed" ? FAST_DSP_SCHEDULES : balancedDspSchedules(graph);
}

/** Kernels with less working memory, tried by rows where a limit is not met with the usual ones. */
function thriftySchedules(target: TargetId, optimize: Optimize, graph: Graph): Schedules | undefined {
  return target === "c-dsp" && optimize !== "size" ? thriftyDspSchedules(graph) : undefined;
}

/** Engines compile functions again while they run; beyond so much code that costs more at the start than sizes of each layer's own save. */
const QUICK_CODE = 40_000;

/** Multiply-accumulates of one inference. */
export function macsOf(graph: Graph): number {
  return graph.nodes.reduce((sum, node) => sum + (findOp(node.op)?.macs?.(node) ?? 0), 0);
}

/** Networks from so many multiply-accumulates gain from threads: smaller ones would mostly wait. */
const SHARED_MACS = 50_000_000;

/** Whether a network is large enough to be shared between threads. */
export function worthThreads(graph: Graph): boolean {
  return macsOf(graph) >= SHARED_MACS;
}

/** Elements of the network's constants. */
export function parametersOf(graph: Graph): number {
  const constants = new Set(graph.nodes.flatMap((node) => node.inputs.filter((value) => value?.data !== undefined)));
  return [...constants].reduce((sum, value) => sum + value!.data!.length, 0);
}

/**
 * Whether this target can compute by rows.
 * @throws KingletError `misuse` where it cannot and shall.
 */
function memoryByRows({ target, fuse, streamInput, trade }: CompileOptions): boolean {
  const rows = target === "c" || target.startsWith("c-");
  if (!rows && (fuse === true || streamInput === true || trade !== undefined))
    throw new KingletError("misuse", "only C computes by rows", { hint: "WebAssembly and JavaScript run where memory is not the question." });
  return rows;
}

/** The program that says where learning begins. */
function learning(program: Program, after: string | undefined): Program {
  if (after === undefined) return program;
  const last = program.steps.findIndex(({ name }) => name === after);
  if (last < 0) throw new KingletError("misuse", `there is no step "${after}" after which learning could begin`);
  return { ...program, learnsFrom: last + 1 };
}

/**
 * Graph to placed program: passes, kernels, order, addresses, proof.
 * @throws KingletError `unsupported`, `bad-graph`, `does-not-fit`, or `internal` where the plan fails its check.
 */
export function compileGraph(graph: Graph, options: CompileOptions): Compiled {
  const ready = runPasses(graph, options.trace);
  const wasm = options.target === "wasm" || options.target === "wasm-dots";
  const optimize = options.optimize ?? (wasm ? "speed" : "balanced");
  const schedules = schedulesFor(options.target, optimize, ready);
  let packed: ReadonlySet<Node> = new Set();
  const lowerFor = (how: Optimize, stages: Parameters<LowerWith>[0], walks: Parameters<LowerWith>[1], own = schedules): Program =>
    lower(ready, { schedules: own, optimize: how, walks, stages, convert: convertLayout, packed });
  const memory = { ...options, rows: memoryByRows(options), backward: !wasm, overlap: options.overlap ?? !(wasm && worthThreads(ready)) };
  const lowerWith: LowerWith = (stages, walks) => {
    const program = lowerFor(optimize, stages, walks);
    const large = wasm && options.optimize === undefined && wasmCodeBytes(program) > QUICK_CODE;
    return large ? lowerFor("balanced", stages, walks) : program;
  };
  const thrifty = thriftySchedules(options.target, optimize, ready);
  const lowerings = [lowerWith, ...(thrifty === undefined ? [] : [((stages, walks) => lowerFor(optimize, stages, walks, thrifty)) as LowerWith])];
  const place = (nodes: ReadonlySet<Node>): Placed => {
    packed = nodes;
    return chooseMemory(ready, memory, macsOf(ready), lowerings);
  };
  const { placed, sparse } = packLayers(ready, place(packed), options.target, place);
  const { plan, extraMacs = 0 } = placed;
  const program = learning(placed.program, options.learnsAfter);
  const check = checkPlan(program, plan);
  if (!check.ok) throw new KingletError("internal", `the memory plan failed its check: ${check.failures[0]?.message ?? ""}`, { place: graph.name });
  return {
    graph: ready,
    target: options.target,
    program,
    plan,
    macs: macsOf(ready) + extraMacs,
    extraMacs,
    parameters: parametersOf(ready),
    sparse,
    weightBytes: program.constants.reduce((sum, c) => sum + c.data.byteLength, 0),
  };
}
