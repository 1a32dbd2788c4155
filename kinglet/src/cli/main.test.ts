import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readNpy, writeNpy } from "../formats/index.ts";
import { float32Bytes, testModel } from "../formats/tflite/test-model.ts";
import { coreById } from "../boards/index.ts";
import { coreTools, needTools } from "../boards/tool-gate.ts";
import { memoryFigure } from "./inspect.ts";
import { kinglet } from "./testing.ts";

let folder = "";
let model = "";

/** Four floats through a dense layer that swaps pairs: small enough to check by hand. */
function tinyModel(): Uint8Array {
  const weights = float32Bytes(0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0);
  return testModel([
    {
      tensors: [
        { type: "float32", shape: [1, 4] },
        { type: "float32", shape: [4, 4], data: weights },
        { type: "float32", shape: [4], data: float32Bytes(0, 0, 0, 10) },
        { type: "float32", shape: [1, 4] },
      ],
      inputs: [0],
      outputs: [3],
      operators: [{ op: "FULLY_CONNECTED", inputs: [0, 1, 2], outputs: [3], options: {} }],
    },
  ]);
}

async function fails(code: number, pattern: RegExp, ...argv: string[]): Promise<void> {
  const ran = await kinglet(...argv);
  expect(ran.err).toMatch(pattern);
  expect(ran.err).not.toMatch(/\n\s+at /);
  expect(ran.code).toBe(code);
  expect(ran.out).toBe("");
}

const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet-cli-"));
  model = at("tiny.tflite");
  await writeFile(model, tinyModel());
  await writeFile(at("in0.bin"), float32Bytes(1, 2, 3, 4));
  await writeFile(at("in0.npy"), writeNpy({ dtype: "float32", shape: [1, 4], data: Float32Array.of(1, 2, 3, 4) }));
  await writeFile(at("wrong.npy"), writeNpy({ dtype: "int8", shape: [1, 4], data: Int8Array.of(1, 2, 3, 4) }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("inspect", () => {
  test("tells the facts as one JSON document", async () => {
    const { code, out } = await kinglet("inspect", model, "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      parameters: 20,
      macs: 16,
      operators: { fullyConnected: 1 },
      nodes: [{ op: "fullyConnected", outputShape: [1, 4], weightBytes: 80 }],
      weightBytes: 80,
      arenaBytes: expect.any(Number),
      arenaBytesDsp: expect.any(Number),
      boards: expect.arrayContaining([expect.objectContaining({ arenaBytes: expect.any(Number) })]),
    });
  });

  test("tells two arenas where they differ", () => {
    expect(memoryFigure(9776, 9536)).toBe("9,776 bytes; 9,536 on cores with the DSP extension");
    expect(memoryFigure(76, 76)).toBe("76 bytes");
  });

  test("fits 80 columns", async () => {
    const { out } = await kinglet("inspect", model);
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("refuses broken files", async () => {
    await writeFile(at("empty.tflite"), "");
    await writeFile(at("cut.tflite"), tinyModel().slice(0, 100));
    await fails(1, /empty\.tflite: /, "inspect", at("empty.tflite"));
    await fails(1, /cut\.tflite, model: 4 bytes/, "inspect", at("cut.tflite"));
    await fails(1, /no such file/, "inspect", at("absent.tflite"));
    await fails(1, /this is a folder/, "inspect", folder);
  });
});

describe("run", () => {
  test.each(["in0.bin", "in0.npy"])("computes from %s", async (input) => {
    const out = at(`run-${input}`);
    expect((await kinglet("run", model, "--input", at(input), "--out", out)).code).toBe(0);
    expect([...readNpy(await readFile(join(out, "out0.npy")), "out0").data]).toEqual([2, 1, 4, 13]);
  });

  test("writes raw bytes", async () => {
    await kinglet("run", model, "--input", at("in0.bin"), "--out", at("raw"), "--via", "wasm", "--raw");
    expect(new Uint8Array(await readFile(at("raw/out0.bin")))).toEqual(float32Bytes(2, 1, 4, 13));
  });

  test("refuses inputs of the wrong type, size and number by the tensor's name", async () => {
    await writeFile(at("short.bin"), "abc");
    await fails(1, /"t0" is float32 \[1,4\], and the file holds int8/, "run", model, "--input", at("wrong.npy"), "--out", at("no"));
    await fails(1, /"t0" is float32 \[1,4\] and needs 16 bytes; the file has 3/, "run", model, "--input", at("short.bin"), "--out", at("no"));
    await fails(2, /1 inputs, and --input names 2 files/, "run", model, "--input", at("in0.bin"), at("in0.bin"), "--out", at("no"));
    expect(await readdir(folder)).not.toContain("no");
  });
});

describe("compile", () => {
  test.each(["c", "wasm", "js"])("makes %s, and replaces what it made", async (target) => {
    const out = at(`made-${target}`);
    for (let i = 0; i < 2; i++) expect((await kinglet("compile", model, "--target", target, "--out", out, "--name", "swap")).code).toBe(0);
    const { code, out: text } = await kinglet("compile", model, "--target", target, "--out", out, "--name", "swap", "--json");
    const told = JSON.parse(text) as { files: string[]; arenaBytes: number };
    expect(code).toBe(0);
    expect(told.files).toContain(target === "c" ? "src/swap.h" : `swap.${target}`);
    for (const name of told.files) await readFile(join(out, name));
  });

  test.each([
    ["c", "swap as C for any machine,"],
    ["wasm", "swap as WebAssembly,"],
    ["js", "swap as JavaScript,"],
  ])("says what %s was made for", async (target, start) => {
    const { out } = await kinglet("compile", model, "--target", target, "--out", at("named"), "--name", "swap");
    expect(out.startsWith(start)).toBe(true);
    await rm(at("named"), { recursive: true });
  });

  test("profiles on the board's core, compared with the plain loops", { timeout: 60_000 }, async (context) => {
    needTools(context, ...coreTools(coreById("cortex-m4")));
    const words = ["compile", model, "--target", "c", "--board", "nucleo-l4r5zi", "--out", at("profiled"), "--profile"];
    const told = JSON.parse((await kinglet(...words, "--json")).out) as { instructions: number; layers: { instructions: number }[] };
    expect(told.layers).toEqual([{ name: expect.any(String), op: "fullyConnected", instructions: expect.any(Number) }]);
    expect(told.layers[0]!.instructions).toBeGreaterThan(16);
    const { out } = await kinglet(...words);
    expect(out).toContain(`instructions ${told.instructions.toLocaleString("en-US")} an inference on the emulated cortex-m4`);
    expect(await readFile(at("profiled/report.html"), "utf8")).toMatch(/<b>cortex-m4<\/b>[^✓]*✓ equal/);
  });

  test("explains which kernel each layer has", async () => {
    const { code, out } = await kinglet("compile", model, "--target", "c", "--out", at("explained"), "--explain");
    expect(code).toBe(0);
    expect(out).toMatch(/^layer +kernel +weights +channels by requantization +why no faster one$/m);
    const told = JSON.parse((await kinglet("compile", model, "--target", "c", "--out", at("explained"), "--explain", "--json")).out) as {
      kernels: { name: string; func: string }[];
    };
    for (const { func } of told.kernels) expect(out).toContain(func);
    expect(told.kernels).toHaveLength(1);
    await rm(at("explained"), { recursive: true });
  });

  test("refuses a folder with anything of a person's in it", async () => {
    await mkdir(at("mine"));
    await writeFile(at("mine/thesis.txt"), "precious");
    await fails(1, /Kinglet did not make it/, "compile", model, "--target", "wasm", "--out", at("mine"));
    await kinglet("compile", model, "--target", "wasm", "--out", at("shared"));
    await writeFile(at("shared/notes.txt"), "mine");
    await fails(1, /"notes\.txt", which Kinglet did not write/, "compile", model, "--target", "wasm", "--out", at("shared"));
    await rm(at("shared/notes.txt"));
    await writeFile(at("shared/README.md"), "edited");
    await fails(1, /"README\.md" was changed/, "compile", model, "--target", "wasm", "--out", at("shared"));
    expect(await readFile(at("mine/thesis.txt"), "utf8")).toBe("precious");
  });

  test("two at once leave one whole folder and nothing beside it", async () => {
    const out = at("twice/out");
    const both = await Promise.all(["a", "b"].map((id) => kinglet("compile", model, "--target", "js", "--out", out, "--name", id)));
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect((await readdir(out)).filter((name) => name.endsWith(".js"))).toHaveLength(1);
    expect(await readdir(at("twice"))).toEqual(["out"]);
  });

  test("writes nothing for a network that does not fit", async () => {
    await fails(1, /needs an arena of \d+ bytes and may use 3/, "compile", model, "--target", "c", "--ram", "3", "--out", at("deep/none"));
    expect(await readdir(folder)).not.toContain("deep");
  });
});

describe("verify", () => {
  test("compares back ends, cases and layers", async () => {
    await mkdir(at("cases"));
    await writeFile(at("cases/in1.bin"), float32Bytes(1, 2, 3, 4));
    await writeFile(at("cases/out1.bin"), float32Bytes(2, 1, 4, 13));
    const { code, out } = await kinglet("verify", model, "--via", "js,wasm", "--cases", at("cases"), "--layers", "--json");
    expect(JSON.parse(out)).toMatchObject({
      ok: true,
      cases: 1,
      vias: [
        { via: "js", equal: true },
        { via: "wasm", equal: true, valuesCompared: 1 },
      ],
    });
    expect(code).toBe(0);
  });

  test("a way without its tools is skipped, and nothing that ran is a failed check", async () => {
    const path = process.env["PATH"];
    process.env["PATH"] = "";
    try {
      const some = await kinglet("verify", model, "--via", "js,c,m4");
      expect(some.out).toMatch(/c was skipped: missing: cc is not installed/);
      expect(some.out).toMatch(/cortex-m4 was skipped: missing: arm-none-eabi-gcc [\s\S]*qemu-system-arm [\s\S]*are not installed/);
      expect(Math.max(...some.out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
      expect(some.code).toBe(0);
      expect((await kinglet("verify", model, "--via", "c,m4")).code).toBe(1);
      expect(JSON.parse((await kinglet("compile", model, "--target", "c", "--out", at("toolless"), "--json")).out)).toMatchObject({
        codeBytes: null,
      });
    } finally {
      process.env["PATH"] = path;
    }
  });

  test("a case that differs is a failed check", async () => {
    await mkdir(at("bad-cases"));
    await writeFile(at("bad-cases/in0.npy"), await readFile(at("in0.npy")));
    await writeFile(at("bad-cases/out0.npy"), await readFile(at("in0.npy")));
    const { code, out } = await kinglet("verify", model, "--via", "js", "--cases", at("bad-cases"));
    expect(out).toMatch(/DIFFERENT[\s\S]*case 0 as stored: output 0 "t3" element 0 is 2, expected 1/);
    expect(code).toBe(1);
  });
});

describe("misuse ends with 2", () => {
  test.each([
    [[]],
    [["frobnicate"]],
    [["inspect"]],
    [["inspect", "m", "--colour"]],
    [["compile", "m", "--target", "cobol", "--out", "o"]],
    [["compile", "m", "--target", "c", "--out", "o", "--ram", "lots"]],
    [["verify", "m", "--via", "abacus"]],
    [["run", "m", "--input", "x"]],
  ])("%j", async (argv) => {
    const { code, err } = await kinglet(...argv);
    expect(code).toBe(2);
    // No command at all is answered with the help.
    if (argv.length > 0) expect(err).toMatch(/^kinglet: /);
  });

  test("an unknown board names the nearest", async () => {
    await fails(2, /Did you mean .*nucleo-l4r5zi/, "compile", model, "--target", "c", "--board", "nucleo-l4r5", "--out", at("none"));
  });
});

test("doctor and help end with 0", async () => {
  expect(JSON.parse((await kinglet("doctor", "--json")).out)).toMatchObject({ node: process.version, tools: expect.any(Array) });
  for (const argv of [["--help"], ["compile", "--help"], ["--version"], ["doctor"]]) expect((await kinglet(...argv)).code).toBe(0);
});
