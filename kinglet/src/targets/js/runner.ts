import type { TypedArray } from "../../base/index.ts";
import {
  HELIUM_JS,
  JS_PRELUDE,
  MEMORY_BYTES,
  type MemoryType,
  type Placement,
  printJsFunction,
  type Program,
  type ProgramRunner,
  type RowStream,
  runsOf,
  type Step,
  type StepArgument,
} from "../../loops/index.ts";

const ARRAY_NAMES: Readonly<Record<MemoryType, string>> = {
  i8: "Int8Array",
  u8: "Uint8Array",
  i16: "Int16Array",
  u16: "Uint16Array",
  i32: "Int32Array",
  i64: "BigInt64Array",
  f32: "Float32Array",
};

/** The buffer's view, or what of it the argument stands for in this turn of the step. */
function viewText(arg: Extract<StepArgument, { kind: "buffer" }>): string {
  const { index, start = 0, advance = 0 } = arg;
  if (start === 0 && advance === 0) return `v[${index}]`;
  return `v[${index}].subarray(${start}${advance === 0 ? "" : ` + turn * ${advance}`})`;
}

function callText(step: Step): string {
  const args = step.args.map((arg) => {
    if (arg.kind === "scalar") return arg.type === "i64" ? `${arg.value}n` : String(arg.value);
    return arg.kind === "buffer" ? viewText(arg) : `c[${arg.index}]`;
  });
  return `${step.func}(${args.join(", ")})`;
}

/** The functions of a program and one closure for each step, over buffers `v` and constants `c`. */
export function printJsSteps(program: Program): string {
  const functions = program.functions.map(printJsFunction).join("\n");
  return `${JS_PRELUDE}\n${functions}\nconst steps = [\n${program.steps.map((step) => `  (turn) => ${callText(step)},`).join("\n")}\n];\n`;
}

/** A statement that makes the views of all buffers over `arena`. */
export function printJsViews(program: Program, placement: Placement): string {
  const views = program.buffers.map((buffer, i) => `  new ${ARRAY_NAMES[buffer.type]}(arena, ${placement.offsets[i]}, ${buffer.length}),`);
  return `const v = [\n${views.join("\n")}\n];\n`;
}

/** Statements that give state its first contents. */
export function printJsReset(program: Program): string {
  const lines = program.buffers.flatMap((buffer, i) => {
    if (buffer.initial === undefined) return [];
    if (buffer.initial.kind === "constant") return [`  v[${i}].set(c[${buffer.initial.index}]);`];
    return [`  v[${i}].fill(${buffer.initial.value}${buffer.type === "i64" ? "n" : ""});`];
  });
  return `function reset() {\n${lines.join("\n")}\n}\n`;
}

/** Plays the caller that writes an image row by row. */
class RowFeeder {
  image: Uint8Array = new Uint8Array(0);
  private readonly rows: RowStream;
  private readonly to: Uint8Array;
  private readonly element: number;

  constructor(rows: RowStream, to: Uint8Array, element: number) {
    this.rows = rows;
    this.to = to;
    this.element = element;
  }

  feed(row: number): void {
    const bytes = this.rows.length * this.element;
    this.to.set(this.image.subarray(row * bytes, (row + 1) * bytes), this.rows.start * this.element);
  }
}

/** Runs a program in this process, as generated JavaScript over one arena. */
export function createJsRunner(program: Program, placement: Placement): ProgramRunner {
  const arena = new ArrayBuffer(placement.arenaBytes);
  const text = `"use strict";\n${printJsViews(program, placement)}${printJsSteps(program)}${printJsReset(program)}return { steps, reset };`;
  const make = new Function("arena", "c", "$helium", text) as (
    arena: ArrayBuffer,
    c: TypedArray[],
    helium: typeof HELIUM_JS,
  ) => { steps: ((turn: number) => void)[]; reset(): void };
  const { steps, reset } = make(
    arena,
    program.constants.map((constant) => constant.data),
    HELIUM_JS,
  );
  const bytes = (index: number): Uint8Array => {
    const buffer = program.buffers[index]!;
    return new Uint8Array(arena, placement.offsets[index], buffer.length * MEMORY_BYTES[buffer.type]);
  };
  reset();
  const runs = runsOf(program);
  const streams = program.inputs.map((port) =>
    port.rows === undefined ? undefined : new RowFeeder(port.rows, bytes(port.buffer), MEMORY_BYTES[program.buffers[port.buffer]!.type]),
  );
  return {
    setInput: (i, data) => {
      const stream = streams[i];
      if (stream === undefined) bytes(program.inputs[i]!.buffer).set(data);
      else stream.image = data.slice();
    },
    run: () => {
      for (const run of runs) {
        if (run.kind === "step") steps[run.step]!(run.turn);
        else for (const stream of streams) stream?.feed(run.row);
      }
    },
    runSteps: (first, end) => {
      for (let k = first; k < end; k++) steps[k]!(0);
    },
    output: (i) => bytes(program.outputs[i]!.buffer).slice(),
    buffer: bytes,
    reset,
  };
}
