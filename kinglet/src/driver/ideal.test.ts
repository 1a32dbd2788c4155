import { describe, expect, test } from "vitest";
import type { CoreId } from "../boards/index.ts";
import type { Graph, Node } from "../graph/index.ts";
import { mobilenetV2 } from "../zoo/index.ts";
import { idealInstructions } from "./ideal.ts";

const NET: Graph = mobilenetV2({ width: 0.35, resolution: 32, precision: "int8", classes: 10 });
const FLOAT: Graph = mobilenetV2({ width: 0.35, resolution: 32, precision: "float32", classes: 10 });
const CORES: readonly CoreId[] = ["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55", "rv32"];
const node = (name: string, graph = NET): Node => graph.nodes.find((one) => one.name === name)!;

describe("the ideal instructions of a layer", () => {
  test("a depthwise output with ReLU takes eleven on the Cortex-M4: 7.5 for nine products, 3.5 to finish", () => {
    const depthwise = node("block_2_depthwise");
    const outputs = depthwise.outputs[0]!.shape.reduce((product, dim) => product * dim, 1);
    expect(idealInstructions(depthwise, "cortex-m4")! / outputs).toBe(11);
  });

  test("a pointwise layer of the Cortex-M4 is bound by 23 instructions for 32 products", () => {
    const pointwise = node("block_3_expand");
    const [x, y] = [pointwise.inputs[0]!, pointwise.outputs[0]!];
    const [inputs, outputs] = [x, y].map(({ shape }) => shape.reduce((product, dim) => product * dim, 1));
    expect(idealInstructions(pointwise, "cortex-m4")).toBe((23 / 32) * outputs! * x.shape[3]! + 3.5 * outputs! + inputs!);
  });

  test("linear layers finish in more than those with ReLU", () => {
    const project = node("block_2_project");
    const relu = { ...project, attributes: { ...project.attributes, activation: "relu" } };
    expect(idealInstructions(project, "cortex-m4")!).toBeGreaterThan(idealInstructions(relu, "cortex-m4")!);
  });

  test("stronger cores need less of every layer that has an ideal", () => {
    const order: readonly CoreId[] = ["cortex-m55", "cortex-m4", "cortex-m3", "cortex-m0"];
    for (const name of ["conv", "block_2_depthwise", "block_2_project", "logits", "block_3_add", "average"]) {
      const counts = order.map((core) => idealInstructions(node(name), core)!);
      expect(counts, name).toEqual(counts.toSorted((a, b) => a - b));
    }
  });

  test("operators and types without a reasoning have none", () => {
    for (const core of CORES) expect(idealInstructions(node("probabilities"), core)).toBeUndefined();
    expect(idealInstructions(node("conv", FLOAT), "cortex-m0")).toBeUndefined();
    expect(idealInstructions(node("conv", FLOAT), "cortex-m4")).toBeGreaterThan(0);
  });
});
