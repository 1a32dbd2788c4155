import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytesOf, Xorshift32 } from "../base/index.ts";
import { readModel, writeKinglet, writeNpy } from "../formats/index.ts";
import { imbalanced } from "../passes/quantize/test-networks.ts";
import { kinglet } from "./testing.ts";

let folder = "";
const at = (name: string): string => join(folder, name);

async function refuses(code: number, pattern: RegExp, ...argv: string[]): Promise<void> {
  const ran = await kinglet("quantize", ...argv);
  expect(ran.err).toMatch(pattern);
  expect(ran.err).not.toMatch(/\n\s+at /);
  expect([ran.code, ran.out]).toEqual([code, ""]);
}

const floats = (seed: number, count: number): Float32Array => {
  const random = new Xorshift32(seed);
  return Float32Array.from({ length: count }, () => random.float());
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-quantize-"));
  await writeFile(at("float.kinglet"), writeKinglet(imbalanced(1000)));
  await writeFile(at("samples.npy"), writeNpy({ dtype: "float32", shape: [12, 6, 6, 4], data: floats(5, 12 * 144) }));
  await mkdir(at("samples"));
  await writeFile(join(at("samples"), "in1.npy"), writeNpy({ dtype: "float32", shape: [1, 6, 6, 4], data: floats(6, 144) }));
  await writeFile(join(at("samples"), "in2.bin"), bytesOf(floats(7, 288)));
  await writeFile(join(at("samples"), "out1.npy"), writeNpy({ dtype: "float32", shape: [1], data: floats(8, 1) }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("kinglet quantize", () => {
  test("writes a model that the other commands take", async () => {
    const { code, out } = await kinglet(
      "quantize",
      at("float.kinglet"),
      "--calibrate",
      at("samples.npy"),
      "--io",
      "int8",
      "--remedy",
      "equalize",
      "--out",
      at("q.kinglet"),
    );
    expect(code).toBe(0);
    expect(out).toMatch(/int8 weights, int8 activations, int8 inputs and outputs/);
    expect(out).toMatch(/\d\d\.\d dB between the floating-point network and this one; the same class/);
    const graph = readModel(new Uint8Array(await readFile(at("q.kinglet"))), "q");
    expect(graph.nodes.map((node) => node.inputs[1]!.dtype)).toEqual(["int8", "int8", "int8"]);
    expect((await kinglet("verify", at("q.kinglet"), "--via", "js,wasm")).code).toBe(0);
    expect((await kinglet("compile", at("q.kinglet"), "--target", "js", "--out", at("js"))).code).toBe(0);
    expect((await kinglet("inspect", at("q.kinglet"))).out).toContain("conv2d ×3");
  });

  test("explains without writing, for a person and as JSON with every channel", async () => {
    const args = ["quantize", at("float.kinglet"), "--calibrate", at("samples"), "--explain"];
    const text = await kinglet(...args);
    expect(text.code).toBe(0);
    expect(text.out).toMatch(/loses most by itself/);
    expect(text.out).toMatch(/cross-layer equalisation .* kept +2 pairs of layers/);
    for (const line of text.out.split("\n")) expect(line.length).toBeLessThanOrEqual(110);
    const json = JSON.parse((await kinglet(...args, "--json")).out) as {
      samples: number;
      layers: { channelSnrDb: number[] }[];
      remedies: { remedy: string; gainDb: number }[];
    };
    expect(json.samples).toBe(3);
    expect(json.layers.map(({ channelSnrDb }) => channelSnrDb.length)).toEqual([8, 8, 5]);
    expect(json.remedies[0]).toMatchObject({ remedy: "per-axis", gainDb: expect.any(Number) });
  });

  test("weights alone need no samples, and 4 bits and half precision are small in the file", async () => {
    const sizes: number[] = [];
    for (const extra of [
      ["--weights", "float16"],
      ["--weights", "int8"],
      ["--weights", "int4"],
    ]) {
      const { code, out } = await kinglet("quantize", at("float.kinglet"), "--activations", "float", ...extra, "--out", at("w.kinglet"), "--json");
      expect(code).toBe(0);
      const json = JSON.parse(out) as { fileBytes: number; weightsPacked: boolean | null; weights: string };
      expect(json.weightsPacked).toBe(json.weights === "int4" ? false : null);
      sizes.push(json.fileBytes);
      expect((await stat(at("w.kinglet"))).size).toBe(json.fileBytes);
    }
    const text = await kinglet("quantize", at("float.kinglet"), "--activations", "float", "--weights", "int4", "--out", at("w.kinglet"));
    expect(text.out).toMatch(/compiled code keeps each\s+in\s+a\s+byte/);
  });

  test("every form, way of choosing ranges and remedy can be asked for", async () => {
    await writeFile(at("balanced.kinglet"), writeKinglet(imbalanced(1)));
    const calibrated = (...more: string[]): string[] => [
      "quantize",
      at("balanced.kinglet"),
      "--calibrate",
      at("samples"),
      "--out",
      at("any.kinglet"),
      "--json",
      ...more,
    ];
    const methods = ["minmax", "moving-average", "percentile", "mse", "entropy"].map((method) => ["--method", method]);
    const remedies = ["equalize", "absorb-bias", "correct-bias", "adaround", "tune"].map((remedy) => ["--remedy", remedy]);
    const reached = new Map<string, number>();
    for (const more of [...methods, ...remedies, ["--activations", "int16"], ["--weights", "int4"], ["--per-tensor"]]) {
      const { code, out } = await kinglet(...calibrated(...more));
      expect([more, code]).toEqual([more, 0]);
      reached.set(more.at(-1)!, (JSON.parse(out) as { outputs: { snrDb: number } }).outputs.snrDb);
    }
    const { int4, ...rest } = Object.fromEntries(reached) as { int4: number; minmax: number; int16: number; entropy: number };
    for (const [name, snrDb] of Object.entries(rest)) expect(snrDb, name).toBeGreaterThan(20);
    expect(int4).toBeGreaterThan(8);
    expect(rest.int16).toBeGreaterThan(rest.minmax);
    expect(rest.entropy).not.toBe(rest.minmax);
    const { out } = await kinglet("quantize", "--help");
    for (const [, name] of [...methods, ...remedies]) expect(out).toMatch(new RegExp(`^  ${name} +\\S`, "m"));
  });

  test("refuses what makes no sense before it starts", async () => {
    const model = at("float.kinglet");
    await refuses(2, /need samples/, model, "--out", at("x.kinglet"));
    await refuses(2, /--out, or ask for --explain/, model, "--calibrate", at("samples.npy"));
    await refuses(
      2,
      /half precision go with --activations float/,
      model,
      "--calibrate",
      at("samples.npy"),
      "--weights",
      "float16",
      "--out",
      at("x.kinglet"),
    );
    await refuses(2, /Allowed choices are minmax/, model, "--method", "magic");
    await refuses(2, /goes with --method percentile/, model, "--calibrate", at("samples.npy"), "--percentile", "99", "--out", at("x.kinglet"));
    await refuses(2, /is none of equalize/, model, "--remedy", "prayer");
    await refuses(1, /no such file/, model, "--calibrate", at("nowhere"), "--out", at("x.kinglet"));
    const calibrated = [model, "--calibrate", at("samples.npy")];
    await refuses(2, /no layer "nobody"/, ...calibrated, "--int16", "nobody", "--out", at("x.kinglet"));
    await refuses(2, /this is a folder/, ...calibrated, "--out", at("samples"));
    await refuses(2, /none of a model format/, ...calibrated, "--out", at("samples.npy"));
    await writeFile(at("notes.kinglet"), "by hand");
    await refuses(2, /not a .kinglet model, so it is not replaced/, ...calibrated, "--out", at("notes.kinglet"));
    await refuses(1, /no such file/, ...calibrated, "--out", at("no/such/folder/x.kinglet"));
  });

  test("refuses samples that do not fit, by the file's name", async () => {
    const model = at("float.kinglet");
    const put = async (name: string, bytes: Uint8Array): Promise<string[]> => {
      await writeFile(at(name), bytes);
      return [model, "--calibrate", at(name), "--explain"];
    };
    await refuses(
      1,
      /shape.npy: the input "x" is float32 \[1,6,6,4\].*\[2,5\]/,
      ...(await put("shape.npy", writeNpy({ dtype: "float32", shape: [2, 5], data: floats(1, 10) }))),
    );
    await refuses(1, /short.bin: .*576 bytes for each sample; the file has 5/, ...(await put("short.bin", new Uint8Array(5))));
    await refuses(
      1,
      /sample 1 holds NaN/,
      ...(await put("nan.npy", writeNpy({ dtype: "float32", shape: [1, 6, 6, 4], data: floats(1, 144).fill(Number.NaN, 3, 4) }))),
    );
    await mkdir(at("empty"));
    await refuses(1, /no .npy or .bin files/, model, "--calibrate", at("empty"), "--explain");
  });
});
