import { expect } from "vitest";
import { bytesOf, type DType, type TypedArray, viewOf } from "../base/index.ts";
import { KernelBuilder } from "./kernel.ts";
import type { Func, KernelInstance, Placement, Port, Program, ProgramBuffer, ProgramConstant, StepArgument } from "./program.ts";
import { MEMORY_BYTES, type MemoryType } from "./types.ts";
import { printWasm, type WasmLayout, wasmLayout } from "./print-wasm.ts";

/** Buffers one after another, each on a multiple of 16. */
export function plainPlacement(program: Program): Placement {
  let end = 0;
  const offsets = program.buffers.map(({ type, length }) => {
    const at = end;
    end += Math.ceil((length * MEMORY_BYTES[type]) / 16) * 16;
    return at;
  });
  return { arenaBytes: end, offsets };
}

export interface TestBuffer {
  readonly type: MemoryType;
  readonly length: number;
}

/** A program of one step: `write` makes the kernel for these inputs (null: absent) and this output. */
export function singleKernel(inputs: readonly (TestBuffer | null)[], output: TestBuffer, write: (k: KernelBuilder) => KernelInstance): Program {
  const instance = write(
    new KernelBuilder(
      inputs.map((b) => b?.type ?? null),
      [output.type],
    ),
  );
  const buffers: ProgramBuffer[] = [...inputs, output].map((b, i) => ({ name: `b${i}`, ...(b ?? { type: "u8", length: 0 }) }));
  const constants: ProgramConstant[] = [];
  const args = instance.args.map((arg): StepArgument => {
    if (arg.kind === "scalar") return arg;
    if (arg.kind === "input") return { kind: "buffer", index: arg.index };
    if (arg.kind === "output") return { kind: "buffer", index: inputs.length };
    if (arg.kind === "constant") return { kind: "constant", index: constants.push(arg) - 1 };
    return { kind: "buffer", index: buffers.push({ name: "scratch", type: arg.type, length: arg.length }) - 1 };
  });
  return {
    name: "single",
    functions: [...calleesFirst(instance.func)],
    constants,
    buffers,
    steps: [{ name: "only", op: "test", func: instance.func.name, args }],
    inputs: inputs.flatMap((b, i) => (b === null ? [] : [port(`in${i}`, b, i)])),
    outputs: [port("out", output, inputs.length)],
  };
}

function calleesFirst(func: Func, seen: Set<Func> = new Set()): Set<Func> {
  for (const callee of func.uses) calleesFirst(callee, seen);
  return seen.add(func);
}

const DTYPES: Readonly<Record<MemoryType, DType>> = {
  i8: "int8",
  u8: "uint8",
  i16: "int16",
  u16: "uint16",
  i32: "int32",
  i64: "int64",
  f32: "float32",
};

function port(name: string, { type, length }: TestBuffer, buffer: number): Port {
  return { name, dtype: DTYPES[type], shape: [length], buffer };
}

/** An instance in this process, with typed access to the buffers. */
export class TestModule {
  readonly bytes: Uint8Array;
  private readonly program: Program;
  private readonly layout: WasmLayout;
  private readonly exports: WebAssembly.Exports;

  constructor(program: Program, probe: boolean = false) {
    const placement = plainPlacement(program);
    this.program = program;
    this.layout = wasmLayout(program, placement);
    this.bytes = printWasm(program, placement, { probe });
    this.exports = new WebAssembly.Instance(new WebAssembly.Module(this.bytes as BufferSource)).exports;
    this.call("init");
  }

  call(name: string): void {
    (this.exports[name] as () => void)();
  }

  buffer(index: number): TypedArray {
    const { type, length } = this.program.buffers[index]!;
    return viewOf(DTYPES[type], (this.exports["memory"] as WebAssembly.Memory).buffer, this.layout.buffers[index]!, length);
  }

  /** Runs on copies of these inputs; gives a copy of the first output. */
  run(...inputs: TypedArray[]): TypedArray {
    inputs.forEach((data, i) => {
      const to = this.buffer(this.program.inputs[i]!.buffer);
      if (to.byteLength !== data.byteLength) throw new RangeError("the input has another size");
      bytesOf(to).set(bytesOf(data));
    });
    this.call("run");
    return this.buffer(this.program.outputs[0]!.buffer).slice() as TypedArray;
  }
}

/** Element by element, a NaN equal to itself and −0 unequal to 0. */
export function expectSame(actual: TypedArray, expected: ArrayLike<number | bigint>): void {
  expect(Array.from(actual as Float32Array)).toEqual(Array.from(expected as ArrayLike<number>));
}
