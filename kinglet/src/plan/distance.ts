import type { Expr, Func, Program, Step, Stmt } from "../loops/index.ts";
import { eachLoad, eachStmt, nested, ownExpressions } from "./access.ts";
import { worksInPlace } from "./inplace.ts";
import { INTERVAL_HELPERS } from "./interval.ts";
import { boundScalars, literal, scalarSource } from "./scalar.ts";
import { type Roles, TraceWriter } from "./trace.ts";
import type { Distance } from "./types.ts";
import { bytesOfBuffer } from "./usage.ts";

/** How far loops are run one iteration at a time; every limit leads to safe distances, larger ones to tighter. */
export interface TraceLimits {
  /** Iterations of loops that both read an input and write an output: each is one unit of time. */
  readonly mixed: number;
  /** Iterations of loops within, where conditions (padding) would blur an interval. */
  readonly detail: number;
  /** The estimates can be wrong: beyond this many iterations in all, nothing overlaps. */
  readonly budget: number;
}

export const TRACE_LIMITS: TraceLimits = { mixed: 1_000_000, detail: 200_000, budget: 8_000_000 };

export interface PairDistance extends Distance {
  readonly input: number;
  readonly output: number;
}

interface Scan {
  reads: boolean;
  writes: boolean;
  branches: boolean;
}

function scan(body: readonly Stmt[], roles: Roles): Scan {
  const found: Scan = { reads: false, writes: false, branches: false };
  eachStmt(body, (stmt) => {
    for (const e of ownExpressions(stmt))
      eachLoad(e, (buffer) => {
        found.reads ||= roles.inputs.has(buffer.name);
      });
    if (stmt.kind === "copy") found.reads ||= roles.inputs.has(stmt.from.name);
    if (stmt.kind === "copy") found.writes ||= roles.outputs.has(stmt.to.name);
    if (stmt.kind === "store" || stmt.kind === "vectorStore") found.writes ||= roles.outputs.has(stmt.buffer.name);
    found.branches ||= stmt.kind === "if" || stmt.kind === "assign";
  });
  return found;
}

/** Guesses how often loops run, taking outer loops at their start; only the choice of loops hangs on it. */
class Guess {
  private readonly values = new Map<string, number | bigint>();
  private readonly scalars: ReadonlyMap<string, number | bigint>;
  private readonly functions: ReadonlyMap<string, Func>;

  constructor(scalars: ReadonlyMap<string, number | bigint>, functions: ReadonlyMap<string, Func>) {
    this.scalars = scalars;
    this.functions = functions;
  }

  value(e: Expr): number | bigint {
    const zero = e.type === "i64" ? 0n : 0;
    const source = scalarSource(e, { local: (name) => literal(this.values.get(name) ?? zero), scalars: this.scalars, functions: this.functions });
    if (source === null) return zero;
    try {
      return new Function(`return ${source};`)() as number | bigint;
    } catch {
      // A guessed 0 may divide a 64-bit integer.
      return zero;
    }
  }

  set(name: string, e: Expr): void {
    this.values.set(name, this.value(e));
  }
}

/** Chooses the loops to run one by one: outer loops first, as many as the limits allow. */
function chooseLoops(body: readonly Stmt[], roles: Roles, guess: Guess, limits: TraceLimits, outer: number, chosen: Set<Stmt>): void {
  for (const stmt of body) {
    if (stmt.kind === "let" || stmt.kind === "var") guess.set(stmt.name, stmt.value);
    if (stmt.kind === "if") for (const block of nested(stmt)) chooseLoops(block, roles, guess, limits, outer, chosen);
    if (stmt.kind !== "for") continue;
    guess.set(stmt.name, stmt.from);
    const trips = Math.max(1, Math.ceil((Number(guess.value(stmt.to)) - Number(guess.value(stmt.from))) / stmt.step) || 1);
    const { reads, writes, branches } = scan(stmt.body, roles);
    const limit = reads && writes ? limits.mixed : (reads || writes) && branches ? limits.detail : 0;
    if (outer * trips > limit) continue;
    chosen.add(stmt);
    chooseLoops(stmt.body, roles, guess, limits, outer * trips, chosen);
  }
}

function rolesOf(program: Program, func: Func, step: Step, inputs: readonly number[], outputs: readonly number[]): Roles {
  const roles = { inputs: new Map<string, { index: number; bytes: number }>(), outputs: new Map<string, { index: number; bytes: number }>() };
  func.params.forEach((param, i) => {
    const arg = step.args[i];
    if (param.kind !== "buffer" || arg?.kind !== "buffer") return;
    const bytes = bytesOfBuffer(program.buffers[arg.index]!);
    if (inputs.includes(arg.index)) roles.inputs.set(param.name, { index: inputs.indexOf(arg.index), bytes });
    if (outputs.includes(arg.index)) roles.outputs.set(param.name, { index: outputs.indexOf(arg.index), bytes });
  });
  return roles;
}

function compile(
  lines: readonly string[],
  inputs: number,
  outputs: number,
): (helpers: typeof INTERVAL_HELPERS, budget: number) => [number, number][] | null {
  const pairs = Array.from({ length: inputs * outputs }, (_, k) => `${Math.floor(k / outputs)}_${k % outputs}`);
  const source = [
    `const { ${Object.keys(INTERVAL_HELPERS).join(", ")} } = helpers;`,
    ...Array.from({ length: outputs }, (_, j) => `let W0${j} = Infinity, W1${j} = -Infinity;`),
    ...pairs.map((p) => `let D${p} = -Infinity, U${p} = -Infinity;`),
    ...lines,
    `return [${pairs.map((p) => `[D${p}, U${p}]`).join(", ")}];`,
  ].join("\n");
  return new Function("helpers", "budget", source) as ReturnType<typeof compile>;
}

/**
 * For every pair of an input that dies at this step and an output that is born here, the distances at which the
 * kernel would overwrite bytes of the input that it has yet to read. Distances count in whole words.
 */
export function safeDistances(
  program: Program,
  step: Step,
  inputs: readonly number[],
  outputs: readonly number[],
  limits: TraceLimits = TRACE_LIMITS,
): PairDistance[] {
  const functions = new Map(program.functions.map((f) => [f.name, f]));
  const func = functions.get(step.func)!;
  const roles = rolesOf(program, func, step, inputs, outputs);
  const scalars = boundScalars(func, step.args);
  const chosen = new Set<Stmt>();
  chooseLoops(func.body, roles, new Guess(scalars, functions), limits, 1, chosen);
  const trace = new TraceWriter(func.body, { scalars, functions, roles, enumerated: (loop) => chosen.has(loop) });
  const found = compile(trace.lines, inputs.length, outputs.length)(INTERVAL_HELPERS, limits.budget);
  if (found === null) return [];
  return found.map(([lowest, highest], k) => {
    const [input, output] = [inputs[Math.floor(k / outputs.length)]!, outputs[k % outputs.length]!];
    const [below, above] = [Math.floor(-lowest / 4) * 4 + 0, Math.ceil(highest / 4) * 4 + 0];
    const inPlace = below < 0 && above > 0 && worksInPlace(program, step, input, output);
    return { input, output, below, above, ...(inPlace ? { inPlace } : {}) };
  });
}
