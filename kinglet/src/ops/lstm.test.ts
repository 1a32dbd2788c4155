import { describe, expect, it } from "vitest";
import { bytesOf, type TypedArray, Xorshift32 } from "../base/index.ts";
import { type Graph, GraphBuilder } from "../graph/index.ts";
import { createJsRunner, separatePlacement } from "../targets/js/index.ts";
import { lower } from "../targets/lower.ts";
import { caseContents } from "./case-graph.ts";
import { realCases } from "./case-testing.ts";
import { lstm } from "./lstm.ts";
import { GATES, LSTM, type LstmAttributes } from "./lstm-layout.ts";
import type { OpCase } from "./op.ts";
import { sigmoidTable } from "./sigmoid-table.ts";

type Gate = (unit: number, x: number[], hidden: number[]) => number;

/** The cell in real numbers. */
function reference({ node, inputs }: ReturnType<typeof realCases>[number]): number[] {
  const a = node.attributes as unknown as LstmAttributes;
  const [first, second, width] = node.inputs[0]!.shape as [number, number, number];
  const units = node.outputs[0]!.shape[2]!;
  const [batches, steps] = a.timeMajor ? [second, first] : [first, second];
  const gates = GATES.map((gate): Gate => {
    const q = (index: number): number => node.inputs[index]!.quantization?.scales[0] ?? 1;
    return (u, x, hidden) =>
      x.reduce((sum, v, i) => sum + v * inputs[gate.inputWeights]![u * width + i]!, 0) +
      hidden.reduce((sum, v, i) => sum + v * inputs[gate.recurrentWeights]![u * units + i]!, 0) +
      inputs[gate.bias]![u]! * q(LSTM.input) * q(gate.inputWeights);
  });
  const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
  const y = new Array<number>(batches * steps * units);
  for (let b = 0; b < batches; b++) {
    let hidden = inputs[LSTM.outputState]!.slice(b * units, (b + 1) * units);
    const cell = inputs[LSTM.cellState]!.slice(b * units, (b + 1) * units);
    for (let t = 0; t < steps; t++) {
      const at = a.timeMajor ? t * batches + b : b * steps + t;
      const x = inputs[0]!.slice(at * width, (at + 1) * width);
      const old = hidden;
      hidden = cell.map((c, u) => {
        const [input, forget, candidate, output] = gates.map((gate) => gate(u, x, old)) as [number, number, number, number];
        const next = sigmoid(forget) * c + sigmoid(input) * Math.tanh(candidate);
        cell[u] = a.cellClip > 0 ? Math.min(a.cellClip, Math.max(-a.cellClip, next)) : next;
        return sigmoid(output) * Math.tanh(cell[u]!);
      });
      hidden.forEach((h, u) => {
        y[at * units + u] = h;
      });
    }
  }
  return y;
}

/** A case's node with fixed contents, over `steps` of its sequence. */
function graphOf(example: OpCase, steps: number): Graph {
  const g = new GraphBuilder("one");
  const random = new Xorshift32(9);
  const shorter = (shape: readonly number[]): number[] => [shape[0]!, steps, shape[2]!];
  const inputs = example.inputs.map((input, i) => {
    if (input === null) return null;
    if (input.constant === true) return g.constant(`in${i}`, input, caseContents(input, random));
    return input.variable === true ? g.variable(`in${i}`, input) : g.input(`in${i}`, { ...input, shape: shorter(input.shape) });
  });
  const y = g.value("y", { ...example.outputs[0]!, shape: shorter(example.outputs[0]!.shape) });
  g.node("lstm", inputs, [y], example.attributes);
  g.output(y);
  return g.build();
}

describe("lstm", () => {
  it.each(realCases(lstm).map((example) => [example.name, example] as const))("%s follows the real cell", (_, example) => {
    const float = example.node.outputs[0]!.dtype === "float32";
    reference(example).forEach((real, i) => expect(Math.abs(example.output[i]! - real)).toBeLessThan(float ? 1e-5 : 0.02));
  });
  it.each(lstm.cases.filter((example) => example.attributes["timeMajor"] === false).map((example) => [example.name, example] as const))(
    "%s continues where the last run ended",
    (_, example) => {
      const x = caseContents(example.inputs[0]!, new Xorshift32(4));
      const [batches, steps, width] = example.inputs[0]!.shape as [number, number, number];
      const run = (length: number): number[][] => {
        const program = lower(graphOf(example, length));
        const runner = createJsRunner(program, separatePlacement(program));
        const rows: number[][] = [];
        for (let t = 0; t < steps; t += length) {
          const part = x.slice(0, batches * length * width) as TypedArray;
          for (let b = 0; b < batches; b++)
            (part as Int8Array).set((x as Int8Array).subarray((b * steps + t) * width, (b * steps + t + length) * width), b * length * width);
          runner.setInput(0, bytesOf(part));
          runner.run();
          rows.push([...runner.output(0)]);
        }
        return rows;
      };
      const [whole, single] = [run(steps)[0]!, run(1)];
      const row = whole.length / batches / steps;
      const joined = Array.from({ length: batches }, (_, b) => single.flatMap((bytes) => bytes.slice(b * row, (b + 1) * row))).flat();
      expect(joined).toEqual(whole);
    },
  );
  it("names the forms that it cannot run", () => {
    const example = lstm.cases[0]!;
    const peephole = {
      ...example,
      inputs: example.inputs.map((input, i) => (i === 9 ? { dtype: "int16" as const, shape: [6], constant: true } : input)),
    };
    expect(() => lower(graphOf(peephole, 2))).toThrow(/peephole/);
    expect(() => lower(graphOf({ ...example, attributes: { ...example.attributes, activation: "relu" } }, 2))).toThrow(/activation relu/);
    expect(() =>
      lstm.infer(
        example.inputs.map((input, i) => (i === 6 ? { dtype: "int8" as const, shape: [3, 3] } : input)),
        example.attributes,
      ),
    ).toThrow(/input 6/);
  });
});

describe("sigmoidTable", () => {
  it("keeps straight lines between the knots close to the curve", () => {
    const table = sigmoidTable();
    expect([table[0], table[1], table[45], table[255]]).toEqual([32768, 33451, 56823, 65535]);
    for (let i = 0; i < 254; i += 0.125) {
      const [knot, part] = [Math.floor(i), i % 1];
      const line = table[knot]! * (1 - part) + table[knot + 1]! * part;
      expect(Math.abs(line - 65536 / (1 + Math.exp(-i / 24)))).toBeLessThan(1.3);
    }
  });
});
