import { describe, expect, test } from "vitest";
import { bytesOf, fromBytes, Xorshift32 } from "../base/index.ts";
import { compileGraph } from "../driver/index.ts";
import { type Graph, GraphBuilder } from "../graph/index.ts";
import { caseContents, OPS, type OpCase } from "../ops/index.ts";
import { createJsRunner } from "../targets/js/index.ts";
import { differentiate } from "./differentiate.ts";
import { unrollLstm } from "./unroll-lstm.ts";

const CASES = OPS.lstm.cases.filter(({ inputs }) => inputs[0]!.dtype === "float32");

/** The case's node alone; its states start at 0. */
function networkOf(example: OpCase): Graph {
  const random = new Xorshift32(3);
  const b = new GraphBuilder("recurrent");
  const inputs = example.inputs.map((input, i) => {
    if (input === null) return null;
    if (input.variable === true) return b.variable(`state${i}`, input);
    return input.constant === true ? b.constant(`in${i}`, input, caseContents(input, random)) : b.input(`in${i}`, input);
  });
  const output = b.value("y", example.outputs[0]!);
  b.node("lstm", inputs, [output], example.attributes, "lstm");
  b.output(output);
  return b.build();
}

function run(graph: Graph, x: Float32Array): Float32Array {
  const { program, plan } = compileGraph(graph, { target: "plain" });
  const runner = createJsRunner(program, plan);
  runner.setInput(0, bytesOf(x));
  runner.run();
  return fromBytes("float32", runner.output(0)) as Float32Array;
}

describe.each(CASES)("an LSTM written out: $name", (example) => {
  const graph = networkOf(example);
  const unrolled = unrollLstm(graph);
  const x = caseContents(example.inputs[0]!, new Xorshift32(5)) as Float32Array;

  test("gives what the operator gives", () => {
    expect(unrolled.nodes.some(({ op }) => op === "lstm")).toBe(false);
    const [expected, given] = [run(graph, x), run(unrolled, x)];
    given.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5));
  });

  test("has a gradient that agrees with finite differences", () => {
    const b = GraphBuilder.from(unrolled);
    const [gradient] = differentiate(b, unrolled.outputs[0]!, [unrolled.inputs[0]!]);
    b.output(gradient!);
    const whole = b.build();
    const { program, plan } = compileGraph(whole, { target: "plain" });
    const runner = createJsRunner(program, plan);
    runner.setInput(0, bytesOf(x));
    runner.run();
    const slopes = fromBytes("float32", runner.output(1)) as Float32Array;
    const loss = (at: number, by: number): number =>
      run(
        graph,
        x.map((value, i) => (i === at ? value + by : value)),
      ).reduce((sum, y) => sum + y, 0);
    const step = 2 ** -7;
    for (let at = 0; at < x.length; at += 7)
      expect(Math.abs((loss(at, step) - loss(at, -step)) / (2 * step) - slopes[at]!)).toBeLessThan(0.02 * Math.max(0.05, ...slopes.map(Math.abs)));
  });
});
