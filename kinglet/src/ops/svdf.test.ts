import { describe, expect, it } from "vitest";
import { bytesOf, fromBytes } from "../base/index.ts";
import { GraphBuilder } from "../graph/index.ts";
import { createJsRunner, separatePlacement } from "../targets/js/index.ts";
import { lower } from "../targets/lower.ts";
import { limited, realCases } from "./case-testing.ts";
import { svdf, type SvdfAttributes } from "./svdf.ts";

describe("svdf", () => {
  it("weights the present and the past", () => {
    const g = new GraphBuilder("one");
    const float = (shape: number[]) => ({ dtype: "float32" as const, shape });
    const y = g.value("y", float([1, 1]));
    // Two filters of one unit: x and 2x, over three steps each.
    const inputs = [
      g.input("x", float([1, 1])),
      g.constant("feature", float([2, 1]), Float32Array.of(1, 2)),
      g.constant("time", float([2, 3]), Float32Array.of(100, 10, 1, 0, 0, 0.5)),
      g.constant("bias", float([1]), Float32Array.of(0.25)),
      g.variable("state", float([1, 6])),
    ];
    g.node("svdf", inputs, [y], { rank: 2, activation: "none" });
    g.output(y);
    const program = lower(g.build());
    const runner = createJsRunner(program, separatePlacement(program));
    const seen = [1, 2, 3, 0].map((x) => {
      runner.setInput(0, bytesOf(Float32Array.of(x)));
      runner.run();
      return fromBytes("float32", runner.output(0))[0];
    });
    expect(seen).toEqual([2.25, 14.25, 126.25, 230.25]);
  });
  it.each(realCases(svdf).map((example) => [example.name, example] as const))("%s", (_, { node, inputs, output, step }) => {
    const { rank } = node.attributes as unknown as SvdfAttributes;
    const [x, feature, time, bias, state] = inputs as [number[], number[], number[], number[], number[]];
    const [batches, width] = node.inputs[0]!.shape as [number, number];
    const [filters, memory] = node.inputs[2]!.shape as [number, number];
    const units = filters / rank;
    const type = node.outputs[0]!;
    const stateType = node.inputs[4]!;
    const biasScale = stateType.quantization === undefined ? 1 : stateType.quantization.scales[0]! * node.inputs[2]!.quantization!.scales[0]!;
    for (let i = 0; i < batches * units; i++) {
      const [b, unit] = [Math.floor(i / units), i % units];
      let real = (bias[unit] ?? 0) * biasScale;
      let slack = step * 1.001;
      for (let filter = unit * rank; filter < (unit + 1) * rank; filter++) {
        const now = x.slice(b * width, (b + 1) * width).reduce((sum, v, c) => sum + v * feature[filter * width + c]!, 0);
        const past = state.slice((b * filters + filter) * memory + 1, (b * filters + filter + 1) * memory);
        [...past, limited(stateType, now)].forEach((v, t) => {
          real += v * time[filter * memory + t]!;
        });
        slack += Math.abs(time[(filter + 1) * memory - 1]!) * (stateType.quantization?.scales[0] ?? 0);
      }
      if (type.quantization === undefined) expect(output[i]).toBeCloseTo(Math.max(0, real), 4);
      else expect(Math.abs(output[i]! - limited(type, real))).toBeLessThan(slack);
    }
  });
});
