import { describe, expect, it } from "vitest";
import type { TypedArray } from "../base/index.ts";
import { type Attributes, GraphBuilder, type ValueType } from "../graph/index.ts";
import { evaluate } from "../targets/js/index.ts";
import { OPS, type OpName } from "./table.ts";

function apply(op: OpName, inputs: readonly { type: ValueType; data: TypedArray }[], attributes: Attributes = {}): TypedArray[] {
  const b = new GraphBuilder(op);
  const values = inputs.map(({ type }, i) => b.input(`x${i}`, type));
  const outputs = OPS[op].infer(values, attributes).map((type, i) => b.value(`y${i}`, type));
  b.node(op, values, outputs, attributes);
  for (const output of outputs) b.output(output);
  return evaluate(
    b.build(),
    inputs.map(({ data }) => data),
  );
}

const vector = (dtype: ValueType["dtype"], data: TypedArray): { type: ValueType; data: TypedArray } => ({
  type: { dtype, shape: [data.length] },
  data,
});

describe("square roots of unsigned numbers", () => {
  const roots = (numbers: readonly bigint[], bits = 0): number[] =>
    Array.from(
      apply("filterBankSquareRoot", [
        vector("uint64", BigUint64Array.from(numbers)),
        { type: { dtype: "int32", shape: [] }, data: Int32Array.of(bits) },
      ])[0] as Uint32Array,
      (root) => root >>> 0,
    );

  it("are rounded to nearest", () => {
    const numbers = [0n, 1n, 2n, 3n, 6n, 7n, 12n, 13n, 1000000n, 2n ** 40n + 1n, 2n ** 62n, 2n ** 63n, 10n ** 19n];
    expect(roots(numbers)).toEqual(numbers.map((n) => Math.round(Math.sqrt(Number(n)))));
  });

  it("stay at the largest number of 16 and of 32 bits", () => {
    expect(roots([2n ** 32n - 1n, 2n ** 32n, 2n ** 64n - 1n])).toEqual([65535, 65536, 2 ** 32 - 1]);
    expect(roots([1000000n], 3)).toEqual([125]);
  });
});

describe("logarithms in fixed point", () => {
  it("are the real ones to 1/400, up to the largest unsigned number", () => {
    const x = Uint32Array.of(0, 1, 2, 3, 100, 65535, 65536, 2 ** 31, 2 ** 32 - 1);
    const [y] = apply("filterBankLog", [vector("uint32", x)], { correctionBits: 0, outputScale: 1000 });
    x.forEach((value, i) => expect(Math.abs(Number(y![i]) - (value <= 1 ? 0 : 1000 * Math.log(value))), `${value}`).toBeLessThan(2.5));
  });

  it("stop at the largest number of 16 bits", () => {
    expect(apply("filterBankLog", [vector("uint32", Uint32Array.of(2 ** 32 - 1))], { correctionBits: 0, outputScale: 2000 })[0]).toEqual(
      Int16Array.of(32767),
    );
  });
});

describe("shifting up for a transform", () => {
  it.each([
    [[1, -2, 3], 13],
    [[-16384, 16383], 0],
    [[100, -127], 8],
    [[0, 0], 0],
    [[-32768, 5], 12],
  ] as const)("%o by %i bits", (numbers, bits) => {
    const [y, shift] = apply("fftAutoScale", [vector("int16", Int16Array.from(numbers))]);
    expect(shift).toEqual(Int32Array.of(bits));
    expect(y).toEqual(Int16Array.from(numbers, (n) => n * 2 ** bits));
  });
});

describe("a cast of uint32", () => {
  const cast = (from: ValueType["dtype"], data: TypedArray, to: string): TypedArray => apply("cast", [vector(from, data)], { dtype: to })[0]!;

  it("keeps the upper half", () => {
    const x = Uint32Array.of(5, 2 ** 31, 2 ** 32 - 256);
    expect(cast("uint32", x, "float32")).toEqual(Float32Array.from(x));
    expect(cast("uint32", x, "int64")).toEqual(BigInt64Array.from(x, BigInt));
    expect(cast("float32", Float32Array.of(-3, 3.7, 3e9, 1e12), "uint32")).toEqual(Uint32Array.of(0, 3, 3e9, 2 ** 32 - 256));
  });

  it("to int32 and back keeps the bits", () => {
    const x = Uint32Array.of(1, 2 ** 31, 2 ** 32 - 1);
    expect(cast("int32", cast("uint32", x, "int32"), "uint32")).toEqual(x);
  });
});

it("runs of filters that leave their tables are refused", () => {
  const good = { weights: [1, 2], unweights: [1, 2], frequencyStarts: [0, 1], weightStarts: [0, 1], widths: [1, 1] };
  const x = vector("uint32", new Uint32Array(2));
  expect(apply("filterBankAccumulate", [x], good)[0]).toHaveLength(1);
  for (const bad of [{ widths: [1, 2] }, { frequencyStarts: [-1, 1] }, { weightStarts: [0, 2] }, { weightStarts: [0, 1, 2] }])
    expect(() => apply("filterBankAccumulate", [x], { ...good, ...bad })).toThrow("filterBankAccumulate");
});
