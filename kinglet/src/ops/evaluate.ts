import { allocate, elementCount, type TypedArray } from "../base/index.ts";
import type { Node } from "../graph/index.ts";
import { type Func, JS_PRELUDE, KernelBuilder, type MemoryType, printJsFunction } from "../loops/index.ts";
import { memoryOf } from "./op.ts";
import { findOp } from "./table.ts";

function helpersOf(func: Func, known: Map<string, Func> = new Map()): Map<string, Func> {
  for (const used of func.uses) helpersOf(used, known).set(used.name, used);
  return known;
}

const DTYPES = { i8: "int8", u8: "uint8", i16: "int16", u16: "uint16", i32: "int32", i64: "int64", f32: "float32" } as const satisfies Record<
  MemoryType,
  string
>;

/** The same bytes as the loop language sees them: it has no unsigned numbers of 32 or 64 bits. */
function asLoaded(data: TypedArray): TypedArray {
  if (data instanceof Uint32Array) return new Int32Array(data.buffer, data.byteOffset, data.length);
  if (data instanceof BigUint64Array) return new BigInt64Array(data.buffer, data.byteOffset, data.length);
  return data;
}

/** Functions of one text are compiled once: a model folds the same few operators again and again. */
const compiled = new Map<string, (...args: unknown[]) => void>();
const MOST_COMPILED = 500;

/** A kernel as a function of its arguments; `prelude` says what the arithmetic of single precision means. */
export function compileKernel(func: Func, prelude: string = JS_PRELUDE): (...args: unknown[]) => void {
  // A kernel may be called as one of its helpers is.
  const functions = [...helpersOf(func).values(), { ...func, name: "$kernel" }];
  const text = `${prelude}\n${functions.map(printJsFunction).join("\n")}\nreturn $kernel;`;
  const known = compiled.get(text);
  if (known !== undefined) return known;
  if (compiled.size >= MOST_COMPILED) compiled.clear();
  const made = new Function(text)() as (...args: unknown[]) => void;
  compiled.set(text, made);
  return made;
}

/** Carries out one node on known contents with its plain loops, in this process. */
export function evaluateNode(node: Node, inputs: readonly (TypedArray | null)[]): TypedArray[] {
  const builder = new KernelBuilder(
    node.inputs.map((value) => (value === null ? null : memoryOf(node, value))),
    node.outputs.map((value) => memoryOf(node, value)),
  );
  const { func, args } = findOp(node.op)!.loops(builder, node);
  const outputs = node.outputs.map((value) => allocate(value.dtype, elementCount(value.shape)));
  compileKernel(func)(
    ...args.map((arg) => {
      if (arg.kind === "scalar") return arg.type === "i64" ? BigInt(arg.value) : Number(arg.value);
      if (arg.kind === "input") return asLoaded(inputs[arg.index]!);
      if (arg.kind === "output") return asLoaded(outputs[arg.index]!);
      return arg.kind === "constant" ? arg.data : allocate(DTYPES[arg.type], arg.length);
    }),
  );
  return outputs;
}
