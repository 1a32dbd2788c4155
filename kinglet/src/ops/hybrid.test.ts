import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../graph/index.ts";
import { evaluate } from "../targets/js/index.ts";
import { realCases } from "./case-testing.ts";
import { fullyConnected } from "./dense.ts";

/** One row through two units: the first adds, the second takes the first element alone. */
function dense(row: readonly number[], asymmetricQuantizeInputs: boolean): number[] {
  const g = new GraphBuilder("dense");
  const x = g.input("x", { dtype: "float32", shape: [1, row.length] });
  const contents = Int8Array.from({ length: 2 * row.length }, (_, i) => (i <= row.length ? 1 : 0));
  const w = g.constant("w", { dtype: "int8", shape: [2, row.length], quantization: { scales: [1], zeroPoints: [0], axis: 0 } }, contents);
  const y = g.value("y", { dtype: "float32", shape: [1, 2] });
  g.node("fullyConnected", [x, w, null], [y], { activation: "none", keepDims: false, asymmetricQuantizeInputs });
  g.output(y);
  return Array.from(evaluate(g.build(), [Float32Array.from(row)])[0] as Float32Array);
}

describe("float layers with int8 weights", () => {
  it("quantize a row so that its largest magnitude is 127", () => {
    // Steps of 1: 50.4 becomes 50, -0.5 is rounded away from zero.
    expect(dense([-127, 50.4, -0.5], false)).toEqual([-78, -127]);
  });

  it("quantize a row over its whole range where the model asks for it", () => {
    // From 0 to 510 in steps of 2, stored from -128 on: 101 is the tie -77.5 and becomes -78, which is 100.
    expect(dense([510, 101, 0], true)).toEqual([610, 510]);
  });

  it.each([true, false])("give zeros for a row of zeros (over the range: %s)", (asymmetric) => {
    expect(dense([0, 0, 0], asymmetric)).toEqual([0, 0]);
  });

  const cases = realCases(fullyConnected).filter(({ node }) => node.inputs[0]!.dtype === "float32" && node.inputs[1]!.dtype === "int8");

  it.each(cases.map((example) => [example.name, example] as const))(
    "%s: off the real product by half a step of each input at most",
    (_, { node, inputs, output }) => {
      const [x, w, bias] = inputs as [number[], number[], number[]];
      const [units, width] = node.inputs[1]!.shape as [number, number];
      const relu = node.attributes["activation"] === "relu";
      output.forEach((got, i) => {
        const [row, weights] = [x.slice(Math.floor(i / units) * width).slice(0, width), w.slice((i % units) * width).slice(0, width)];
        const step =
          node.attributes["asymmetricQuantizeInputs"] === true
            ? (Math.max(0, ...row) - Math.min(0, ...row)) / 255
            : Math.max(...row.map(Math.abs)) / 127;
        const product = row.reduce((sum, value, c) => sum + value * weights[c]!, bias[i % units] ?? 0);
        const reach = weights.reduce((sum, weight) => sum + Math.abs(weight), 0) * step * 0.5;
        // Asymmetric rows have a rounded zero point as well, which moves their ends out of the range by half a step.
        expect(Math.abs(got - (relu ? Math.max(0, product) : product))).toBeLessThanOrEqual(reach * 2 + 1e-5);
      });
    },
  );
});
