import { dtypeBytes, elementCount } from "../base/index.ts";
import { type Board, BOARDS, ramNeeded } from "../boards/index.ts";
import { type Compiled, type Execution, layersOf } from "../driver/index.ts";
import type { Port } from "../loops/index.ts";
import { planTimeline } from "../plan/index.ts";
import { needOf } from "./facts.ts";
import { plural } from "./format.ts";
import type { ReportBoard, ReportCheck, ReportData, ReportPort, ReportTimeline } from "./types.ts";

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

function timelineOf(compiled: Compiled): ReportTimeline {
  const { blocks, steps, stages, peakStep, arenaBytes } = planTimeline(compiled.program, compiled.plan);
  return {
    blocks: blocks.map(({ name, kind, first, last, offset, bytes }) => ({ name, kind, first, last, offset, bytes })),
    steps: steps.map((step, at) => ({ ...step, op: compiled.program.steps[at]!.op })),
    stages,
    peakStep,
    arenaBytes,
  };
}

function boardRow(board: Board, need: { ramBytes: number; flashBytes: number }, tableBytes: number): ReportBoard {
  const ram = ramNeeded(board, need.ramBytes, tableBytes) - board.sramBytes;
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
    ...(board.tablesInRam === true ? { tablesInRam: true } : {}),
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
    boards: (extras.boards ?? BOARDS.filter((board) => board.emulated !== true)).map((board) => boardRow(board, need, compiled.weightBytes)),
    verified: runs.map(checkOf),
    metadata: compiled.graph.metadata,
  };
}
