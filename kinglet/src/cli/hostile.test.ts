import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytesOf, Xorshift32 } from "../base/index.ts";
import { MARKER } from "../driver/index.ts";
import { writeNpy } from "../formats/index.ts";
import { testOnnx } from "../formats/onnx/test-model.ts";
import { float32Bytes, testModel } from "../formats/tflite/test-model.ts";
import { kinglet, onSmallDisk, type Ran } from "./testing.ts";

const BIN = fileURLToPath(new URL("../../bin/kinglet.js", import.meta.url));
const LIMIT_MS = 5000;
let folder = "";

/** A dense layer of `size` by `size` floats: large enough, where wanted, that writing it takes a while. */
function denseModel(size: number): Uint8Array {
  const random = new Xorshift32(7);
  const floats = (count: number): Uint8Array => bytesOf(Float32Array.from({ length: count }, () => random.float()));
  return testModel([
    {
      tensors: [
        { type: "float32", shape: [1, size] },
        { type: "float32", shape: [size, size], data: floats(size * size) },
        { type: "float32", shape: [size], data: floats(size) },
        { type: "float32", shape: [1, size] },
      ],
      inputs: [0],
      outputs: [3],
      operators: [{ op: "FULLY_CONNECTED", inputs: [0, 1, 2], outputs: [3], options: {} }],
    },
  ]);
}

/** A NumPy file whose header says what it likes. */
function npyWith(header: string, data: Uint8Array): Uint8Array {
  const text = `${header.padEnd(117)}\n`;
  return Buffer.concat([Buffer.from([0x93, ...Buffer.from("NUMPY"), 1, 0, text.length & 255, text.length >> 8]), Buffer.from(text), data]);
}

const at = (name: string): string => join(folder, name);
const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(at(name), content);
  return at(name);
};

/** One message, no stack, nothing on stdout, no internal error: what a refusal looks like. */
function expectRefusal({ code, out, err }: Ran, want: number, pattern: RegExp): void {
  expect(err).toMatch(pattern);
  expect(err.match(/^kinglet: /gm)).toHaveLength(1);
  expect(err).not.toMatch(/\n\s+at |inside Kinglet|\[object|undefined/);
  expect(out).toBe("");
  expect(code).toBe(want);
}

/** Runs in bounded time and leaves the folder as it was. */
async function refuses(want: number, pattern: RegExp, ...argv: readonly string[]): Promise<void> {
  const before = readdirSync(folder, { recursive: true });
  const start = performance.now();
  expectRefusal(await kinglet(...argv), want, pattern);
  expect(performance.now() - start).toBeLessThan(LIMIT_MS);
  expect(readdirSync(folder, { recursive: true })).toEqual(before);
}

let model = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kinglet-hostile-"));
  model = file("tiny.tflite", denseModel(4));
  file("in.npy", writeNpy({ dtype: "float32", shape: [1, 4], data: Float32Array.of(1, 2, 3, 4) }));
  file("occupied.txt", "mine");
  mkdirSync(at("full"));
  file("full/thesis.txt", "precious");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a file that is no model is refused by every command", () => {
  const random = new Xorshift32(3);
  const contents: Readonly<Record<string, () => string | Uint8Array>> = {
    "empty.tflite": () => "",
    "one.tflite": () => "T",
    "text.tflite": () => "Dear model,\n".repeat(100),
    "truncated.tflite": () => denseModel(4).slice(0, 300),
    "random.tflite": () => Uint8Array.from({ length: 4096 }, () => random.next() >>> 24),
    "random-tagged.tflite": () => Uint8Array.from({ length: 4096 }, (_, i) => (i >= 4 && i < 8 ? "TFL3".charCodeAt(i - 4) : random.next() >>> 24)),
    "net.onnx": () => Uint8Array.of(8, 7, 18, 7, ...Buffer.from("pytorch"), 26, 3, ...Buffer.from("1.9"), 58, 2, 10, 0),
    "renamed-onnx.tflite": () => Uint8Array.of(8, 7, 18, 7, ...Buffer.from("pytorch"), 26, 3, ...Buffer.from("1.9"), 58, 2, 10, 0),
  };
  test.each(Object.keys(contents))("%s", async (name) => {
    const path = file(name, contents[name]!());
    const says = new RegExp(name.replace(".", "\\."));
    await refuses(1, says, "inspect", path);
    await refuses(1, says, "compile", path, "--target", "c", "--out", at("none"));
    await refuses(1, says, "verify", path, "--via", "js");
    await refuses(1, says, "run", path, "--input", at("in.npy"), "--out", at("none"));
  });

  test("a folder, and nothing at all", async () => {
    await refuses(1, /this is a folder/, "compile", folder, "--target", "c", "--out", at("none"));
    await refuses(1, /absent\.tflite: there is no such file/, "compile", at("absent.tflite"), "--target", "c", "--out", at("none"));
    await refuses(1, /occupied\.txt\/m\.tflite: a part of the path is a file/, "inspect", at("occupied.txt/m.tflite"));
  });

  test("one that claims 2 GB anywhere", async () => {
    const good = denseModel(4);
    const start = performance.now();
    let refused = 0;
    for (const claim of [0x7fffffff, 0x80000000, 0xffffffff]) {
      for (let offset = 0; offset + 4 <= good.length; offset += 4) {
        const bytes = good.slice();
        new DataView(bytes.buffer).setUint32(offset, claim, true);
        const ran = await kinglet("inspect", file("claim.tflite", bytes));
        expect(ran.err, `offset ${offset}`).not.toMatch(/\n\s+at |inside Kinglet/);
        expect([0, 1]).toContain(ran.code);
        refused += ran.code;
      }
    }
    expect(refused).toBeGreaterThan(100);
    expect(process.memoryUsage().rss).toBeLessThan(1.5e9);
    expect((performance.now() - start) / ((3 * good.length) / 4)).toBeLessThan(100);
  });
});

describe("an ONNX model whose tensors lie elsewhere", () => {
  /** A model whose weights are said to lie in that file. */
  const withWeights = (location: string): Uint8Array =>
    testOnnx({
      inputs: [{ name: "x", type: 1, dims: [4] }],
      outputs: ["y"],
      tensors: [{ name: "w", dims: [4], type: 1, external: { location } }],
      nodes: [{ op: "Add", inputs: ["x", "w"], outputs: ["y"] }],
    });

  beforeAll(() => {
    mkdirSync(at("model/inner"), { recursive: true });
    file("secret.bin", float32Bytes(1, 2, 3, 4));
    file("model/inner/w.bin", float32Bytes(1, 2, 3, 4));
    file("model/short.bin", "12345");
    symlinkSync(at("secret.bin"), at("model/link.bin"));
    symlinkSync(folder, at("model/out"));
    symlinkSync(at("model/inner/w.bin"), at("model/inside.bin"));
  });

  test.each<[string, string, RegExp]>([
    ["in the folder above", "../secret.bin", /does not lie in the model's folder/],
    ["above by a detour", "inner/../../secret.bin", /does not lie in the model's folder/],
    ["above in the words of another system", "..\\secret.bin", /does not lie in the model's folder/],
    ["at an absolute path", "/etc/passwd", /does not lie in the model's folder/],
    ["behind a link that leaves the folder", "link.bin", /does not lie in the model's folder/],
    ["in a folder behind such a link", "out/secret.bin", /does not lie in the model's folder/],
    ["behind a name with an end in it", "inner/w.bin\0.txt", /does not lie in the model's folder/],
    ["nowhere", "absent.bin", /is missing/],
    ["in a folder instead of a file", "inner", /is missing/],
    ["in a file that is too short", "short.bin", /takes bytes 0 to 16 of a file of 5 bytes/],
    ["without a name", "", /does not lie in the model's folder/],
  ])("%s", async (_, location, pattern) => await refuses(1, pattern, "inspect", file("model/m.onnx", withWeights(location))));

  test("in a folder below, also by a link", async () => {
    for (const location of ["inner/w.bin", "inside.bin"]) {
      const { code, err } = await kinglet("inspect", file("model/m.onnx", withWeights(location)));
      expect(err).toBe("");
      expect(code).toBe(0);
    }
  });
});

describe("inputs that do not fit are refused by name", () => {
  const values = float32Bytes(1, 2, 3, 4);
  test.each<[string, number, RegExp, () => string[]]>([
    ["too many", 2, /1 inputs/, () => [at("in.npy"), at("in.npy")]],
    ["wrong size", 1, /needs 16 bytes; the file has 5/, () => [file("five.bin", "12345")]],
    [
      "wrong dtype",
      1,
      /float32 \[1,4\], and the file holds int8/,
      () => [file("int8.npy", writeNpy({ dtype: "int8", shape: [1, 4], data: Int8Array.of(1, 2, 3, 4) }))],
    ],
    [
      "wrong shape",
      1,
      /float32 \[1,4\], and the file holds float32 \[4,1\]/,
      () => [file("tall.npy", writeNpy({ dtype: "float32", shape: [4, 1], data: Float32Array.of(1, 2, 3, 4) }))],
    ],
    ["Fortran order", 1, /[Ff]ortran/, () => [file("fortran.npy", npyWith("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 4), }", values))]],
    ["objects", 1, /objects\.npy/, () => [file("objects.npy", npyWith("{'descr': '|O', 'fortran_order': False, 'shape': (1, 4), }", values))]],
    [
      "a header that lies",
      1,
      /lies\.npy/,
      () => [file("lies.npy", npyWith("{'descr': '<f4', 'fortran_order': False, 'shape': (536870912, 4), }", values))],
    ],
    ["an empty .npy", 1, /nothing\.npy/, () => [file("nothing.npy", "")]],
    ["a folder", 1, /full/, () => [at("full")]],
    ["an absent file", 1, /no such file/, () => [at("absent.npy")]],
  ])("%s", async (_, code, pattern, inputs) => {
    const paths = inputs();
    await refuses(code, pattern, "run", model, "--input", ...paths, "--out", at("none"));
  });
});

describe("outputs that cannot be written, and words that mean nothing", () => {
  test.each<[string, number, RegExp, () => string[]]>([
    ["a file where the folder goes", 1, /occupied\.txt: this is a file/, () => ["--target", "js", "--out", at("occupied.txt")]],
    ["a file on the way", 1, /a part of the path is a file/, () => ["--target", "js", "--out", at("occupied.txt/deep/er")]],
    ["a folder in use", 1, /Kinglet did not make it/, () => ["--target", "c", "--out", at("full")]],
    ["too little RAM", 1, /needs an arena of \d+ bytes and may use 1\b/, () => ["--target", "c", "--ram", "1", "--out", at("none")]],
    ["RAM in words", 2, /whole number of bytes/, () => ["--target", "c", "--ram", "1kB", "--out", at("none")]],
    ["an unknown board", 2, /board/, () => ["--target", "c", "--board", "abacus", "--out", at("none")]],
    ["an unknown target", 2, /cobol/, () => ["--target", "cobol", "--out", at("none")]],
    ["a name that is no name", 2, /cannot start the names in C/, () => ["--target", "c", "--name", "9 lives", "--out", at("none")]],
  ])("%s", async (_, code, pattern, words) => await refuses(code, pattern, "compile", model, ...words()));

  test("an unknown way to run", async () => {
    await refuses(2, /abacus/, "verify", model, "--via", "js,abacus");
    await refuses(2, /abacus/, "run", model, "--input", at("in.npy"), "--out", at("none"), "--via", "abacus");
    await refuses(1, /Kinglet did not make it|not empty|occupied/, "run", model, "--input", at("in.npy"), "--out", at("occupied.txt"));
  });

  test("a full disk", (context) =>
    onSmallDisk(context, at("disk"), 16, () => {
      const ran = spawnSync(process.execPath, [BIN, "compile", model, "--target", "js", "--out", join(at("disk"), "out")], { encoding: "utf8" });
      expectRefusal({ code: ran.status ?? -1, out: ran.stdout, err: ran.stderr }, 1, /the disk is full; nothing was left behind/);
      expect(readdirSync(at("disk"))).toEqual([]);
    }));
});

/** Whether a folder holds all that its list names, unharmed; the name of the network tells which compile made it. */
function wholeFolder(out: string): string {
  const marker = JSON.parse(readFileSync(join(out, MARKER), "utf8")) as { files: Record<string, string> };
  const names = Object.keys(marker.files);
  for (const name of names)
    expect(
      createHash("sha256")
        .update(readFileSync(join(out, name)))
        .digest("hex"),
      name,
    ).toBe(marker.files[name]);
  return names.find((name) => name.endsWith(".js"))!;
}

describe("two at once, and killed on the way", () => {
  const start = (out: string, id: string, path: string): ChildProcess =>
    spawn(process.execPath, [BIN, "compile", path, "--target", "js", "--out", out, "--name", id], { stdio: "ignore" });
  const ended = (child: ChildProcess): Promise<number | null> => new Promise((resolve) => child.on("close", resolve));

  test("two processes into one folder", async () => {
    const out = at("both/out");
    expect(await Promise.all(["one", "two"].map((id) => ended(start(out, id, model))))).toEqual([0, 0]);
    expect(wholeFolder(out)).toMatch(/^(one|two)\.js$/);
    expect(readdirSync(at("both"))).toEqual(["out"]);
    // The folder is as open to others as any other that this person makes.
    expect(statSync(join(at("both"), "out")).mode).toBe(statSync(at("both")).mode);
  });

  test("a killed compile leaves the old folder, the new one, or none", async () => {
    const big = file("big.tflite", denseModel(400));
    const out = at("killed/out");
    const whole = performance.now();
    expect(await ended(start(out, "old", big))).toBe(0);
    const usualMs = performance.now() - whole;
    const random = new Xorshift32(11);
    for (let i = 0; i < 5; i++) {
      const child = start(out, "new", big);
      const done = ended(child);
      await new Promise((resolve) => setTimeout(resolve, usualMs * (0.6 + 0.2 * (random.float() + 1))));
      child.kill("SIGKILL");
      await done;
      if (existsSync(out)) expect(wholeFolder(out)).toMatch(/^(old|new)\.js$/);
    }
    // What a kill left beside it is in nobody's way.
    expect(await ended(start(out, "last", big))).toBe(0);
    expect(wholeFolder(out)).toBe("last.js");
  });
});
