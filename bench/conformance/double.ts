import { allocate, elementCount, fromBytes, type TypedArray } from "../../kinglet/src/base/index.ts";
import type { Sample } from "../../kinglet/src/driver/index.ts";
import type { Graph, Node, Value } from "../../kinglet/src/graph/index.ts";
import { type Argument, JS_PRELUDE, KernelBuilder } from "../../kinglet/src/loops/index.ts";
import { compileKernel } from "../../kinglet/src/ops/evaluate.ts";
import { findOp, memoryOf } from "../../kinglet/src/ops/index.ts";
import type { Outputs } from "./difference.ts";

/** Nothing is rounded to single precision but what works on the bits of floats: the series of exp, log and the like end there. */
const DOUBLE_PRELUDE = JS_PRELUDE.replace("Math.fround", "(x) => x");

const SCRATCH = { i8: Int8Array, u8: Uint8Array, i16: Int16Array, u16: Uint16Array, i32: Int32Array, i64: BigInt64Array, f32: Float64Array } as const;

function bound(arg: Argument, inputs: readonly (TypedArray | null)[], outputs: readonly TypedArray[]): unknown {
  switch (arg.kind) {
    case "scalar":
      return arg.type === "i64" ? BigInt(arg.value) : Number(arg.value);
    case "input":
      return inputs[arg.index];
    case "output":
      return outputs[arg.index];
    case "constant":
      return arg.data;
    case "scratch":
      return new SCRATCH[arg.type](arg.length);
    default:
      return arg satisfies never;
  }
}

function evaluateNode(node: Node, inputs: readonly (TypedArray | null)[]): TypedArray[] {
  const definition = findOp(node.op)!;
  if (definition.alias === true) return [inputs[0]!];
  const memory = (value: Value) => memoryOf(node, value);
  const { func, args } = definition.loops(
    new KernelBuilder(
      node.inputs.map((value) => (value === null ? null : memory(value))),
      node.outputs.map(memory),
    ),
    node,
  );
  const outputs = node.outputs.map(({ dtype, shape }) =>
    dtype === "float32" ? new Float64Array(elementCount(shape)) : allocate(dtype, elementCount(shape)),
  );
  compileKernel(func, DOUBLE_PRELUDE)(...args.map((arg) => bound(arg, inputs, outputs)));
  return outputs;
}

/** One inference of a float network by its plain loops, in double precision: what single precision approximates in whatever order it sums. */
export function evaluateInDouble(graph: Graph, sample: Sample): Outputs {
  const known = new Map<Value, TypedArray>();
  for (const value of graph.values) if (value.data !== undefined) known.set(value, value.data);
  graph.inputs.forEach((value, i) => known.set(value, fromBytes(value.dtype, sample[i]!)));
  for (const node of graph.nodes) {
    const results = evaluateNode(
      node,
      node.inputs.map((value) => (value === null ? null : known.get(value)!)),
    );
    node.outputs.forEach((value, i) => known.set(value, results[i]!));
  }
  return graph.outputs.map((value) => known.get(value)!);
}
