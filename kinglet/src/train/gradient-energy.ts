import { bytesOf, elementCount } from "../base/index.ts";
import { compileGraph, seededSample } from "../driver/browser.ts";
import { type Graph, GraphBuilder, type Node, type Value } from "../graph/index.ts";
import { applyOp } from "../ops/index.ts";
import { createWasmRunner } from "../targets/wasm/index.ts";
import { trainingStep } from "./step.ts";

/** Samples whose gradients are added up. */
const SAMPLES = 4;

/** Σ g² of a gradient for each of its channels (the last dimension). */
function energyOf(builder: GraphBuilder, gradient: Value): Value {
  const squares = applyOp(builder, "square", [gradient])[0]!;
  const rows = applyOp(builder, "reshape", [squares], { shape: [elementCount(gradient.shape.slice(0, -1)), gradient.shape.at(-1)!] })[0]!;
  return applyOp(builder, "sum", [rows], { axes: [0], keepDims: false })[0]!;
}

/** What an update moves, and by which gradient. */
function updateOf({ op, inputs }: Node): { readonly variable: Value; readonly gradient: Value } | undefined {
  if (op === "descentUpdate") return { variable: inputs[0]!, gradient: inputs[1]! };
  return op === "quantizedDescentUpdate" ? { variable: inputs[0]!, gradient: inputs[2]! } : undefined;
}

/**
 * How much a network's parameters have to gain: the sum of g² of each channel's gradient over a few seeded samples of each class in
 * turn. To first order that is what a small step of gradient descent on these weights takes off the loss, divided by the rate.
 * @returns by name of the parameter, one number for each index of its last dimension.
 */
export function gradientEnergy(network: Graph): Map<string, Float32Array> {
  const step = trainingStep(network, { optimizer: { kind: "sgd", momentum: 0 } });
  const updates = step.graph.nodes.flatMap((node) => updateOf(node) ?? []);
  const builder = GraphBuilder.from({ ...step.graph, outputs: [] });
  for (const { gradient } of updates) builder.output(energyOf(builder, gradient));
  const { program, plan } = compileGraph(builder.build(), { target: "wasm", overlap: false });
  const runner = createWasmRunner(program, plan);
  const classes = step.graph.inputs[step.targetsInput]!.shape.at(-1)!;
  const energy = new Map(updates.map(({ variable }) => [variable.name, new Float32Array(variable.shape.at(-1)!)]));
  for (let k = 0; k < SAMPLES; k++) {
    seededSample(network, k + 1).forEach((data, i) => runner.setInput(i, data));
    runner.setInput(step.targetsInput, bytesOf(Float32Array.from({ length: classes }, (_, c) => (c === k % classes ? 1 : 0))));
    // Nothing moves at a rate of 0.
    runner.setInput(step.ratesInput, bytesOf(Float32Array.of(0)));
    runner.run();
    updates.forEach(({ variable }, i) => {
      const found = new Float32Array(runner.output(i).slice().buffer);
      const sums = energy.get(variable.name)!;
      for (let c = 0; c < sums.length; c++) sums[c]! += found[c]!;
    });
  }
  return energy;
}
