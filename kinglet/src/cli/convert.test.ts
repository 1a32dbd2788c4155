import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { readModel, writeKinglet, writeNpy } from "../formats/index.ts";
import { comparable, nameless } from "../formats/graph-testing.ts";
import { GraphBuilder } from "../graph/index.ts";
import { applyOp } from "../ops/index.ts";
import { imbalanced } from "../passes/quantize/test-networks.ts";
import { dsCnn } from "../zoo/index.ts";
import { kinglet } from "./testing.ts";

let folder = "";
const at = (name: string): string => join(folder, name);

async function refuses(code: number, pattern: RegExp, ...argv: string[]): Promise<void> {
  const ran = await kinglet(...argv);
  expect(ran.err).toMatch(pattern);
  expect([ran.code, ran.out]).toEqual([code, ""]);
}

const graphIn = async (name: string) => readModel(await readFile(at(name)), "model");

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-convert-"));
  const random = new Xorshift32(4);
  await writeFile(at("float.kinglet"), writeKinglet(imbalanced(10)));
  await writeFile(at("trainable.kinglet"), writeKinglet(dsCnn({ size: [8, 8], width: 0.25 })));
  await mkdir(at("samples"));
  const data = Float32Array.from({ length: 4 * 144 }, () => random.float());
  await writeFile(join(at("samples"), "in1.npy"), writeNpy({ dtype: "float32", shape: [4, 6, 6, 4], data }));
  const b = new GraphBuilder("features");
  const x = b.input("sound", { dtype: "float32", shape: [1, 16] });
  const [frames] = applyOp(b, "frames", [x], { length: 8, step: 8, padEnd: false }, "cut");
  b.output(frames!);
  await writeFile(at("features.kinglet"), writeKinglet(b.build()));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("kinglet convert", () => {
  test("writes what the extension says, and back", async () => {
    expect((await kinglet("convert", at("float.kinglet"), at("float.tflite"))).code).toBe(0);
    expect((await kinglet("convert", at("float.tflite"), at("back.kinglet"))).code).toBe(0);
    expect(comparable(await graphIn("back.kinglet"))).toEqual(comparable(await graphIn("float.tflite")));
    expect((await graphIn("float.tflite")).nodes.map(({ op }) => op)).toEqual((await graphIn("float.kinglet")).nodes.map(({ op }) => op));
  });

  test("writes ONNX from both other formats, of the operator set that is asked for, and back", async () => {
    expect((await kinglet("convert", at("float.kinglet"), at("float.onnx"), "--opset", "17")).code).toBe(0);
    const { code, out } = await kinglet("convert", at("float.onnx"), at("again.onnx"), "--json");
    expect([code, JSON.parse(out).format]).toEqual([0, "ONNX"]);
    expect(nameless(await graphIn("again.onnx"))).toEqual(nameless(await graphIn("float.onnx")));
    const diff = await kinglet("diff", at("float.kinglet"), at("again.onnx"), "--tolerance", "1e-5");
    expect([diff.code, diff.err]).toEqual([0, ""]);
    // Images lie as TensorFlow Lite has them.
    expect((await kinglet("convert", at("float.onnx"), at("back.tflite"))).code).toBe(0);
    expect((await graphIn("back.tflite")).nodes.map(({ op }) => op)).not.toContain("transpose");
  });

  test("quantizes an ONNX model on the way to either format", async () => {
    expect((await kinglet("convert", at("float.kinglet"), at("float.onnx"))).code).toBe(0);
    for (const name of ["int8-of.tflite", "int8-of.onnx"]) {
      const made = await kinglet("convert", at("float.onnx"), "--quantize", "int8", "--calibrate", at("samples"), "--io", "int8", at(name));
      expect([made.code, made.out]).toEqual([0, expect.stringContaining("dB between")]);
      expect((await graphIn(name)).inputs[0]!.dtype).toBe("int8");
    }
  });

  test("folds the normalizations that training needed", async () => {
    const { code, out } = await kinglet("convert", at("trainable.kinglet"), at("folded.tflite"), "--json");
    expect(code).toBe(0);
    const ops = (await graphIn("folded.tflite")).nodes.map(({ op }) => op);
    expect(ops).not.toContain("mul");
    expect(JSON.parse(out)).toMatchObject({ format: "TensorFlow Lite", nodes: ops.length, fileBytes: (await readFile(at("folded.tflite"))).length });
  });

  test("quantizes on the way, and diff shows by how much", async () => {
    const made = await kinglet("convert", at("float.kinglet"), "--quantize", "int8", "--calibrate", at("samples"), "--io", "int8", at("int8.tflite"));
    expect([made.code, made.out]).toEqual([0, expect.stringContaining("dB between the floating-point network and this one")]);
    expect((await graphIn("int8.tflite")).inputs[0]!.dtype).toBe("int8");
    const diff = await kinglet("diff", at("float.kinglet"), at("int8.tflite"), "--json");
    const found = JSON.parse(diff.out);
    expect(found.pairs.length).toBeGreaterThan(2);
    expect(diff.code).toBe(found.equal ? 0 : 1);
    const strict = await kinglet("diff", at("float.kinglet"), at("int8.tflite"), "--tolerance", "0");
    expect([strict.code, strict.out]).toEqual([1, expect.stringContaining("They part at")]);
  });

  test("says nothing parts where nothing does", async () => {
    const { code, out } = await kinglet("diff", at("float.kinglet"), at("float.kinglet"), "--input", join(at("samples"), "one.npy"));
    expect([code, out]).toEqual([1, ""]);
    const data = Float32Array.from({ length: 144 }, (_, i) => i / 144);
    await writeFile(at("one.npy"), writeNpy({ dtype: "float32", shape: [1, 6, 6, 4], data }));
    const again = await kinglet("diff", at("float.kinglet"), at("float.kinglet"), "--input", at("one.npy"));
    expect([again.code, again.out]).toEqual([0, expect.stringMatching(/Nothing parts in \d+ values/)]);
  });

  test.each<[string, number, RegExp, string[]]>([
    ["what the format cannot express", 1, /frames "cut": TensorFlow Lite has no such operator/, ["features.kinglet", "features.tflite"]],
    ["the same of ONNX", 1, /frames "cut": ONNX has no such operator/, ["features.kinglet", "features.onnx"]],
    ["an operator set that is not written", 2, /are 13 to 21, not 9/, ["float.kinglet", "x.onnx", "--opset", "9"]],
    ["an operator set of another format", 2, /--opset needs an .onnx file/, ["float.kinglet", "x.tflite", "--opset", "17"]],
    ["to replace another file by ONNX", 2, /not a \.onnx model/, ["float.kinglet", "other.onnx"]],
    ["an extension that no format has", 2, /\.tflite \(TensorFlow Lite\), \.kinglet \(Kinglet\), \.onnx \(ONNX\)/, ["float.kinglet", "float.zip"]],
    ["integers without samples", 2, /need samples/, ["float.kinglet", "x.tflite", "--quantize", "int8"]],
    ["samples without integers", 2, /--quantize/, ["float.kinglet", "x.tflite", "--calibrate", "samples"]],
    ["to replace another file", 2, /not a \.tflite model/, ["float.kinglet", "other.tflite"]],
  ])("refuses %s, and writes nothing", async (_what, code, pattern, argv) => {
    await writeFile(at("other.tflite"), "precious");
    await writeFile(at("other.onnx"), "precious");
    const before = (await readdir(folder)).sort();
    await refuses(code, pattern, "convert", ...argv.map((arg) => (/^[a-z]+\.|^samples$/.test(arg) ? at(arg) : arg)));
    expect((await readdir(folder)).sort()).toEqual(before);
    for (const name of ["other.tflite", "other.onnx"]) expect(await readFile(at(name), "utf8")).toBe("precious");
  });
});
