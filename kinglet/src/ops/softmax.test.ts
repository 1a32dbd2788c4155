import { describe, expect, it } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { evaluate } from "../targets/js/index.ts";
import { caseGraph } from "./case-graph.ts";
import { OPS } from "./table.ts";

describe.each(["softmax", "logSoftmax"] as const)("%s", (name) => {
  const op = OPS[name];
  const { graph, inputs } = caseGraph(op, new Xorshift32(11));
  const outputs = evaluate(graph, inputs);
  it.each(graph.nodes.map((node, i) => [op.cases[i]!.name, node, i] as const))("%s", (_, node, i) => {
    const [x, y] = [node.inputs[0]!, node.outputs[0]!];
    const real = Array.from(
      inputs[i]! as ArrayLike<number | bigint>,
      (v) => (Number(v) - (x.quantization?.zeroPoints[0] ?? 0)) * (x.quantization?.scales[0] ?? 1),
    );
    const beta = (node.attributes["beta"] as number | undefined) ?? 1;
    const depth = x.shape[x.shape.length - 1]!;
    for (let row = 0; row < real.length; row += depth) {
      const powers = real.slice(row, row + depth).map((v) => v * beta);
      const top = Math.max(...powers);
      const total = powers.reduce((sum, v) => sum + Math.exp(v - top), 0);
      powers.forEach((v, c) => {
        const share = name === "softmax" ? Math.exp(v - top) / total : v - top - Math.log(total);
        const q = y.quantization;
        const got = (Number(outputs[i]![row + c]) - (q?.zeroPoints[0] ?? 0)) * (q?.scales[0] ?? 1);
        const lowest = name === "logSoftmax" && q !== undefined ? -255 / 16 : -Infinity;
        const steps = y.dtype === "int16" ? 20 : 1.01;
        expect(Math.abs(got - Math.max(lowest, share))).toBeLessThan(q === undefined ? 2e-6 : steps * q.scales[0]!);
      });
    }
  });
});
