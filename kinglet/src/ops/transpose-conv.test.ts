import { describe, expect, it } from "vitest";
import { limited, type RealCase, realCases } from "./case-testing.ts";
import { floatBounds } from "./quantization.ts";
import { transposeConv2d, type TransposeConvAttributes } from "./transpose-conv.ts";

/** Every input element scattered over the outputs that it reaches, in real numbers. */
function scattered({ node, inputs }: RealCase): number[] {
  const a = node.attributes as unknown as TransposeConvAttributes;
  const [batches, inH, inW, inC] = node.inputs[0]!.shape as [number, number, number, number];
  const [outC, filterH, filterW] = node.inputs[1]!.shape as [number, number, number, number];
  const [x, w] = [inputs[0]!, inputs[1]!];
  const y = new Array<number>(batches * a.outputHeight * a.outputWidth * outC).fill(0);
  for (let i = 0; i < x.length; i++) {
    const [c, ix, iy, n] = [i % inC, Math.floor(i / inC) % inW, Math.floor(i / inC / inW) % inH, Math.floor(i / inC / inW / inH)];
    for (let j = 0; j < outC * filterH * filterW; j++) {
      const [kx, ky, oc] = [j % filterW, Math.floor(j / filterW) % filterH, Math.floor(j / filterW / filterH)];
      const [oy, ox] = [iy * a.strideH - a.padTop + ky, ix * a.strideW - a.padLeft + kx];
      if (oy < 0 || ox < 0 || oy >= a.outputHeight || ox >= a.outputWidth) continue;
      y[((n * a.outputHeight + oy) * a.outputWidth + ox) * outC + oc]! += x[i]! * w[j * inC + c]!;
    }
  }
  // A quantized bias has the scale of the products.
  const [xs, ws] = [node.inputs[0]!.quantization?.scales ?? [1], node.inputs[1]!.quantization?.scales ?? [1]];
  const { low, high } = floatBounds(a.activation);
  return y.map((v, i) => {
    const oc = i % outC;
    return Math.min(high, Math.max(low, v + (inputs[2]![oc] ?? 0) * xs[0]! * (ws[oc] ?? ws[0]!)));
  });
}

describe("transposeConv2d", () => {
  it.each(realCases(transposeConv2d).map((example) => [example.name, example] as const))("%s", (_, example) => {
    const type = example.node.outputs[0]!;
    // The 16-bit forms multiply by 15 bits of the factor: a few steps at full scale.
    const steps = type.dtype === "int16" ? 3 : 1.001;
    scattered(example).forEach((real, i) => {
      if (type.quantization === undefined) expect(example.output[i]).toBeCloseTo(real, 4);
      else expect(Math.abs(example.output[i]! - limited(type, real))).toBeLessThan(steps * example.step);
    });
  });
  it("refuses weights of other channels", () => {
    const [x, w] = [
      { dtype: "int8", shape: [1, 3, 3, 2] },
      { dtype: "int8", shape: [4, 3, 3, 3] },
    ] as const;
    expect(() => transposeConv2d.infer([x, w, null], transposeConv2d.cases[0]!.attributes)).toThrow(/3 channels/);
  });
});
