import { describe, expect, test } from "vitest";
import { bytesOf, Xorshift32 } from "../../base/index.ts";
import type { Graph, Node, Value } from "../../graph/index.ts";
import { caseGraph, OPS, type OpDef } from "../../ops/index.ts";
import { type IntegerDomain, obstacle, prepareForQuantization, quantizeGraph } from "../../passes/index.ts";
import { execute } from "../execute.ts";
import { calibrate } from "./calibrate.ts";
import { layerNoise } from "./noise.ts";
import { sampleFor } from "./values.ts";

/** Decibels that any rule reaches on its operator's own examples, with ranges seen on the very same numbers. */
const LEAST = { int8: 20, int16: 35 } as const;
/** 1 / sqrt(x) spends most of its range on a few results. */
const STEEP: Readonly<Record<string, number>> = { rsqrt: 8 };

function floatCases(op: OpDef): OpDef {
  return { ...op, cases: op.cases.filter((each) => [...each.inputs, ...each.outputs].some((type) => type?.dtype === "float32")) };
}

/** A layer that changes nothing (a leaky ReLU of slope 1), so that what only moves numbers has a neighbour. */
const ANCHOR = "leakyRelu";

function anchored(graph: Graph): Graph {
  const values = [...graph.values];
  const copies = new Map<Value, Value>();
  const anchors: Node[] = graph.inputs
    .filter((value) => value.dtype === "float32")
    .map((value) => {
      const copy: Value = { ...value, id: values.length, name: `${value.name}_copy` };
      values.push(copy);
      copies.set(value, copy);
      return { op: ANCHOR, name: `anchor ${value.name}`, inputs: [value], outputs: [copy], attributes: { alpha: 1 } };
    });
  const nodes = graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map((value) => (value === null ? null : (copies.get(value) ?? value))) }));
  return { ...graph, values, nodes: [...anchors, ...nodes] };
}

describe("every integer rule follows its operator in floating point", () => {
  for (const op of Object.values<OpDef>(OPS)) {
    const floats = floatCases(op);
    if (floats.cases.length === 0) continue;
    const { graph, inputs } = caseGraph(floats, new Xorshift32(5));
    const source = prepareForQuantization(anchored(graph));
    for (const domain of ["int8", "int16"] as const satisfies readonly IntegerDomain[]) {
      const able = source.nodes.filter((node) => obstacle(node, domain) === undefined && node.op !== ANCHOR);
      if (able.length === 0) continue;
      test(`${op.name} in ${domain}`, async () => {
        const sample = inputs.map(bytesOf);
        const ranges = calibrate(source, [sample]);
        const model = quantizeGraph(source, { ranges, activations: domain, io: domain });
        expect(model.layers.filter(({ source: { op: name } }) => name !== ANCHOR).length).toBe(able.filter(({ op: name }) => name !== ANCHOR).length);
        const least = Math.min(LEAST[domain], STEEP[op.name] ?? Number.POSITIVE_INFINITY);
        for (const [id, noise] of layerNoise(model, [sample])) {
          const node = source.nodes.find((each) => each.outputs.some((value) => value.id === id))!;
          expect(noise.decibels(), node.name).toBeGreaterThan(least);
        }
        // The graph is one that the compiler takes, and its schedules agree with the plain loops.
        const stored = sampleFor(model.graph, source, sample);
        const [plain, wasm] = [await execute(model.graph, "plain", [stored]), await execute(model.graph, "wasm", [stored])];
        expect(wasm.outputs.flat().map((bytes) => Buffer.from(bytes).toString("hex"))).toEqual(
          plain.outputs.flat().map((bytes) => Buffer.from(bytes).toString("hex")),
        );
      });
    }
  }
});
