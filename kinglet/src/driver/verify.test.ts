import { expect, test } from "vitest";
import { type Graph, GraphBuilder, type ValueType } from "../graph/index.ts";
import { execute } from "./execute.ts";
import { compareLayers } from "./verify.ts";

const tensor: ValueType = { dtype: "int8", shape: [4], quantization: { scales: [0.1], zeroPoints: [0], axis: 0 } };

/** relu → relu6 → relu */
function chain(): Graph {
  const b = new GraphBuilder("chain");
  let x = b.input("x", tensor);
  for (const [op, name] of [
    ["relu", "one"],
    ["relu6", "two"],
    ["relu", "three"],
  ] as const) {
    const y = b.value(`after ${name}`, tensor);
    b.node(op, [x], [y], {}, name);
    x = y;
  }
  b.output(x);
  return b.build();
}

test("layers are compared in order, and the first node that differs is named", async () => {
  const graph = chain();
  const plain = await execute(graph, "plain", [[new Uint8Array([1, 2, 3, 250])]], { values: true });
  expect(compareLayers(plain, plain)).toEqual({ valuesCompared: 3 });
  const values = new Map([...plain.values!].map(([id, bytes]) => [id, bytes.slice()]));
  for (const name of ["after two", "after three"]) values.get(graph.values.find((value) => value.name === name)!.id)![2]! += 1;
  const found = compareLayers({ ...plain, values }, plain);
  expect(found.firstNode).toMatchObject({ name: "two", op: "relu6", value: "after two" });
  expect(found.firstNode!.difference).toMatch(/element 2 is 4, expected 3/);
});
