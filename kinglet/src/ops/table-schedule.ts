import { elementCount, type TypedArray } from "../base/index.ts";
import type { Node, Value } from "../graph/index.ts";
import { inputOf, outputOf, type Schedule, suffixOf } from "./op.ts";

/** Operators that compute each element from one element of their only input. */
const ELEMENT_BY_ELEMENT: ReadonlySet<string> = new Set([
  "relu",
  "relu6",
  "reluN1To1",
  "leakyRelu",
  "hardSwish",
  "elu",
  "gelu",
  "logistic",
  "tanh",
  "exp",
  "log",
  "abs",
  "rsqrt",
]);

/** True for an 8-bit element-by-element function of one tensor. */
export function isByteFunction(node: Node): boolean {
  const types = [node.inputs[0]?.dtype, node.outputs[0]?.dtype];
  return ELEMENT_BY_ELEMENT.has(node.op) && node.inputs.length === 1 && types.every((dtype) => dtype === "int8" || dtype === "uint8");
}

function flat(value: Value): Value {
  return { id: value.id, name: value.name, dtype: value.dtype, shape: [256], quantization: value.quantization };
}

/** The node's results for all 256 bytes, in the bytes' order. */
function tableOf(node: Node, evaluate: (node: Node, bytes: TypedArray) => TypedArray): TypedArray {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const data = inputOf(node, 0).dtype === "int8" ? new Int8Array(bytes.buffer) : bytes;
  return evaluate({ ...node, inputs: [flat(inputOf(node, 0))], outputs: [flat(outputOf(node))] }, data);
}

/**
 * Runs the operator's own loops over all 256 inputs at compile time and looks the results up: 256 bytes of flash
 * instead of arithmetic. `evaluate` runs one node of 256 elements on its input's contents.
 */
export function unaryTableSchedule(evaluate: (node: Node, bytes: TypedArray) => TypedArray): Schedule {
  return (node) => {
    if (!isByteFunction(node)) return undefined;
    return (k) => {
      const [x, y] = [inputOf(node, 0), outputOf(node)];
      const input = k.input(0, "x");
      const table = k.constant("table", y.dtype === "int8" ? "i8" : "u8", tableOf(node, evaluate));
      const output = k.output(0, "y");
      k.for("i", 0, k.int("count", elementCount(y.shape)), (i) => output.store(i, table.load(input.load(i).and(255))));
      return k.finish(`look_up_${suffixOf(x.dtype)}_${suffixOf(y.dtype)}`, "Looks every element up in a table of 256 results.");
    };
  };
}
