import type { TypedArray } from "../base/index.ts";
import { type BufferRef, Expr, load, type Operand, operand } from "./expr.ts";
import type { Argument, Func, KernelInstance, Param, Stmt, VectorStore } from "./program.ts";
import { loadedType, type MemoryType, type ScalarType, type ValueKind } from "./types.ts";

/** A mutable local. */
export interface Variable {
  get(): Expr;
  set(value: Operand): void;
}

/** A buffer parameter with the verbs a kernel needs. Indices count elements. */
export class Buffer implements BufferRef {
  readonly name: string;
  readonly type: MemoryType;
  readonly #body: FunctionBuilder;

  constructor(name: string, type: MemoryType, body: FunctionBuilder) {
    this.name = name;
    this.type = type;
    this.#body = body;
  }

  load(index: Operand): Expr {
    return load(this, index);
  }

  store(index: Operand, value: Operand): void {
    this.#body.store(this, index, value);
  }
}

/** Words that a local cannot be called in one of the printed languages. */
const RESERVED = new Set(
  (
    "auto break case char const continue default do double else enum extern float for goto if inline int long register restrict return short signed " +
    "sizeof static struct switch typedef union unsigned void volatile while class delete export function import in let new this typeof var with yield " +
    "arena smlad pow exp log sin cos tanh round floor ceil sqrt abs"
  ).split(" "),
);

/** Collects statements; nested blocks go through a stack. */
export class FunctionBuilder {
  private readonly blocks: Stmt[][] = [[]];
  private readonly used = new Map<string, number>();
  protected readonly helpers = new Map<string, Func>();

  protected unique(name: string): string {
    const count = this.used.get(name) ?? (RESERVED.has(name) ? 1 : 0);
    this.used.set(name, count + 1);
    return count === 0 ? name : `${name}_${count}`;
  }

  emit(stmt: Stmt): void {
    this.blocks[this.blocks.length - 1]!.push(stmt);
  }

  private block(write: () => void): Stmt[] {
    this.blocks.push([]);
    write();
    return this.blocks.pop()!;
  }

  /** Names a value that is used more than once, or that a reader should see. */
  let(name: string, value: Expr): Expr {
    const unique = this.unique(name);
    this.emit({ kind: "let", name: unique, value });
    return new Expr(value.type, { kind: "local", name: unique });
  }

  /** A local that changes. */
  variable(name: string, initial: Expr): Variable {
    const unique = this.unique(name);
    this.emit({ kind: "var", name: unique, value: initial });
    const type: ValueKind = initial.type;
    return {
      get: () => new Expr(type, { kind: "local", name: unique }),
      set: (value) => this.emit({ kind: "assign", name: unique, value: operand(value, type) }),
    };
  }

  store(buffer: BufferRef, index: Operand, value: Operand): void {
    this.emit({ kind: "store", buffer, index: operand(index, "i32"), value: operand(value, loadedType(buffer.type)) });
  }

  /** Stores a vector; `rest` are the other three of an interleaved store. */
  storeVector(buffer: BufferRef, index: Operand, value: Expr, form: VectorStore["form"] = "full", rest: readonly Expr[] = []): void {
    this.emit({ kind: "vectorStore", buffer, index: operand(index, "i32"), value, form, ...(rest.length === 0 ? {} : { rest }) });
  }

  /** for (name = from; name < to; name += step) */
  for(name: string, from: Operand, to: Operand, body: (i: Expr) => void, step = 1): void {
    const unique = this.unique(name);
    const statements = this.block(() => body(new Expr("i32", { kind: "local", name: unique })));
    this.emit({ kind: "for", name: unique, from: operand(from, "i32"), to: operand(to, "i32"), step, body: statements });
  }

  /** A loop whose turns do not need each other: threads may share them. They may write the same element only with the same value. */
  parallelFor(name: string, from: Operand, to: Operand, body: (i: Expr) => void, step = 1): void {
    this.for(name, from, to, body, step);
    const block = this.blocks[this.blocks.length - 1]!;
    block.push({ ...(block.pop() as Extract<Stmt, { kind: "for" }>), parallel: true });
  }

  /** Behind a parallel loop: what follows needs all of its turns. A kernel that meets marks its working memory as shared. */
  meet(): void {
    const block = this.blocks[this.blocks.length - 1]!;
    const loop = block.pop();
    if (loop?.kind !== "for" || loop.parallel !== true) throw new TypeError("threads meet behind a parallel loop");
    block.push({ ...loop, meets: true });
  }

  if(condition: Expr, then: () => void, otherwise?: () => void): void {
    const body = this.block(then);
    this.emit({ kind: "if", condition, body, otherwise: otherwise ? this.block(otherwise) : [] });
  }

  /** Moves `count` elements as memmove does; both buffers have one element size. */
  copy(to: BufferRef, toIndex: Operand, from: BufferRef, fromIndex: Operand, count: Operand): void {
    this.emit({ kind: "copy", to, toIndex: operand(toIndex, "i32"), from, fromIndex: operand(fromIndex, "i32"), count: operand(count, "i32") });
  }

  return(value: Expr): void {
    this.emit({ kind: "return", value });
  }

  /** Calls a pure helper; the program then holds it once. */
  call(func: Func, ...args: Operand[]): Expr {
    this.helpers.set(func.name, func);
    if (func.result === null) throw new TypeError(`${func.name} gives no value`);
    const typed = args.map((arg, i) => operand(arg, (func.params[i] as { type: ScalarType }).type));
    return new Expr(func.result, { kind: "call", func: func.name, args: typed });
  }

  protected statements(): Stmt[] {
    return this.blocks[0]!;
  }
}

/** Defines a pure helper function of scalars. */
export function defineFunction(
  name: string,
  doc: string,
  params: Readonly<Record<string, ScalarType>>,
  result: ScalarType,
  write: (f: FunctionBuilder, ...args: Expr[]) => void,
): Func {
  class Builder extends FunctionBuilder {
    take(param: string): string {
      return this.unique(param);
    }
    finish(): Stmt[] {
      return this.statements();
    }
    uses(): Func[] {
      return [...this.helpers.values()];
    }
  }
  const builder = new Builder();
  const args = Object.entries(params).map(([param, type]) => new Expr(type, { kind: "param", name: builder.take(param) }));
  write(builder, ...args);
  const list: Param[] = Object.entries(params).map(([param, type]) => ({ kind: "scalar", name: param, type }));
  return { name, doc, params: list, result, body: builder.finish(), uses: builder.uses() };
}

/**
 * Writes one kernel. Everything that differs from layer to layer and does not change the structure goes in
 * through `int`, `float`, `constant` and the buffers, so that layers of one structure can share one function.
 */
export class KernelBuilder extends FunctionBuilder {
  private readonly params: Param[] = [];
  private readonly args: Argument[] = [];
  private readonly known = new Map<string, Expr>();
  private readonly inputTypes: readonly (MemoryType | null)[];
  private readonly outputTypes: readonly MemoryType[];

  /** @param inputTypes memory types of the node's inputs (null where absent) and of its outputs. */
  constructor(inputTypes: readonly (MemoryType | null)[], outputTypes: readonly MemoryType[]) {
    super();
    this.inputTypes = inputTypes;
    this.outputTypes = outputTypes;
  }

  private bufferParam(name: string, type: MemoryType, writes: boolean, argument: Argument): Buffer {
    const unique = this.unique(name);
    this.params.push({ kind: "buffer", name: unique, type, writes });
    this.args.push(argument);
    return new Buffer(unique, type, this);
  }

  /** The node's input as a buffer to read. Call once for each input. A variable's state may be written: `writes`. */
  input(index: number, name: string, writes = false): Buffer {
    const type = this.inputTypes[index];
    if (type === undefined || type === null) throw new RangeError(`the node has no input ${index}`);
    return this.bufferParam(name, type, writes, { kind: "input", index });
  }

  hasInput(index: number): boolean {
    return this.inputTypes[index] !== undefined && this.inputTypes[index] !== null;
  }

  /** The node's output as a buffer to write. */
  output(index: number, name: string): Buffer {
    const type = this.outputTypes[index];
    if (type === undefined) throw new RangeError(`the node has no output ${index}`);
    return this.bufferParam(name, type, true, { kind: "output", index });
  }

  /** A table known at compile time (multipliers, folded bias, look-up values). It lies in flash. */
  constant(name: string, type: MemoryType, data: TypedArray): Buffer {
    return this.bufferParam(name, type, false, { kind: "constant", name, type, data });
  }

  /** Working memory in the arena while this kernel runs. */
  scratch(name: string, type: MemoryType, length: number): Buffer {
    return this.bufferParam(name, type, true, { kind: "scratch", type, length });
  }

  /** An integer of this layer (a size, a stride, a zero point). Asked for twice by one name, it is one parameter. */
  int(name: string, value: number): Expr {
    return this.scalar(name, "i32", value);
  }

  float(name: string, value: number): Expr {
    return this.scalar(name, "f32", Math.fround(value));
  }

  private scalar(name: string, type: ScalarType, value: number): Expr {
    const before = this.known.get(name);
    if (before !== undefined) return before;
    const unique = this.unique(name);
    this.params.push({ kind: "scalar", name: unique, type });
    this.args.push({ kind: "scalar", type, value });
    const expr = new Expr(type, { kind: "param", name: unique });
    this.known.set(name, expr);
    return expr;
  }

  /** The finished kernel. `name` says operator, types and variant in snake case, e.g. `conv2d_s8`. */
  finish(name: string, doc: string, marks: Pick<Func, "asWritten" | "looseSizes" | "sharesScratch"> = {}): KernelInstance {
    const func: Func = { name, doc, params: this.params, result: null, body: this.statements(), uses: [...this.helpers.values()], ...marks };
    return { func, args: this.args };
  }
}
