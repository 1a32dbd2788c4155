import { KingletError } from "../../base/index.ts";
import { MEMORY_BYTES, type Placement, printWasm, type Program, type ProgramRunner, wasmLayout } from "../../loops/index.ts";

type Entry = () => void;

/** Runs a program in this process as the WebAssembly module that it would be shipped as (plus one export for each step). */
export function createWasmRunner(program: Program, placement: Placement, relaxed = false): ProgramRunner {
  const layout = wasmLayout(program, placement);
  const bytes = printWasm(program, placement, { probe: true, relaxed });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource));
  const entry = (name: string): Entry => instance.exports[name] as Entry;
  const memory = instance.exports["memory"] as WebAssembly.Memory;
  const buffer = (index: number): Uint8Array => {
    const { type, length } = program.buffers[index]!;
    return new Uint8Array(memory.buffer, layout.buffers[index]!, length * MEMORY_BYTES[type]);
  };
  entry("init")();
  return {
    setInput: (i, data) => fill(buffer(program.inputs[i]!.buffer), data, program.inputs[i]!.name),
    run: entry("run"),
    runStep: (k) => entry(`step${k}`)(),
    output: (i) => buffer(program.outputs[i]!.buffer).slice(),
    buffer,
    reset: entry("init"),
  };
}

function fill(to: Uint8Array, from: Uint8Array, name: string): void {
  if (from.length !== to.length) throw new KingletError("bad-input", `Input ${name} takes ${to.length} bytes, not ${from.length}.`);
  to.set(from);
}
