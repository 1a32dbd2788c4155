import { describe, expect, it } from "vitest";
import { KingletError } from "../base/index.ts";
import { GraphBuilder } from "../graph/index.ts";
import { evaluate } from "../targets/js/index.ts";
import { type Tensor, tensor } from "./movement-testing.ts";
import { findOp } from "./table.ts";
import type { TreeEnsembleAttributes } from "./tree-ensemble.ts";

const ATTRIBUTES: TreeEnsembleAttributes = { aggregate: "sum", targets: 2, missing: false };

/** x[0] ≤ 1 asks whether x[1] ≤ −1; rows of votes are numbered from 2 on. */
const TABLES = {
  features: tensor("uint8", [2], [0, 1]),
  thresholds: tensor("float32", [2], [1, -1]),
  children: tensor("uint8", [2, 2], [4, 1, 3, 2]),
  roots: tensor("uint8", [1], [0]),
  votes: tensor("float32", [3, 2], [1, 10, 2, 20, 3, 30]),
};

function run(x: readonly number[], changes: Partial<typeof TABLES> = {}, attributes: Partial<TreeEnsembleAttributes> = {}, voted?: Tensor): number[] {
  const builder = new GraphBuilder("trees");
  const samples = { dtype: "float32", shape: [x.length / 2, 2] } as const;
  const given = { ...ATTRIBUTES, ...attributes };
  const tables = Object.entries({ ...TABLES, ...changes }).map(([name, each]) => builder.constant(name, each, each.data));
  const inputs = [builder.input("x", samples), ...tables, voted === undefined ? null : builder.constant("voted", voted, voted.data)];
  const [type] = findOp("treeEnsemble")!.infer(inputs, { ...given });
  const y = builder.value("y", type!);
  builder.node("treeEnsemble", inputs, [y], { ...given });
  builder.output(y);
  return Array.from(evaluate(builder.build(), [Float32Array.from(x)])[0] as Float32Array);
}

describe("an ensemble of trees", () => {
  it("goes from the root to a leaf; what is not a number lies beyond every threshold", () => {
    expect(run([1, -1, 1, 0, 2, -9, Number.NaN, -9])).toEqual([1, 10, 2, 20, 3, 30, 3, 30]);
  });

  it("sends missing values where the node's table says", () => {
    const features = tensor("uint8", [2], [1, 2]);
    expect(run([Number.NaN, -1, 1, Number.NaN], { features }, { missing: true })).toEqual([1, 10, 2, 20]);
  });

  it("joins trees, and leaves what nobody votes for at 0", () => {
    const roots = tensor("uint8", [2], [0, 1]);
    const votes = tensor("float32", [3, 1], [1, 2, 3]);
    const voted = tensor("uint8", [3, 1], [0, 0, 0]);
    const joined = (aggregate: TreeEnsembleAttributes["aggregate"]): number[] => run([2, -1], { roots, votes }, { aggregate }, voted);
    expect([joined("sum"), joined("min"), joined("max")]).toEqual([
      [4, 0],
      [1, 0],
      [3, 0],
    ]);
  });

  it("takes a root that is a leaf", () => {
    expect(run([0, 0], { roots: tensor("uint8", [1], [4]) })).toEqual([3, 30]);
  });

  it.each([
    ["children are not behind it", { children: tensor("uint8", [2, 2], [4, 1, 3, 1]) }],
    ["children are not behind it", { children: tensor("uint8", [2, 2], [5, 1, 3, 2]) }],
    ["asks for a feature", { features: tensor("uint8", [2], [0, 2]) }],
    ["has no node", { roots: tensor("uint8", [1], [5]) }],
    ["differ in length", { thresholds: tensor("float32", [1], [0]) }],
    ["votes do not fit", { votes: tensor("float32", [3, 1], [1, 2, 3]) }],
  ])("refuses tables that would lead a walk astray: %s", (message, changes) => {
    expect(() => run([0, 0], changes)).toThrow(KingletError);
    expect(() => run([0, 0], changes)).toThrow(message);
  });

  it("refuses votes for targets that there are not", () => {
    const votes = tensor("float32", [3, 1], [1, 2, 3]);
    expect(() => run([0, 0], { votes }, {}, tensor("uint8", [3, 1], [0, 1, 2]))).toThrow("votes for a target");
  });
});
