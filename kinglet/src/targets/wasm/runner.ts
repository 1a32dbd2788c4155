import { KingletError } from "../../base/index.ts";
import { MEMORY_BYTES, type Placement, printWasm, type Program, type ProgramRunner, wasmLayout } from "../../loops/index.ts";

/** What a runner has beside its memory. */
export type RunnerEntries = Pick<ProgramRunner, "run" | "runSteps" | "reset">;

/** The function `name` of a module. */
export function entryOf<F extends (...args: number[]) => void>({ exports }: WebAssembly.Instance, name: string): F {
  return exports[name] as F;
}

/** Buffers, inputs and outputs in a module's memory. */
export function runnerOver(program: Program, buffers: readonly number[], memory: WebAssembly.Memory, entries: RunnerEntries): ProgramRunner {
  const buffer = (index: number): Uint8Array => {
    const { type, length } = program.buffers[index]!;
    return new Uint8Array(memory.buffer, buffers[index]!, length * MEMORY_BYTES[type]);
  };
  return {
    ...entries,
    setInput: (i, data) => fill(buffer(program.inputs[i]!.buffer), data, program.inputs[i]!.name),
    output: (i) => buffer(program.outputs[i]!.buffer).slice(),
    buffer,
  };
}

/** Runs a program in this process as the WebAssembly module that it would be shipped as (plus one export for each step). */
export function createWasmRunner(program: Program, placement: Placement, relaxed = false): ProgramRunner {
  const bytes = printWasm(program, placement, { probe: true, relaxed });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource));
  const steps = program.steps.map((_, k) => entryOf<() => void>(instance, `step${k}`));
  const reset = entryOf<() => void>(instance, "init");
  reset();
  return runnerOver(program, wasmLayout(program, placement).buffers, instance.exports["memory"] as WebAssembly.Memory, {
    reset,
    run: entryOf(instance, "run"),
    runSteps: (first, end) => {
      for (let k = first; k < end; k++) steps[k]!();
    },
  });
}

function fill(to: Uint8Array, from: Uint8Array, name: string): void {
  if (from.length !== to.length) throw new KingletError("bad-input", `Input ${name} takes ${to.length} bytes, not ${from.length}.`);
  to.set(from);
}
