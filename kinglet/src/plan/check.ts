import { MEMORY_BYTES, type Placement, type Program, type Run, runsOf, type Step, startOf } from "../loops/index.ts";
import { ArenaTags, type Fault, type FaultKind } from "./arena.ts";
import { ReplayWriter, type ReplayTarget } from "./replay.ts";
import { boundScalars } from "./scalar.ts";
import { alignmentOf, type BufferKind, bufferKinds, bytesOfBuffer, stepUses } from "./usage.ts";

export interface PlanFailure {
  readonly kind: FaultKind;
  /** The step's name; "start" and "end" are before the first and after the last step. */
  readonly step: string;
  /** The buffer's or the constant's name. */
  readonly buffer: string;
  readonly byte: number;
  /** One sentence for a person. */
  readonly message: string;
}

export interface PlanCheck {
  readonly ok: boolean;
  /** At most one failure for each step, parameter and kind. */
  readonly failures: readonly PlanFailure[];
}

function messageOf(program: Program, step: string, name: string, fault: Fault): string {
  const where = `byte ${fault.byte} of ${name}`;
  if (fault.kind === "unplaced") return `${name} does not lie in the arena on its own aligned bytes.`;
  if (fault.kind === "out-of-bounds") return `Step ${step} accesses ${where}, which is outside of it.`;
  const owner = fault.owner === undefined ? "nothing has been written there" : `${program.buffers[fault.owner]!.name} lies there`;
  return `Step ${step} needs ${where}, but ${owner}.`;
}

class Failures {
  readonly list: PlanFailure[] = [];
  private readonly seen = new Set<string>();
  private readonly program: Program;

  constructor(program: Program) {
    this.program = program;
  }

  add(step: string, name: string, fault: Fault): void {
    const key = `${step}\0${name}\0${fault.kind}`;
    if (this.seen.has(key)) return;
    this.seen.add(key);
    this.list.push({ kind: fault.kind, step, buffer: name, byte: fault.byte, message: messageOf(this.program, step, name, fault) });
  }
}

/** One parameter of a step: a buffer in the arena, or a constant (only its bounds matter). */
interface Bound {
  readonly name: string;
  readonly buffer: number;
  readonly bytes: number;
  readonly element: number;
  /** The byte of the buffer at which the argument starts. */
  readonly base: number;
}

class StepReplay implements ReplayTarget {
  private readonly bounds: readonly (Bound | undefined)[];
  private readonly tags: ArenaTags;
  private readonly fail: (name: string, fault: Fault) => void;

  constructor(bounds: readonly (Bound | undefined)[], tags: ArenaTags, fail: (name: string, fault: Fault) => void) {
    this.bounds = bounds;
    this.tags = tags;
    this.fail = fail;
  }

  private inside(bound: Bound, from: number, to: number): boolean {
    if (from >= 0 && to <= bound.bytes) return true;
    this.fail(bound.name, { kind: "out-of-bounds", byte: from < 0 ? from : to - 1, owner: undefined });
    return false;
  }

  private intact(bound: Bound, from: number, to: number): void {
    if (bound.buffer < 0) return;
    const byte = this.tags.foreign(bound.buffer, from, to);
    if (byte >= 0) this.fail(bound.name, { kind: "overwritten", byte, owner: this.tags.ownerAt(bound.buffer, byte) });
  }

  read(param: number, index: number, bytes: number): void {
    const bound = this.bounds[param]!;
    const from = bound.base + index * bound.element;
    if (this.inside(bound, from, from + bytes)) this.intact(bound, from, from + bytes);
  }

  readRun(param: number, index: number, stride: number, count: number, bytes: number): void {
    const bound = this.bounds[param]!;
    const first = bound.base + index * bound.element;
    const last = first + stride * bound.element * (count - 1);
    const [low, high] = [Math.min(first, last), Math.max(first, last) + bytes];
    if (!this.inside(bound, low, high)) return;
    if (Math.abs(stride) * bound.element <= bytes) return this.intact(bound, low, high);
    for (let k = 0; k < count; k++) this.intact(bound, first + k * stride * bound.element, first + k * stride * bound.element + bytes);
  }

  readAll(param: number): void {
    const bound = this.bounds[param]!;
    this.intact(bound, 0, bound.bytes);
  }

  write(param: number, index: number, bytes: number): void {
    const bound = this.bounds[param]!;
    const from = bound.base + index * bound.element;
    if (bound.buffer >= 0 && this.inside(bound, from, from + bytes)) this.tags.claim(bound.buffer, from, from + bytes);
  }

  writeAll(param: number): void {
    const bound = this.bounds[param]!;
    if (bound.buffer >= 0) this.tags.claim(bound.buffer, 0, bound.bytes);
  }
}

function boundsOf(program: Program, step: Step, turn: number): (Bound | undefined)[] {
  return step.args.map((arg) => {
    if (arg.kind === "scalar") return undefined;
    if (arg.kind === "constant") {
      const constant = program.constants[arg.index]!;
      const element = MEMORY_BYTES[constant.type];
      return { name: constant.name, buffer: -1, bytes: constant.data.length * element, element, base: 0 };
    }
    const buffer = program.buffers[arg.index]!;
    const element = MEMORY_BYTES[buffer.type];
    return { name: buffer.name, buffer: arg.index, bytes: bytesOfBuffer(buffer), element, base: startOf(arg, turn) * element };
  });
}

/** The accesses of every step as code, made once however often the step runs. */
class Replays {
  private readonly program: Program;
  private readonly functions: ReadonlyMap<string, Program["functions"][number]>;
  private readonly made = new Map<number, (to: ReplayTarget) => void>();

  constructor(program: Program) {
    this.program = program;
    this.functions = new Map(program.functions.map((f) => [f.name, f]));
  }

  of(step: number): (to: ReplayTarget) => void {
    const known = this.made.get(step);
    if (known !== undefined) return known;
    const { func: name, args } = this.program.steps[step]!;
    const func = this.functions.get(name)!;
    const { lines } = new ReplayWriter(func, boundScalars(func, args), this.functions);
    const run = new Function("to", lines.join("\n")) as (to: ReplayTarget) => void;
    this.made.set(step, run);
    return run;
  }
}

/** Offsets must be aligned and inside, and state must share its bytes with nothing. */
function checkPlaces(program: Program, placement: Placement, failures: Failures): void {
  const end = (b: number): number => placement.offsets[b]! + bytesOfBuffer(program.buffers[b]!);
  program.buffers.forEach((buffer, b) => {
    const offset = placement.offsets[b] ?? -1;
    const inside = offset >= 0 && offset % alignmentOf(buffer) === 0 && end(b) <= placement.arenaBytes;
    const shared = buffer.initial !== undefined && program.buffers.some((_, o) => o !== b && offset < end(o) && placement.offsets[o]! < end(b));
    if (!inside || shared) failures.add("start", buffer.name, { kind: "unplaced", byte: 0, owner: undefined });
  });
}

function expectWhole(program: Program, tags: ArenaTags, buffers: readonly number[], step: string, failures: Failures): void {
  for (const b of buffers) {
    const byte = tags.foreign(b, 0, tags.size(b));
    if (byte >= 0) failures.add(step, program.buffers[b]!.name, { kind: "overwritten", byte, owner: tags.ownerAt(b, byte) });
  }
}

/** The caller writes a row of the streamed input. */
function receiveRow(program: Program, tags: ArenaTags): void {
  for (const { rows, buffer } of program.inputs) {
    if (rows === undefined) continue;
    const element = MEMORY_BYTES[program.buffers[buffer]!.type];
    tags.claim(buffer, rows.start * element, (rows.start + rows.length) * element);
  }
}

function replayRun(
  program: Program,
  run: Run & { kind: "step" },
  kinds: readonly BufferKind[],
  replays: Replays,
  tags: ArenaTags,
  failures: Failures,
): void {
  const step = program.steps[run.step]!;
  // Working memory is the step's own from its start, whatever it holds: kernels may read what they then ignore.
  for (const arg of step.args) if (arg.kind === "buffer" && kinds[arg.index] === "scratch") tags.claim(arg.index, 0, tags.size(arg.index));
  replays.of(run.step)(new StepReplay(boundsOf(program, step, run.turn), tags, (name, fault) => failures.add(step.name, name, fault)));
}

/**
 * Replays every memory access of a program over a record of which buffer owns each byte of the arena. It knows
 * nothing of lifetimes, overlaps or how the placement was found. Unlike real runs it does not know data: where an
 * index depends on data the whole buffer must be intact, and a store to such an index counts as a store to all.
 */
export function checkPlan(program: Program, placement: Placement): PlanCheck {
  const failures = new Failures(program);
  checkPlaces(program, placement, failures);
  if (failures.list.length > 0) return { ok: false, failures: failures.list };
  const tags = new ArenaTags(placement.arenaBytes, placement.offsets, program.buffers.map(bytesOfBuffer));
  const state = program.buffers.flatMap((buffer, b) => (buffer.initial === undefined ? [] : [b]));
  const given = [...state, ...program.inputs.filter((port) => port.rows === undefined).map((port) => port.buffer)];
  for (const b of given) tags.claim(b, 0, tags.size(b));
  expectWhole(program, tags, given, "start", failures);
  const kinds = bufferKinds(program, stepUses(program));
  const replays = new Replays(program);
  for (const run of runsOf(program)) {
    if (run.kind === "await") receiveRow(program, tags);
    else replayRun(program, run, kinds, replays, tags, failures);
  }
  expectWhole(program, tags, [...state, ...program.outputs.map((port) => port.buffer)], "end", failures);
  return { ok: failures.list.length === 0, failures: failures.list };
}
