import { describe, expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { GraphBuilder, type Value } from "../graph/index.ts";
import { evaluate } from "../targets/js/index.ts";
import { applyOp, caseContents, OPS, type OpDef } from "./index.ts";

const GRADIENTS: readonly OpDef[] = [
  OPS.conv2dInputGradient,
  OPS.conv2dFilterGradient,
  OPS.depthwiseConv2dInputGradient,
  OPS.depthwiseConv2dFilterGradient,
  OPS.maxPool2dGradient,
];
const stored = GRADIENTS.flatMap((op) =>
  op.cases.filter(({ inputs }) => inputs.some((input) => input?.dtype === "int8")).map((example) => ({ op, example })),
);

/** Real numbers that a tensor of int8 stands for, in single precision as `dequantize` has them. */
function realOf({ shape, quantization }: Value, data: Int8Array): Float32Array {
  const { scales, zeroPoints, axis } = quantization!;
  const inner = shape.slice(axis + 1).reduce((p, d) => p * d, 1);
  const channelOf = (i: number): number => (scales.length === 1 ? 0 : Math.floor(i / inner) % scales.length);
  return Float32Array.from(data, (q, i) => Math.fround((q - zeroPoints[channelOf(i)]!) * Math.fround(scales[channelOf(i)]!)));
}

describe("an operand of int8", () => {
  test.each(stored)("is taken as the real numbers it stands for: $op.name, $example.name", ({ op, example }) => {
    const run = (asFloats: boolean): unknown => {
      const [builder, random] = [new GraphBuilder("gradient"), new Xorshift32(3)];
      const contents: (Float32Array | Int8Array)[] = [];
      const inputs = example.inputs.map((input, i) => {
        const data = caseContents(input!, random) as Float32Array | Int8Array;
        const value = builder.input(`in${i}`, { ...input!, ...(asFloats ? { dtype: "float32" as const } : {}) });
        contents.push(asFloats && data instanceof Int8Array ? realOf(value, data) : data);
        return value;
      });
      builder.output(applyOp(builder, op.name, inputs, example.attributes)[0]!);
      return evaluate(builder.build(), contents);
    };
    expect(run(false)).toEqual(run(true));
  });
});

test("the slope of a clamp is told from stored numbers: 0 at its bounds and 1 between them", () => {
  const builder = new GraphBuilder("clamps");
  const dy = builder.input("dy", { dtype: "float32", shape: [4] });
  // Stored −28 stands for 0, 32 for 6.
  const y = builder.input("y", { dtype: "int8", shape: [4], quantization: { scales: [0.1], zeroPoints: [-28], axis: 0 } });
  for (const of of ["relu", "relu6"]) builder.output(applyOp(builder, "activationGradient", [dy, y], { of })[0]!);
  const given = [Float32Array.of(1, 2, 3, 4), Int8Array.of(-28, -27, 32, 127)];
  expect(evaluate(builder.build(), given)).toEqual([Float32Array.of(0, 2, 3, 4), Float32Array.of(0, 2, 0, 0)]);
});
