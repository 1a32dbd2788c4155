import { describe, expect, test } from "vitest";
import { KingletError } from "../base/index.ts";
import { GraphBuilder } from "../graph/index.ts";
import { mobilenetV2, ZOO } from "../zoo/index.ts";
import { chooseRecomputed, extraMacsOf, recomputableBlocks, searchFusion } from "./index.ts";

const network = mobilenetV2({ width: 0.35, resolution: 32, precision: "int8", classes: 10 });

describe("the search for stages", () => {
  test("needs fewer bytes by rows than by whole images, and fewer still where the input streams", () => {
    const [whole, streamed] = [searchFusion(network, false), searchFusion(network, true)];
    const images = Math.max(...network.values.filter(({ data }) => data === undefined).map(({ shape }) => shape.reduce((p, d) => p * d, 1)));
    expect(whole.leastBytes).toBeLessThan(images);
    expect(streamed.leastBytes).toBeLessThan(whole.leastBytes);
  });

  test("stays within a limit with the least effort, and says where none does", () => {
    const search = searchFusion(network, false);
    expect(search.within(search.leastBytes - 1)).toBeUndefined();
    const effort = (limit: number): number => search.within(limit)!.stages.reduce((sum, { sequence }) => sum + sequence.acts.length, 0);
    const efforts = search.limits.map(effort);
    expect(efforts).toEqual([...efforts].sort((a, b) => b - a));
    for (const limit of search.limits) expect(search.within(limit)!.bytes).toBeLessThanOrEqual(limit);
    expect(search.within(Infinity)!.stages).toEqual([]);
  });

  test("stages follow each other and cover whole nodes", () => {
    const { stages } = searchFusion(network, true).within(searchFusion(network, true).leastBytes)!;
    expect(stages[0]!.first).toBe(0);
    expect(stages[0]!.streamed).toBe(network.inputs[0]);
    stages.forEach(({ first }, i) => {
      if (i > 0) expect(first).toBeGreaterThanOrEqual(stages[i - 1]!.first + stages[i - 1]!.forms.length);
    });
  });

  test("refuses to stream an input that is needed whole", () => {
    const b = new GraphBuilder("dense");
    const x = b.input("x", { dtype: "float32", shape: [1, 4] });
    const y = b.value("y", { dtype: "float32", shape: [1, 4] });
    b.node("softmax", [x], [y], { beta: 1 });
    b.output(y);
    expect(() => searchFusion(b.build(), true)).toThrow(KingletError);
  });
});

describe("blocks that are computed again", () => {
  test("divide any number of channels into equal groups", () => {
    const blocks = [...recomputableBlocks(ZOO["mobilenet_v2_0.35_144_chain"]!()).values()].map(({ recomputed }) => recomputed!);
    for (const { expand, groups, groupChannels } of blocks) expect(groups * groupChannels).toBe(expand.outputs[0]!.shape[3]);
    expect(blocks.some(({ expand }) => expand.outputs[0]!.shape[3]! % 8 !== 0)).toBe(true);
  });

  test("lower the least bytes and stay within their budget", () => {
    const budget = 200_000;
    const traded = searchFusion(network, true, false, chooseRecomputed(network, true, budget));
    expect(traded.leastBytes).toBeLessThan(searchFusion(network, true).leastBytes);
    const extraMacs = extraMacsOf(traded.within(traded.leastBytes)!);
    expect(extraMacs).toBeGreaterThan(0);
    expect(extraMacs).toBeLessThanOrEqual(budget);
  });
});
