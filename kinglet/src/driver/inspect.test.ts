import { describe, expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { boardById } from "../boards/index.ts";
import { caseGraph, OPS } from "../ops/index.ts";
import { compileGraph } from "./compile.ts";
import { inspectGraph } from "./inspect.ts";

/** Operators with tables of every kind: weights, multipliers, lookup tables, variables that start from something. */
const NAMES = ["conv2d", "depthwiseConv2d", "fullyConnected", "transposeConv2d", "svdf", "lstm", "softmax", "readVariable"] as const;
const graphs = NAMES.map((name) => ({ name, graph: caseGraph(OPS[name], new Xorshift32(1)).graph }));

describe("inspectGraph", () => {
  test.each(graphs)("$name: the layers' tables add up to the whole", ({ graph }) => {
    const { inspection } = inspectGraph(graph);
    expect(inspection.nodes.reduce((sum, node) => sum + node.weightBytes, 0)).toBe(inspection.weightBytes);
    expect(inspection.nodes.reduce((sum, node) => sum + node.macs, 0)).toBe(inspection.macs);
  });

  test("holds every board against the plan of its own target", () => {
    let differing = 0;
    for (const { graph } of graphs) {
      const [portable, dsp] = [compileGraph(graph, { target: "c" }), compileGraph(graph, { target: "c-dsp" })];
      const { inspection } = inspectGraph(graph);
      expect([inspection.arenaBytes, inspection.arenaBytesDsp]).toEqual([portable.plan.arenaBytes, dsp.plan.arenaBytes]);
      for (const { id, arenaBytes, weightBytes } of inspection.boards) {
        const own = boardById(id).dsp ? dsp : portable;
        expect({ id, arenaBytes, weightBytes }).toEqual({ id, arenaBytes: own.plan.arenaBytes, weightBytes: own.weightBytes });
      }
      if (inspection.arenaBytes !== inspection.arenaBytesDsp) differing++;
    }
    expect(differing).toBeGreaterThan(0); // or this test would prove nothing
  });
});
