import { dtypeBytes, elementCount } from "../base/index.ts";
import { type Board, BOARDS } from "../boards/index.ts";
import type { Compiled } from "../driver/index.ts";
import type { Execution } from "../driver/index.ts";
import type { Node } from "../graph/index.ts";
import { MEMORY_BYTES, type Port, type Program, type Step } from "../loops/index.ts";
import { findOp } from "../ops/index.ts";
import { planTimeline } from "../plan/index.ts";
import { needOf } from "./facts.ts";
import { plural } from "./format.ts";
import type { ReportBoard, ReportCheck, ReportData, ReportLayer, ReportPort, ReportTimeline } from "./types.ts";

/** One comparison with the plain loops, with the run itself where there was one. */
export interface ReportRun {
  readonly via: string;
  readonly equal?: boolean;
  readonly note?: string;
  readonly execution?: Execution;
}

/** What a compiled network does not know of itself. */
export interface ReportExtras {
  /** Kinglet's version. */
  readonly version: string;
  /** The file as the person named it. */
  readonly file?: string;
  readonly runs?: readonly ReportRun[];
  /** Boards to hold the network against; all real ones where absent. */
  readonly boards?: readonly Board[];
}

function portOf(port: Port): ReportPort {
  const { name, dtype, shape, quantization } = port;
  return { name, dtype, shape, bytes: elementCount(shape) * dtypeBytes(dtype), ...(quantization === undefined ? {} : { quantization }) };
}

/** Takes out the next value kept under a name; networks may give one name to several nodes. */
function takeFrom<T>(lists: Map<string, T[]>, key: string): T | undefined {
  return lists.get(key)?.shift();
}

function listsBy<T>(items: readonly T[], keyOf: (item: T, at: number) => string): Map<string, T[]> {
  const lists = new Map<string, T[]>();
  items.forEach((item, at) => {
    const key = keyOf(item, at);
    const list = lists.get(key);
    if (list === undefined) lists.set(key, [item]);
    else list.push(item);
  });
  return lists;
}

function keyOf(step: { readonly op: string; readonly name: string }): string {
  return `${step.op}\n${step.name}`;
}

/** Bytes of the tables that a step is the first to use. */
function newTableBytes(program: Program, step: Step, seen: Set<number>): number {
  let bytes = 0;
  for (const arg of step.args) {
    if (arg.kind !== "constant" || seen.has(arg.index)) continue;
    seen.add(arg.index);
    bytes += program.constants[arg.index]!.data.byteLength;
  }
  return bytes;
}

/** What a step writes when no node of the graph stands behind it (a copy to an output). */
function stepOutput(program: Program, step: Step): Pick<ReportLayer, "outputShape" | "outputType" | "outputBytes"> {
  const arg = step.args.findLast((each) => each.kind === "buffer");
  const buffer = arg === undefined ? undefined : program.buffers[(arg as { index: number }).index];
  if (buffer === undefined) return { outputShape: [], outputType: "", outputBytes: 0 };
  return { outputShape: [buffer.length], outputType: buffer.type, outputBytes: buffer.length * MEMORY_BYTES[buffer.type] };
}

function nodeOutput(node: Node): Pick<ReportLayer, "outputShape" | "outputType" | "outputBytes"> {
  const first = node.outputs[0];
  const outputBytes = node.outputs.reduce((sum, value) => sum + elementCount(value.shape) * dtypeBytes(value.dtype), 0);
  return { outputShape: first?.shape ?? [], outputType: first?.dtype ?? "", outputBytes };
}

/** Instructions of every step by its key, from a run that counted them (its steps may stand in another order). */
function countedSteps(run: Execution | undefined): Map<string, number[]> {
  const counts = run?.core?.stepInstructions;
  if (run === undefined || counts === undefined) return new Map();
  const steps = run.compiled.program.steps;
  return listsBy(counts.slice(0, steps.length), (_, at) => keyOf(steps[at]!));
}

/** A layer for each step in the order they run; nodes without code stand after the node they follow in the graph. */
function layersOf(compiled: Compiled, profiled: Execution | undefined): ReportLayer[] {
  const { program, graph } = compiled;
  const nodes = listsBy(
    graph.nodes.map((node, at) => ({ node, at })),
    ({ node }) => keyOf(node),
  );
  const counted = countedSteps(profiled);
  const seen = new Set<number>();
  const placed: { at: number; layer: ReportLayer }[] = program.steps.map((step, index) => {
    const found = takeFrom(nodes, keyOf(step));
    const instructions = takeFrom(counted, keyOf(step));
    const layer: ReportLayer = {
      name: step.name,
      op: step.op,
      step: index,
      ...(found === undefined ? stepOutput(program, step) : nodeOutput(found.node)),
      macs: found === undefined ? 0 : (findOp(found.node.op)?.macs?.(found.node) ?? 0),
      weightBytes: newTableBytes(program, step, seen),
      ...(instructions === undefined ? {} : { instructions }),
    };
    return { at: found?.at ?? graph.nodes.length, layer };
  });
  const silent = [...nodes.values()].flat().sort((a, b) => a.at - b.at);
  for (const { node, at } of silent) {
    const after = placed.findLastIndex((each) => each.at < at);
    placed.splice(after + 1, 0, { at, layer: { name: node.name, op: node.op, ...nodeOutput(node), macs: 0, weightBytes: 0 } });
  }
  return placed.map(({ layer }) => layer);
}

function timelineOf(compiled: Compiled): ReportTimeline {
  const { blocks, steps, peakStep, arenaBytes } = planTimeline(compiled.program, compiled.plan);
  return {
    blocks: blocks.map(({ name, kind, first, last, offset, bytes }) => ({ name, kind, first, last, offset, bytes })),
    steps: steps.map((step, at) => ({ ...step, op: compiled.program.steps[at]!.op })),
    peakStep,
    arenaBytes,
  };
}

function boardRow(board: Board, need: { ramBytes: number; flashBytes: number }): ReportBoard {
  const ram = need.ramBytes - board.sramBytes;
  const flash = need.flashBytes - board.flashBytes;
  const lacking = [
    ...(ram > 0 ? [`${plural(ram, "byte")} of RAM too few`] : []),
    ...(flash > 0 ? [`${plural(flash, "byte")} of flash too few`] : []),
  ];
  return {
    id: board.id,
    title: board.name,
    chip: board.chip,
    fits: lacking.length === 0,
    sramBytes: board.sramBytes,
    flashBytes: board.flashBytes,
    clockMHz: board.clockHz / 1e6,
    ...(lacking.length === 0 ? {} : { reason: lacking.join(", ") }),
  };
}

function checkOf(run: ReportRun): ReportCheck {
  const core = run.execution?.core;
  return {
    via: run.via,
    ...(run.equal === undefined ? {} : { equal: run.equal }),
    ...(run.note === undefined ? {} : { note: run.note }),
    ...(core === undefined ? {} : { instructions: core.instructions, stackBytes: core.stackBytes, codeBytes: core.codeBytes }),
  };
}

/** Gathers what a report shows. Instructions per layer come from the first run that counted them. */
export function reportData(compiled: Compiled, extras: ReportExtras): ReportData {
  const runs = extras.runs ?? [];
  const executions = runs.flatMap((run) => (run.execution?.core === undefined ? [] : [run.execution]));
  const profiled = executions.find((run) => run.core?.stepInstructions !== undefined);
  // Counting steps adds calls to the code, so a run without them gives the size where there is one.
  const linked = executions.find((run) => run.core?.stepInstructions === undefined) ?? profiled;
  const sizes = {
    arenaBytes: compiled.plan.arenaBytes,
    weightBytes: compiled.weightBytes,
    ...(linked?.core === undefined
      ? {}
      : { codeBytes: linked.core.codeBytes, codeFrom: linked.via, stackBytes: Math.max(...executions.map((run) => run.core!.stackBytes)) }),
  };
  const need = needOf(sizes);
  return {
    version: extras.version,
    network: compiled.graph.name,
    ...(extras.file === undefined ? {} : { file: extras.file }),
    target: compiled.target,
    inputs: compiled.program.inputs.map(portOf),
    outputs: compiled.program.outputs.map(portOf),
    parameters: compiled.parameters,
    macs: compiled.macs,
    lowerBoundBytes: compiled.plan.lowerBoundBytes,
    proved: compiled.plan.proved,
    ...sizes,
    layers: layersOf(compiled, profiled),
    ...(profiled === undefined ? {} : { profiledOn: profiled.via }),
    timeline: timelineOf(compiled),
    boards: (extras.boards ?? BOARDS.filter((board) => board.emulated !== true)).map((board) => boardRow(board, need)),
    verified: runs.map(checkOf),
    metadata: compiled.graph.metadata,
  };
}
