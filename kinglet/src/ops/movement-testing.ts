import { expect } from "vitest";
import { allocate, type DType, elementCount, type Shape, stridesOf, type TypedArray } from "../base/index.ts";
import { GraphBuilder, type Attributes, type ValueType } from "../graph/index.ts";
import { evaluate } from "../targets/js/index.ts";
import { findOp } from "./table.ts";

/** For tests: a tensor's type with its contents. */
export interface Tensor extends ValueType {
  readonly data: TypedArray;
}

export function tensor(dtype: DType, shape: Shape, values: readonly number[], quantization?: readonly [scale: number, zeroPoint: number]): Tensor {
  const data = allocate(dtype, values.length);
  values.forEach((value, i) => (data[i] = data instanceof BigInt64Array || data instanceof BigUint64Array ? BigInt(value) : value));
  return quantization === undefined
    ? { dtype, shape, data }
    : { dtype, shape, data, quantization: { scales: [quantization[0]], zeroPoints: [quantization[1]], axis: 0 } };
}

/** A tensor whose first 97 elements all differ. */
export function counted(dtype: DType, shape: Shape, first = 0): Tensor {
  return tensor(
    dtype,
    shape,
    Array.from({ length: elementCount(shape) }, (_, i) => ((i + first) * 5) % 97),
  );
}

/** Runs one operator; the output types are what its shape rule says, with the quantization that is given. */
export function apply(
  op: string,
  inputs: readonly (Tensor | null)[],
  attributes: Attributes = {},
  quantization?: readonly [number, number],
): Tensor[] {
  const types = findOp(op)!.infer(inputs, attributes);
  const builder = new GraphBuilder("one");
  const given = inputs.map((input, i) => (input === null ? null : builder.input(`x${i}`, input)));
  const quantized = quantization === undefined ? {} : { quantization: { scales: [quantization[0]], zeroPoints: [quantization[1]], axis: 0 } };
  const outputs = types.map((type, i) => builder.value(`y${i}`, { ...type, ...quantized }));
  builder.node(op, given, outputs, attributes);
  outputs.forEach((output) => builder.output(output));
  const data = evaluate(
    builder.build(),
    inputs.filter((input) => input !== null).map((input) => input.data),
  );
  return types.map((type, i) => ({ ...type, data: data[i]! }));
}

export function numbers(t: Tensor): number[] {
  return Array.from(t.data as ArrayLike<number | bigint>, Number);
}

/** The element at a multi-index. */
export function at(t: Tensor, index: readonly number[]): number {
  const strides = stridesOf(t.shape);
  index.forEach((i, d) => expect(i >= 0 && i < t.shape[d]!, `index ${index} in [${t.shape}]`).toBe(true));
  return Number(t.data[index.reduce((sum, i, d) => sum + i * strides[d]!, 0)]);
}

/** All multi-indices of a shape, in memory order. */
function indicesOf(shape: Shape): number[][] {
  return shape.reduce<number[][]>((heads, size) => heads.flatMap((head) => Array.from({ length: size }, (_, i) => [...head, i])), [[]]);
}

/** The tensor has this shape, and each element is what the rule says of its multi-index. */
export function expectElements(t: Tensor, shape: Shape, rule: (index: number[]) => number): void {
  expect(t.shape).toEqual(shape);
  expect(numbers(t)).toEqual(indicesOf(shape).map(rule));
}
