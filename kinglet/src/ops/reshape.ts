import { elementCount, type Shape } from "../base/index.ts";
import type { Quantization, ValueType } from "../graph/index.ts";
import { quantized } from "./conv.ts";
import { attributesOf, memoryOf, type OpDef, outputOf, refuse, typeAt } from "./op.ts";

export interface ReshapeAttributes {
  readonly shape: readonly number[];
}

/** A scale for the whole tensor goes with its elements, scales along the first dimension where that stays as it is. */
function keptScales({ shape: given, quantization }: ValueType, shape: Shape): Quantization | undefined {
  const kept = quantization?.scales.length === 1 || (quantization?.axis === 0 && shape[0] === given[0]);
  return kept ? quantization : undefined;
}

/** The same elements under another shape. It costs nothing: the output is the input's bytes. */
export const reshape: OpDef = {
  name: "reshape",
  infer(inputs, attributes) {
    const x = typeAt("reshape", inputs, 0);
    const { shape } = attributesOf<ReshapeAttributes>({ attributes });
    if (elementCount(shape) !== elementCount(x.shape)) refuse("reshape", `[${x.shape.join(",")}] has other than ${elementCount(shape)} elements`);
    return [{ dtype: x.dtype, shape, quantization: keptScales(x, shape) }];
  },
  alias: true,
  loops(k, node) {
    const input = k.input(0, "x");
    const output = k.output(0, "y");
    k.copy(output, 0, input, 0, k.int("count", elementCount(outputOf(node).shape)));
    return k.finish(`reshape_${memoryOf(node, outputOf(node))}`, "Copies a tensor.");
  },
  cases: [
    {
      name: "int8",
      attributes: { shape: [6] },
      inputs: [{ dtype: "int8", shape: [2, 3], quantization: quantized(0.1, 1) }],
      outputs: [{ dtype: "int8", shape: [6], quantization: quantized(0.1, 1) }],
    },
    { name: "float", attributes: { shape: [3, 2] }, inputs: [{ dtype: "float32", shape: [2, 3] }], outputs: [{ dtype: "float32", shape: [3, 2] }] },
  ],
};
