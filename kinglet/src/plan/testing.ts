import { Xorshift32 } from "../base/index.ts";
import {
  type BufferRef,
  type Expr,
  type Func,
  type KernelInstance,
  MEMORY_BYTES,
  type MemoryType,
  type Placement,
  type Program,
  type ProgramBuffer,
  type ProgramConstant,
  type Step,
  type StepArgument,
  type Stmt,
} from "../loops/index.ts";

/** One node of a test network: its kernel and the buffers of its inputs and outputs, by name. */
export interface TestNode {
  readonly name: string;
  readonly kernel: KernelInstance;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export interface TestBuffer {
  readonly type: MemoryType;
  readonly length: number;
  readonly state?: boolean;
}

/** Links kernels into a program as the compiler does; every node gets a function of its own. */
export function link(
  buffers: Readonly<Record<string, TestBuffer>>,
  nodes: readonly TestNode[],
  inputs: readonly string[],
  outputs: readonly string[],
): Program {
  const list: ProgramBuffer[] = Object.entries(buffers).map(([name, b]) => ({
    name,
    type: b.type,
    length: b.length,
    ...(b.state ? { initial: { kind: "fill" as const, value: 0 } } : {}),
  }));
  const index = (name: string): number => list.findIndex((b) => b.name === name);
  const constants: ProgramConstant[] = [];
  const functions: Func[] = [];
  const steps = nodes.map((node): Step => {
    const args = node.kernel.args.map((arg): StepArgument => {
      if (arg.kind === "input") return { kind: "buffer", index: index(node.inputs[arg.index]!) };
      if (arg.kind === "output") return { kind: "buffer", index: index(node.outputs[arg.index]!) };
      if (arg.kind === "scalar") return arg;
      if (arg.kind === "constant") return { kind: "constant", index: constants.push(arg) - 1 };
      return { kind: "buffer", index: list.push({ name: `${node.name} scratch`, type: arg.type, length: arg.length }) - 1 };
    });
    functions.push(...node.kernel.func.uses, { ...node.kernel.func, name: node.name });
    return { name: node.name, op: "Test", func: node.name, args };
  });
  const port = (name: string): Program["inputs"][number] => ({ name, dtype: "int8", shape: [list[index(name)]!.length], buffer: index(name) });
  return { name: "test", functions, constants, buffers: list, steps, inputs: inputs.map(port), outputs: outputs.map(port) };
}

const ARRAYS = { i8: Int8Array, u8: Uint8Array, i16: Int16Array, u16: Uint16Array, i32: Int32Array, f32: Float32Array } as const;
type Memory = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Float32Array;

/** Runs loops with real values; it knows what test kernels use. */
class Interpreter {
  private readonly locals = new Map<string, number>();
  private readonly memory: ReadonlyMap<string, Memory>;
  private readonly scalars: ReadonlyMap<string, number>;

  constructor(memory: ReadonlyMap<string, Memory>, scalars: ReadonlyMap<string, number>) {
    this.memory = memory;
    this.scalars = scalars;
  }

  private at(buffer: BufferRef, index: number): number {
    const value = this.memory.get(buffer.name)![index];
    if (value === undefined) throw new RangeError(`${buffer.name}[${index}]`);
    return value;
  }

  value(e: Expr): number {
    const node = e.node;
    switch (node.kind) {
      case "const":
        return Number(node.value);
      case "local":
        return this.locals.get(node.name)!;
      case "param":
        return this.scalars.get(node.name)!;
      case "load":
        return this.at(node.buffer, this.value(node.index));
      case "select":
        return this.value(node.condition) !== 0 ? this.value(node.a) : this.value(node.b);
      case "compare":
        return Number(COMPARES[node.op](this.value(node.a), this.value(node.b)));
      case "binary":
        return BINARIES[node.op]!(this.value(node.a), this.value(node.b));
      default:
        throw new TypeError(`test kernels do not use ${node.kind}`);
    }
  }

  run(body: readonly Stmt[]): void {
    for (const stmt of body) this.stmt(stmt);
  }

  private stmt(stmt: Stmt): void {
    switch (stmt.kind) {
      case "let":
      case "var":
      case "assign":
        this.locals.set(stmt.name, this.value(stmt.value));
        break;
      case "store":
        this.memory.get(stmt.buffer.name)![this.value(stmt.index)] = this.value(stmt.value);
        break;
      case "if":
        this.run(this.value(stmt.condition) !== 0 ? stmt.body : stmt.otherwise);
        break;
      case "for": {
        const to = this.value(stmt.to);
        for (let i = this.value(stmt.from); i < to; i += stmt.step) {
          this.locals.set(stmt.name, i);
          this.run(stmt.body);
        }
        break;
      }
      case "copy": {
        const from = this.value(stmt.fromIndex);
        const part = this.memory.get(stmt.from.name)!.slice(from, from + this.value(stmt.count));
        this.memory.get(stmt.to.name)!.set(part, this.value(stmt.toIndex));
        break;
      }
      default:
        throw new TypeError(`test kernels do not use ${stmt.kind}`);
    }
  }
}

const COMPARES = {
  eq: (a: number, b: number) => a === b,
  ne: (a: number, b: number) => a !== b,
  lt: (a: number, b: number) => a < b,
  le: (a: number, b: number) => a <= b,
  gt: (a: number, b: number) => a > b,
  ge: (a: number, b: number) => a >= b,
};

const BINARIES: Partial<Record<string, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => Math.trunc(a / b),
  rem: (a, b) => a % b,
  min: Math.min,
  max: Math.max,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << b,
  shr: (a, b) => a >> b,
};

function view(type: MemoryType, arena: ArrayBuffer, offset: number, length: number): Memory {
  return new ARRAYS[type as keyof typeof ARRAYS](arena, offset, length);
}

/** Runs a program in an arena with this placement, inputs filled from a seed; gives the outputs' values. */
export function execute(program: Program, placement: Placement, seed: number): number[][] {
  const arena = new ArrayBuffer(placement.arenaBytes);
  const random = new Xorshift32(seed);
  const views = program.buffers.map((b, i) => view(b.type, arena, placement.offsets[i]!, b.length));
  for (const port of program.inputs)
    views[port.buffer]!.forEach((_, i, all) => {
      all[i] = random.int(0, 120);
    });
  for (const step of program.steps) {
    const func = program.functions.find((f) => f.name === step.func)!;
    const memory = new Map<string, Memory>();
    const scalars = new Map<string, number>();
    step.args.forEach((arg, i) => {
      const name = func.params[i]!.name;
      if (arg.kind === "scalar") scalars.set(name, Number(arg.value));
      else memory.set(name, arg.kind === "buffer" ? views[arg.index]! : (program.constants[arg.index]!.data as Memory));
    });
    new Interpreter(memory, scalars).run(func.body);
  }
  return program.outputs.map((port) => Array.from(views[port.buffer]!));
}

/** Every buffer on bytes of its own, in order. */
export function apart(program: Program): Placement {
  let at = 0;
  const offsets = program.buffers.map((b) => {
    const offset = Math.ceil(at / 8) * 8;
    at = offset + b.length * MEMORY_BYTES[b.type];
    return offset;
  });
  return { arenaBytes: Math.ceil(at / 8) * 8, offsets };
}
