import { describe, expect, it } from "vitest";
import { batchMatmul, type BatchMatmulAttributes } from "./batch-matmul.ts";
import { limited, type RealCase, realCases } from "./case-testing.ts";

/** One matrix of a broadcast operand, at the batch of the output with the number `batch`. */
function element(example: RealCase, input: number, batch: number, row: number, column: number, transposed: boolean): number {
  const shape = example.node.inputs[input]!.shape;
  const out = example.node.outputs[0]!.shape;
  const [rows, columns] = shape.slice(-2) as [number, number];
  let [at, rest, size] = [0, batch, 1];
  for (let d = out.length - 3; d >= 0; d--) {
    const place = rest % out[d]!;
    rest = Math.floor(rest / out[d]!);
    const dim = shape[d - out.length + shape.length] ?? 1;
    at += (dim === 1 ? 0 : place) * size;
    size *= dim;
  }
  return example.inputs[input]![at * rows * columns + (transposed ? column * columns + row : row * columns + column)]!;
}

describe("batchMatmul", () => {
  it.each(realCases(batchMatmul).map((example) => [example.name, example] as const))("%s", (_, example) => {
    const { adjX, adjY } = example.node.attributes as unknown as BatchMatmulAttributes;
    const type = example.node.outputs[0]!;
    const [rows, columns] = type.shape.slice(-2) as [number, number];
    const depth = example.node.inputs[0]!.shape[example.node.inputs[0]!.shape.length - (adjX ? 2 : 1)]!;
    example.output.forEach((got, i) => {
      const [batch, row, column] = [Math.floor(i / rows / columns), Math.floor(i / columns) % rows, i % columns];
      let real = 0;
      for (let d = 0; d < depth; d++) real += element(example, 0, batch, row, d, adjX) * element(example, 1, batch, d, column, adjY);
      if (type.quantization === undefined) expect(got).toBeCloseTo(real, 4);
      else expect(Math.abs(got - limited(type, real))).toBeLessThan((type.dtype === "int16" ? 3 : 1.001) * example.step);
    });
  });
  it("refuses sizes that do not meet", () => {
    expect(() =>
      batchMatmul.infer(
        [
          { dtype: "int8", shape: [2, 3] },
          { dtype: "int8", shape: [2, 3] },
        ],
        { adjX: false, adjY: false },
      ),
    ).toThrow(/rows of 3/);
  });
});
