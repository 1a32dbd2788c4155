import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Xorshift32 } from "../../base/index.ts";
import { type Compiled, compileGraph } from "../../driver/index.ts";
import { type Graph, GraphBuilder, type Value } from "../../graph/index.ts";
import { placeBuffers } from "../../plan/index.ts";
import { evaluate } from "../js/index.ts";
import { packageWasm } from "./index.ts";

const random = new Xorshift32(21);
const PLAIN = { strideH: 1, strideW: 1, dilationH: 1, dilationW: 1, padTop: 0, padBottom: 0, padLeft: 0, padRight: 0, activation: "relu" };
const SAME = { ...PLAIN, padTop: 1, padBottom: 1, padLeft: 1, padRight: 1 };

function floats(length: number): Float32Array {
  return Float32Array.from({ length }, () => random.int(-1000, 1000) / 700);
}

/** Layers that are shared by rows, by pixels and by elements, one with working memory, and some that are not shared. */
function network(): Graph {
  const g = new GraphBuilder("shared");
  const w = (...shape: number[]): Value =>
    g.constant(`w${random.int(0, 1e9)}`, { dtype: "float32", shape }, floats(shape.reduce((p, d) => p * d, 1)));
  const value = (name: string, ...shape: number[]): Value => g.value(name, { dtype: "float32", shape });
  const x = g.input("x", { dtype: "float32", shape: [1, 9, 7, 1] });
  const [a, b, c, d, e, y] = [
    value("a", 1, 9, 7, 8),
    value("b", 1, 9, 7, 8),
    value("c", 1, 9, 7, 8),
    value("d", 1, 9, 7, 8),
    value("e", 1, 1, 1, 8),
    value("y", 1, 20),
  ];
  g.node("conv2d", [x, w(8, 3, 3, 1), null], [a], SAME);
  g.node("depthwiseConv2d", [a, w(1, 3, 3, 8), null], [b], { ...SAME, depthMultiplier: 1 });
  g.node("conv2d", [b, w(8, 1, 1, 8), null], [c], PLAIN);
  g.node("add", [c, a], [d], { activation: "relu" });
  g.node("averagePool2d", [d], [e], { ...PLAIN, filterH: 9, filterW: 7, activation: "none" });
  g.node("fullyConnected", [e, w(20, 8), null], [y], { activation: "none", keepDims: false });
  g.output(y);
  return g.build();
}

describe("a network on several threads", () => {
  let compiled: Compiled;
  let folder: string;
  const graph = network();
  beforeAll(async () => {
    compiled = compileGraph(graph, { target: "wasm" });
    folder = await mkdtemp(join(tmpdir(), "kinglet-threads-"));
    const files = packageWasm(compiled.program, placeBuffers(compiled.program, { overlap: false }), "net", { threads: true });
    await writeFile(join(folder, "package.json"), '{ "type": "module" }');
    for (const [name, content] of files) await writeFile(join(folder, name), content);
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.each([2, 3])(
    "gives the plain loops' numbers on %i threads, run after run",
    async (threads) => {
      const inputs = [floats(63), floats(63), floats(63)];
      const script = `
      import { load } from "./net.js";
      const model = await load(undefined, { threads: ${threads} });
      const inputs = ${JSON.stringify(inputs.map((input) => [...input]))};
      for (let turn = 0; turn < 200; turn++) model.run(Float32Array.from(inputs[turn % 3]));
      console.log(JSON.stringify(inputs.map((input) => [...model.run(Float32Array.from(input))[0]])));
      model.close();`;
      await writeFile(join(folder, "run.js"), script);
      const { stdout, stderr } = spawnSync(process.execPath, ["run.js"], {
        cwd: folder,
        encoding: "utf8",
        timeout: 60_000,
      });
      expect(stderr).toBe("");
      expect(JSON.parse(stdout)).toEqual(inputs.map((input) => [...(evaluate(graph, [input])[0] as Float32Array)]));
    },
    70_000,
  );

  it("is one module for one thread where nothing is asked for", () => {
    const names = [...packageWasm(compiled.program, compiled.plan, "net").keys()];
    expect(names).not.toContain("net.threads.wasm");
    expect(names).not.toContain("net.worker.js");
  });
});
