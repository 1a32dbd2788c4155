import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { needBrowser } from "../../boards/tool-gate.ts";
import { KingletError } from "../../base/index.ts";
import { KernelBuilder } from "../../loops/index.ts";
import type { Program } from "../../loops/index.ts";
import { plainPlacement } from "../../loops/wasm-testing.ts";
import { createWasmRunner, packageWasm } from "./index.ts";

interface LoadedTensor {
  name: string;
  dtype: string;
  shape: number[];
  scale?: number;
  zeroPoint?: number;
  data: Int8Array | Float32Array;
}
interface Model {
  inputs: LoadedTensor[];
  outputs: LoadedTensor[];
  run(...arrays: unknown[]): (Int8Array | Float32Array)[];
  reset(): void;
}
type Load = (source?: unknown) => Promise<Model>;

/** sum[i] += x[i]; y[i] = sum[i] * gain[0] + weights[i]. */
function accumulator(): Program {
  const k = new KernelBuilder(["i8", "f32", "i32"], ["f32"]);
  const [x, gain, sum] = [k.input(0, "x"), k.input(1, "gain"), k.input(2, "sum", true)];
  const [weights, y] = [k.constant("weights", "f32", Float32Array.of(0.5, 1.5, -2.5, 3)), k.output(0, "y")];
  k.for("i", 0, 4, (i) => {
    sum.store(i, sum.load(i).add(x.load(i)));
    y.store(i, sum.load(i).to("f32").mul(gain.load(0)).add(weights.load(i)));
  });
  const { func } = k.finish("accumulate", "Adds up.");
  return {
    name: "accumulator",
    functions: [func],
    constants: [{ name: "weights", type: "f32", data: Float32Array.of(0.5, 1.5, -2.5, 3) }],
    buffers: [
      { name: "x", type: "i8", length: 4 },
      { name: "gain", type: "f32", length: 1 },
      { name: "sum", type: "i32", length: 4, initial: { kind: "fill", value: 10 } },
      { name: "y", type: "f32", length: 4 },
    ],
    steps: [
      {
        name: "s",
        op: "test",
        func: "accumulate",
        args: [
          { kind: "buffer", index: 0 },
          { kind: "buffer", index: 1 },
          { kind: "buffer", index: 2 },
          { kind: "constant", index: 0 },
          { kind: "buffer", index: 3 },
        ],
      },
    ],
    inputs: [
      { name: "x:0", dtype: "int8", shape: [1, 4], quantization: { scale: 0.25, zeroPoint: -3 }, buffer: 0 },
      { name: "gain", dtype: "float32", shape: [], buffer: 1 },
    ],
    outputs: [{ name: "y", dtype: "float32", shape: [1, 4], buffer: 3 }],
  };
}

function files(): Map<string, Uint8Array | string> {
  const program = accumulator();
  return packageWasm(program, plainPlacement(program), "small");
}

let folder: string;
let load: Load;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinglet wasm "));
  for (const [name, content] of files()) await writeFile(join(folder, name), content);
  await writeFile(join(folder, "package.json"), '{"type":"module"}');
  ({ load } = (await import(pathToFileURL(join(folder, "small.js")).href)) as { load: Load });
});
afterAll(() => rm(folder, { recursive: true }));

const X = Int8Array.of(1, -2, 3, 127);
const FIRST = [5.5 + 0.5, 4 + 1.5, 6.5 - 2.5, 68.5 + 3];

describe("the WebAssembly package in Node", () => {
  it("loads from beside itself, describes its tensors and runs", async () => {
    const model = await load();
    expect(model.inputs.map(({ data, ...told }) => [told, data.constructor.name, data.length])).toEqual([
      [{ name: "x:0", dtype: "int8", shape: [1, 4], scale: 0.25, zeroPoint: -3 }, "Int8Array", 4],
      [{ name: "gain", dtype: "float32", shape: [] }, "Float32Array", 1],
    ]);
    const [y] = model.run(X, Float32Array.of(0.5));
    expect([...y!]).toEqual(FIRST);
    expect(y).toBe(model.outputs[0]!.data);
  });

  it("takes inputs through views, keeps state, and resets it", async () => {
    const model = await load();
    model.inputs[0]!.data.set(X);
    model.inputs[1]!.data[0] = 0.5;
    expect([...model.run()[0]!]).toEqual(FIRST);
    expect(model.run()[0]![0]).toBe(6 + 0.5);
    model.reset();
    expect([...model.run()[0]!]).toEqual(FIRST);
  });

  it("takes a URL, bytes, a compiled module or a response", async () => {
    const bytes = await readFile(join(folder, "small.wasm"));
    const url = pathToFileURL(join(folder, "small.wasm"));
    const exact = Uint8Array.from(bytes);
    const response = new Response(exact, { headers: { "content-type": "application/wasm" } });
    for (const source of [url, bytes, exact.buffer, new WebAssembly.Module(exact), response]) {
      expect([...(await load(source)).run(X, Float32Array.of(0.5))[0]!]).toEqual(FIRST);
    }
    await expect(load(new Response("", { status: 404 }))).rejects.toThrow("HTTP status 404");
    await expect(load("small.wasm")).rejects.toThrow(TypeError);
  });

  it("gives independent instances", async () => {
    const [one, two] = [await load(), await load()];
    one.run(X, Float32Array.of(1));
    expect([...two.inputs[0]!.data]).toEqual([0, 0, 0, 0]);
    expect([...two.run(X, Float32Array.of(0.5))[0]!]).toEqual(FIRST);
  });

  it("refuses arrays that do not fit, by name, and changes nothing", async () => {
    const model = await load();
    const gain = Float32Array.of(1);
    expect(() => model.run(new Uint8Array(4), gain)).toThrow(new TypeError('input "x:0" must be of type Int8Array, with 4 elements'));
    expect(() => model.run([1, 2, 3, 4], gain)).toThrow(TypeError);
    expect(() => model.run(X, new Float32Array(2))).toThrow(new RangeError('input "gain" takes 1 elements, not 2'));
    expect(() => model.run(X)).toThrow(new TypeError('run() takes no arrays or all of "x:0", "gain"; it got 1'));
    expect([...model.inputs[0]!.data]).toEqual([0, 0, 0, 0]);
  });

  it("has types for this model and a text for people", () => {
    const all = files();
    expect([...all.keys()]).toEqual(["small.wasm", "small.js", "small.d.ts", "README.md"]);
    const types = all.get("small.d.ts") as string;
    expect(types).toContain(
      'readonly name: "x:0"; readonly dtype: "int8"; readonly shape: readonly [1, 4]; readonly scale: number; readonly zeroPoint: number; readonly data: Int8Array',
    );
    expect(types).toContain("run(x_0Data0: Int8Array, gainData1: Float32Array): [Float32Array];");
    expect(all.get("README.md")).toContain("model.run(new Int8Array(4), new Float32Array(1))");
    expect(all.get("small.js")).not.toMatch(/\beval\b|new Function/);
  });

  it("has declarations that a strict compiler accepts and that catch mistakes", async () => {
    const using = (body: string): string =>
      `import { load, type Model } from "./small.js";\nconst model: Model = await load();\n${body}\nexport {};\n`;
    await writeFile(
      join(folder, "good.ts"),
      using(
        "const [y]: [Float32Array] = model.run(new Int8Array(4), new Float32Array(1));\nconst shape: readonly [1, 4] = model.inputs[0].shape;\nmodel.run()[0].fill(model.inputs[0].scale + y[0]! + shape[1]);",
      ),
    );
    await writeFile(join(folder, "bad.ts"), using("model.run(new Uint8Array(4), new Float32Array(1));\nmodel.inputs[2];"));
    const check = (file: string): string => {
      const tsc = fileURLToPath(new URL("../../../../node_modules/typescript/bin/tsc", import.meta.url));
      const options = [
        "--ignoreConfig",
        "--noEmit",
        "--strict",
        "--noUncheckedIndexedAccess",
        "--module",
        "nodenext",
        "--target",
        "es2023",
        "--lib",
        "es2023,dom",
        "--types",
        "",
      ];
      return spawnSync(process.execPath, [tsc, ...options, join(folder, file)], { encoding: "utf8", cwd: folder }).stdout;
    };
    expect(check("good.ts")).toBe("");
    const complaints = check("bad.ts");
    expect(complaints).toContain("bad.ts(3,");
    expect(complaints).toContain("bad.ts(4,");
  }, 60000);

  it("refuses names that cannot be files", () => {
    const program = accumulator();
    expect(() => packageWasm(program, plainPlacement(program), "../x")).toThrow(KingletError);
  });
});

describe("the runner for this process", () => {
  it("runs whole programs and single steps", () => {
    const program = accumulator();
    const runner = createWasmRunner(program, plainPlacement(program));
    runner.setInput(0, new Uint8Array(X.buffer));
    runner.setInput(1, new Uint8Array(Float32Array.of(0.5).buffer));
    const floats = (bytes: Uint8Array): number[] => [...new Float32Array(bytes.slice().buffer)];
    runner.run();
    expect(floats(runner.output(0))).toEqual(FIRST);
    expect([...new Int32Array(runner.buffer(2).slice().buffer)]).toEqual([11, 8, 13, 137]);
    runner.runSteps(0, 1);
    expect(floats(runner.output(0))[0]).toBe(6.5);
    runner.reset();
    runner.run();
    expect(floats(runner.output(0))).toEqual(FIRST);
    expect(() => runner.setInput(0, new Uint8Array(3))).toThrow("Input x:0 takes 4 bytes, not 3.");
  });
});

const TYPES: Record<string, string> = { js: "text/javascript", wasm: "application/wasm", html: "text/html" };

/** Serves the package's folder and an empty page. */
async function serve(): Promise<Server> {
  const server = createServer(async (request, response) => {
    const name = new URL(request.url!, "http://localhost").pathname.slice(1) || "index.html";
    const content = name === "index.html" ? "<!doctype html><title>page</title>" : await readFile(join(folder, name)).catch(() => null);
    response.writeHead(content === null ? 404 : 200, { "content-type": TYPES[name.split(".").pop()!] ?? "text/plain" });
    response.end(content ?? "");
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

// As text: the test runner would rewrite the import of a function.
const PAGE_SCRIPT = `(async () => {
  const { load } = await import("/small.js");
  const inputs = [Int8Array.of(1, -2, 3, 127), Float32Array.of(0.5)];
  const first = Array.from((await load()).run(...inputs)[0]);
  const fetched = Array.from((await load(await fetch("small.wasm"))).run(...inputs)[0]);
  const missing = await load(new URL("nothing.wasm", location.href)).catch((error) => error.message);
  return { first, fetched, missing };
})()`;

describe("the WebAssembly package in a browser", () => {
  it("loads by the same file and gives the same numbers", async (context) => {
    const executablePath = needBrowser(context);
    const server = await serve();
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    try {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      const answer = (await page.evaluate(PAGE_SCRIPT)) as { first: number[]; fetched: number[]; missing: string };
      expect(answer.first).toEqual(FIRST);
      expect(answer.fetched).toEqual(FIRST);
      expect(answer.missing).toContain("HTTP status 404");
    } finally {
      await browser.close();
      server.close();
    }
  }, 60000);
});
