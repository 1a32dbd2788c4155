import { elementCount, sameShape } from "../base/index.ts";
import type { Node, ValueType } from "../graph/index.ts";
import type { KernelBuilder, KernelInstance } from "../loops/index.ts";
import { integerDescent } from "./descent.ts";
import { attributesOf, type CaseInput, inputOf, type OpDef, refuse, suffixOf, typeAt } from "./op.ts";

export interface QuantizedUpdateAttributes {
  /**
   * Quantization-aware scaling: the gradient with respect to the stored numbers is divided by the square of their scale, so that a rate
   * moves the real weights as it moves those of the floating-point network. Without it a scale of 1/100 makes steps 10,000 times too small.
   */
  readonly scaled: boolean;
}

function loops(k: KernelBuilder, node: Node): KernelInstance {
  const { move, end } = integerDescent(k, node, 3, attributesOf<QuantizedUpdateAttributes>(node).scaled);
  const g = k.input(2, "g");
  const { shape, quantization } = inputOf(node, 0);
  const axis = quantization!.axis;
  const [channels, inner] = [k.int("channels", shape[axis]!), k.int("inner", elementCount(shape.slice(axis + 1)))];
  k.for("outer", 0, k.int("outer_count", elementCount(shape.slice(0, axis))), (outer) =>
    k.for("c", 0, channels, (c) =>
      k.for("i", 0, inner, (i) => {
        const at = k.let("at", outer.mul(channels).add(c).mul(inner).add(i));
        move(at, g.load(at), () => c);
      }),
    ),
  );
  end();
  return k.finish(
    `quantized_descent_update_${suffixOf(inputOf(node, 0).dtype)}`,
    "A step of gradient descent of stored integers, rounded at random.",
  );
}

const variable = (type: CaseInput): CaseInput => ({ ...type, variable: true });
const random = variable({ dtype: "int32", shape: [1], low: 1, high: 1000 });
const scales = (values: number[], axis = 0): NonNullable<CaseInput["quantization"]> => ({ scales: values, zeroPoints: values.map(() => 0), axis });

function updateCase(name: string, weights: CaseInput, scaled = true): OpDef["cases"][number] {
  const rate: CaseInput = { dtype: "float32", shape: [1], low: 0.01, high: 0.1 };
  return { name, inputs: [variable(weights), random, { dtype: "float32", shape: weights.shape }, rate], outputs: [], attributes: { scaled } };
}

/**
 * Gradient descent of stored integers (see `integerDescent`), as training with real int8 weights needs it (Lin et al., "On-Device Training
 * Under 256KB Memory", NeurIPS 2022). Inputs: weights (int8, or an int32 bias; they change), the state of a random stream (int32 [1],
 * changes, not 0), the gradient with respect to the real weights, rate [1].
 */
export const quantizedDescentUpdate: OpDef = {
  name: "quantizedDescentUpdate",
  infer(inputs) {
    const [w, g, rate] = [0, 2, 3].map((index) => typeAt("quantizedDescentUpdate", inputs, index)) as [ValueType, ValueType, ValueType];
    if (!sameShape(w.shape, g.shape)) refuse("quantizedDescentUpdate", "the weights and their gradient differ in shape");
    if (elementCount(rate.shape) !== 1) refuse("quantizedDescentUpdate", "1 rate is needed");
    return [];
  },
  loops,
  cases: [
    updateCase("int8", { dtype: "int8", shape: [5, 7], quantization: scales([0.02]) }),
    updateCase("int8 unscaled", { dtype: "int8", shape: [5, 7], quantization: scales([0.5]) }, false),
    updateCase("int8, channels first", { dtype: "int8", shape: [3, 2, 1, 4], quantization: scales([0.01, 0.02, 0.03]) }),
    updateCase("int8, channels last", { dtype: "int8", shape: [1, 3, 3, 4], quantization: scales([0.01, 0.02, 0.03, 0.04], 3) }),
    updateCase("int32", { dtype: "int32", shape: [4], quantization: scales([0.001, 0.002, 0.003, 0.004]) }),
  ],
};
