import { KingletError } from "../base/index.ts";
import { type Func, MEMORY_BYTES, type Program, type ProgramBuffer, type Step } from "../loops/index.ts";
import { eachLoad, eachStmt, ownExpressions } from "./access.ts";

/** The buffers one step touches. A buffer that is written may be read by the same step as well. */
export interface StepUse {
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  /** Those of `writes` that the kernel also reads: what they held before is needed. */
  readonly updates: readonly number[];
}

/** What a buffer is for; it decides how long it lives. */
export type BufferKind = "input" | "output" | "value" | "scratch" | "state";

/** Every offset is a multiple of this many bytes. */
export function alignmentOf(buffer: ProgramBuffer): number {
  return Math.max(4, MEMORY_BYTES[buffer.type]);
}

/** Exact bytes of a buffer. */
export function bytesOfBuffer(buffer: ProgramBuffer): number {
  return buffer.length * MEMORY_BYTES[buffer.type];
}

/** Bytes a buffer takes from the arena: no other buffer can start within the last word, so that word counts whole. */
export function blockBytes(buffer: ProgramBuffer): number {
  return Math.ceil(bytesOfBuffer(buffer) / 4) * 4;
}

/** Names of the buffer parameters that a kernel loads from. */
function loadedNames(func: Func): Set<string> {
  const names = new Set<string>();
  eachStmt(func.body, (stmt) => {
    for (const e of ownExpressions(stmt)) eachLoad(e, (buffer) => names.add(buffer.name));
    if (stmt.kind === "copy") names.add(stmt.from.name);
  });
  return names;
}

function useOfStep(functions: ReadonlyMap<string, { func: Func; loaded: ReadonlySet<string> }>, step: Step): StepUse {
  const { func, loaded } = functions.get(step.func) ?? {};
  if (func === undefined || loaded === undefined) throw new KingletError("internal", `No function is called ${step.func}.`, { place: step.name });
  const reads = new Set<number>();
  const writes = new Set<number>();
  const updates = new Set<number>();
  step.args.forEach((arg, i) => {
    const param = func.params[i];
    if (arg.kind !== "buffer" || param?.kind !== "buffer") return;
    (param.writes ? writes : reads).add(arg.index);
    if (param.writes && loaded.has(param.name)) updates.add(arg.index);
  });
  return { reads: [...reads], writes: [...writes], updates: [...updates] };
}

export function stepUses(program: Program): StepUse[] {
  const functions = new Map(program.functions.map((func) => [func.name, { func, loaded: loadedNames(func) }]));
  return program.steps.map((step) => useOfStep(functions, step));
}

export function bufferKinds(program: Program, uses: readonly StepUse[]): BufferKind[] {
  const touched = program.buffers.map(() => 0);
  for (const use of uses) for (const b of new Set([...use.reads, ...use.writes])) touched[b]!++;
  const kinds = program.buffers.map((buffer, i): BufferKind => (buffer.initial !== undefined ? "state" : touched[i]! > 1 ? "value" : "scratch"));
  for (const port of program.outputs) if (kinds[port.buffer] !== "state") kinds[port.buffer] = "output";
  for (const port of program.inputs) if (kinds[port.buffer] !== "state") kinds[port.buffer] = "input";
  return kinds;
}
