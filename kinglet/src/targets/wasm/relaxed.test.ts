import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bytesOf, fromBytes, Xorshift32 } from "../../base/index.ts";
import { compileGraph, type Compiled } from "../../driver/index.ts";
import { type Graph, GraphBuilder } from "../../graph/index.ts";
import { createWasmRunner, packageWasm } from "./index.ts";

// Node 20 knows the instructions, but not without being told.
const FLAG = "--experimental-wasm-relaxed-simd";

const random = new Xorshift32(3);

function floats(length: number): Float32Array {
  return Float32Array.from({ length }, () => random.int(-1000, 1000) / 700);
}

function network(): Graph {
  const g = new GraphBuilder("floats");
  const x = g.input("x", { dtype: "float32", shape: [1, 6, 7, 5] });
  const w = g.constant("w", { dtype: "float32", shape: [12, 3, 3, 5] }, floats(540));
  const y = g.value("y", { dtype: "float32", shape: [1, 6, 7, 12] });
  const same = { padTop: 1, padBottom: 1, padLeft: 1, padRight: 1 };
  g.node("conv2d", [x, w, null], [y], { strideH: 1, strideW: 1, dilationH: 1, dilationW: 1, ...same, activation: "none" });
  g.output(y);
  return g.build();
}

describe("the module with relaxed SIMD", () => {
  let compiled: Compiled;
  let folder: string;
  beforeAll(async () => {
    setFlagsFromString(FLAG);
    compiled = compileGraph(network(), { target: "wasm" });
    folder = await mkdtemp(join(tmpdir(), "kinglet-relaxed-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("gives the same numbers up to the rounding of products", () => {
    const input = bytesOf(floats(210));
    const [exact, relaxed] = [false, true].map((flag) => {
      const runner = createWasmRunner(compiled.program, compiled.plan, flag);
      runner.setInput(0, input);
      runner.run();
      return fromBytes("float32", runner.output(0)) as Float32Array;
    }) as [Float32Array, Float32Array];
    const largest = exact.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    exact.forEach((value, i) => expect(Math.abs(value - relaxed[i]!) / largest).toBeLessThanOrEqual(1e-5));
    // Here the machine has the instruction, so some sums differ in the last bit; equal ones would mean that nothing is fused.
    if (process.arch === "x64" || process.arch === "arm64") expect(exact).not.toEqual(relaxed);
  });

  it("is what the loader takes where the engine has it", async () => {
    const files = packageWasm(compiled.program, compiled.plan, "floats");
    expect([...files.keys()]).toContain("floats.relaxed.wasm");
    await writeFile(join(folder, "floats.mjs"), files.get("floats.js")!);
    await writeFile(join(folder, "floats.relaxed.wasm"), files.get("floats.relaxed.wasm")!);
    const script =
      'import("./floats.mjs").then(({ load }) => load()).then((model) => console.log(model.outputs[0].data.length), (error) => console.log(error.message))';
    const answer = spawnSync(process.execPath, [FLAG, "-e", script], { cwd: folder, encoding: "utf8" });
    expect(answer.stdout.trim()).toBe("504");
    const plain = spawnSync(process.execPath, ["-e", script], { cwd: folder, encoding: "utf8" });
    const newer = Number(process.versions.node.split(".")[0]) > 20;
    expect(plain.stdout.trim()).toMatch(newer ? /^504$/ : /floats\.wasm/);
  });

  it("is not made for networks that it would not change", () => {
    const g = new GraphBuilder("bytes");
    const quantization = { scales: [0.1], zeroPoints: [0], axis: 0 };
    const x = g.input("x", { dtype: "int8", shape: [1, 8], quantization });
    const w = g.constant("w", { dtype: "int8", shape: [16, 8], quantization }, new Int8Array(128).fill(3));
    const y = g.value("y", { dtype: "int8", shape: [1, 16], quantization });
    g.node("fullyConnected", [x, w, null], [y], { activation: "none", keepDims: false });
    g.output(y);
    const bytes = compileGraph(g.build(), { target: "wasm" });
    expect([...packageWasm(bytes.program, bytes.plan, "bytes").keys()]).not.toContain("bytes.relaxed.wasm");
  });
});
