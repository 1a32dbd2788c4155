import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, type TestContext } from "vitest";
import { type DType, fromBytes } from "../base/index.ts";
import { coreById, findProgram, runOnCore, runProcess, type ToolId, writeSources } from "../boards/index.ts";
import { coreTools, needTools } from "../boards/tool-gate.ts";
import { keywordSpotter, sampleInput } from "../demo/network-testing.ts";
import { readModel } from "../formats/index.ts";
import { needShared } from "../formats/test-files.ts";
import type { Graph } from "../graph/index.ts";
import { boardHarness, printCLibrary } from "../targets/c/index.ts";
import { instancesProgram } from "./c-program-testing.ts";
import { type Compiled, compileGraph } from "./compile.ts";
import { execute } from "./execute.ts";

const MODELS = [
  "hello_world",
  "hello_world_float",
  "simple_add_model",
  "simple_add_model_tflite_size",
  "keyword_scrambled",
  "trained_lstm_int8",
  "micro_speech",
  "ad01",
  "mlperf_ad01_fp32",
  "strww",
  "kws",
  "person_detect",
  "vww96",
  "mlperf_vww_96_float",
  "resnet8",
  "mlperf_pretrainedResnet",
  "mcunet_vww",
  "mcunetv2_large",
];
const STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic"];
const ID = "net";
/** Multiply-accumulates that one test may spend on its sequences; small networks take twenty steps. */
const BUDGET_MACS = 150e6;
const LIMIT_MS = 60_000;

interface Port {
  readonly dtype: DType;
  readonly file: string;
}

interface Case {
  readonly folder: string;
  readonly compiled: Compiled;
  /** Two samples, end to end. */
  readonly stdin: Uint8Array;
  /** Outputs of both samples, by sample and output. */
  readonly want: readonly (readonly Uint8Array[])[];
  readonly dtypes: readonly DType[];
}

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "kinglet-c-quality-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function prepare(graph: Graph, name: string, samples: readonly (readonly Uint8Array[])[], want: Case["want"]): Promise<Case> {
  const compiled = compileGraph(graph, { target: "c" });
  const folder = join(root, name);
  const dsp = compileGraph(graph, { target: "c-dsp" });
  await writeSources(
    join(folder, "dsp"),
    Object.fromEntries([...printCLibrary(dsp.program, dsp.plan, ID)].filter(([file]) => file !== `${ID}_weights.c`)),
  );
  await writeSources(folder, {
    ...Object.fromEntries(printCLibrary(compiled.program, compiled.plan, ID)),
    "main.cpp": instancesProgram(compiled, ID),
  });
  return { folder, compiled, stdin: Buffer.concat(samples.flat()), want, dtypes: compiled.program.outputs.map(({ dtype }) => dtype) };
}

async function goldenCase(context: TestContext, model: string): Promise<Case> {
  const folder = needShared(context, join("golden", model));
  const golden = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8")) as Readonly<Record<"inputs" | "outputs", Port[]>>;
  const tensors = (ports: readonly Port[]): Uint8Array[][] =>
    [1, 2].map((k) => ports.map(({ file }) => new Uint8Array(readFileSync(join(folder, file.replace("%d", String(k)))))));
  return await prepare(
    readModel(new Uint8Array(readFileSync(join(folder, "model.tflite"))), model),
    model,
    tensors(golden.inputs),
    tensors(golden.outputs),
  );
}

async function demoCase(): Promise<Case> {
  const graph = keywordSpotter();
  const samples = [1, 2].map((seed) => [sampleInput(graph, seed)]);
  return await prepare(graph, "demo", samples, (await execute(graph, "plain", samples)).outputs);
}

async function tool(folder: string, name: string, args: readonly string[]): Promise<string> {
  const done = await runProcess({ command: findProgram(name) ?? name, args, cwd: folder, timeoutMs: LIMIT_MS });
  expect(done.exitCode, `${name} ${args.join(" ")}\n${done.stderr.slice(0, 3000)}`).toBe(0);
  return done.stderr;
}

function compareOutputs({ want, dtypes }: Case, stdout: string): void {
  stdout
    .trim()
    .split("\n")
    .forEach((line, k) => {
      const got = Buffer.from(line, "hex");
      let at = 0;
      dtypes.forEach((dtype, i) => {
        const expected = want[k]![i]!;
        const bytes = got.subarray(at, (at += expected.length));
        if (dtype !== "float32") return expect(bytes.equals(expected), `sample ${k + 1}, output ${i}`).toBe(true);
        const [a, b] = [fromBytes("float32", new Uint8Array(bytes)) as Float32Array, fromBytes("float32", expected) as Float32Array];
        const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
        a.forEach((value, j) => expect(Math.abs(value - b[j]!) / largest).toBeLessThanOrEqual(1e-5));
      });
    });
}

async function runProgram(made: Case, program: string, args: readonly string[]): Promise<void> {
  const ran = await runProcess({ command: join(made.folder, program), args, cwd: made.folder, stdin: made.stdin, timeoutMs: LIMIT_MS });
  expect(ran.stderr).toBe("");
  expect(ran.exitCode).toBe(0);
  compareOutputs(made, ran.stdout);
}

/** The tables are the same text for every compiler, and long: each host compiler reads them once, gcc in its build. */
async function checkWarnings({ folder }: Case): Promise<void> {
  const dsp = [...coreById("cortex-m4").gccFlags];
  const runs: readonly (readonly [string, readonly string[]])[] = [
    ["clang", ["-fsyntax-only", `${ID}.c`, `${ID}_weights.c`]],
    ["arm-none-eabi-gcc", [...dsp, "-O2", "-c", `${ID}.c`, "-o", "m4.o"]],
    ["arm-none-eabi-gcc", [...dsp, "-O2", "-c", `dsp/${ID}.c`, "-o", "dsp.o"]],
    ["arm-none-eabi-gcc", [...coreById("cortex-m0").gccFlags, "-O2", "-c", `${ID}.c`, "-o", "m0.o"]],
    ["riscv64-unknown-elf-gcc", [...coreById("rv32").gccFlags, coreById("rv32").specs, "-O2", "-c", `${ID}.c`, "-o", "rv32.o"]],
  ];
  await Promise.all(
    [0, 1].map(async (half) => {
      for (const [name, args] of runs.filter((_, i) => i % 2 === half))
        expect(await tool(folder, name, [...STRICT, ...args]), `${name} ${args.join(" ")}`).toBe("");
    }),
  );
}

const SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

async function checkInstances(made: Case): Promise<void> {
  const { folder, compiled } = made;
  const warnings = [
    await tool(folder, "gcc", [...STRICT, "-O2", "-c", `${ID}.c`, "-o", "plain.o"]),
    // One object for both programs: the sanitizer sees a read past the end of a table only where it laid the tables out.
    await tool(folder, "gcc", [...STRICT, "-fsanitize=address", "-c", `${ID}_weights.c`, "-o", "tables.o"]),
    await tool(folder, "g++", ["-std=c++11", "-Wall", "-Wextra", "-pedantic", "-O1", "-c", "main.cpp", "-o", "main.o"]),
    await tool(folder, "gcc", [...STRICT, "-O1", ...SANITIZE, "-c", `${ID}.c`, "-o", "checked.o"]),
  ];
  expect(warnings.join("")).toBe("");
  await tool(folder, "g++", ["-fsanitize=address", "plain.o", "tables.o", "main.o", "-o", "plain", "-lpthread", "-lm"]);
  await tool(folder, "g++", [...SANITIZE, "checked.o", "tables.o", "main.o", "-o", "checked", "-lpthread", "-lm"]);
  const steps = Math.max(2, Math.min(20, Math.floor(BUDGET_MACS / Math.max(1, compiled.macs))));
  await runProgram(made, "checked", ["1", "once"]);
  await runProgram(made, "plain", [String(steps)]);
}

const TOOLS: readonly ToolId[] = ["cc", "clang", "arm-none-eabi-gcc", "riscv64-unknown-elf-gcc"];

function gate(context: TestContext): void {
  needTools(context, ...TOOLS);
  if (findProgram("g++") !== null && findProgram("gcc") !== null) return;
  if (process.env["CI"]) throw new Error("needs gcc and g++; in CI nothing may be missing");
  context.skip("needs gcc and g++, which this machine does not have");
}

async function check(made: Case): Promise<void> {
  await checkWarnings(made);
  await checkInstances(made);
  rmSync(made.folder, { recursive: true, force: true });
}

describe("the C library is warning-free, clean under sanitizers, and its instances are apart", () => {
  for (const model of MODELS)
    test(model, async (context) => {
      gate(context);
      await check(await goldenCase(context, model));
    });
  test("the demo's network", async (context) => {
    gate(context);
    await check(await demoCase());
  });
});

describe("an arena that is too small does not compile", () => {
  test.for([
    ["gcc", "-std=c99", /arena_is_large_enough/],
    ["gcc", "-std=c11", /the arena is too small/],
    ["clang", "-std=c99", /arena_is_large_enough/],
    ["g++", "-std=c++11", /the arena is too small/],
  ] as const)("%s %s", async ([name, standard, message], context) => {
    gate(context);
    const { folder, compiled } = await demoCase();
    const compile = (capacity: number) =>
      runProcess({
        command: findProgram(name)!,
        cwd: folder,
        timeoutMs: LIMIT_MS,
        args: [
          standard,
          "-Wall",
          "-Wextra",
          "-pedantic",
          "-fsyntax-only",
          `-DNET_ARENA_CAPACITY=${capacity}`,
          ...(name === "g++" ? ["-x", "c++"] : ["-x", "c"]),
          `${ID}.h`,
        ],
      });
    const [small, enough] = [await compile(compiled.plan.arenaBytes - 1), await compile(compiled.plan.arenaBytes)];
    expect(small.exitCode).not.toBe(0);
    expect(small.stderr).toMatch(message);
    expect(enough.stderr.replace(/.*#pragma once in main file.*/g, "").trim()).toBe("");
    expect(enough.exitCode).toBe(0);
  });
});

/** Compilers for GNU C contract products and sums unless told otherwise; the library tells them. */
describe("a float network keeps its bits where the compiler may contract", () => {
  test.for(["hello_world_float", "mlperf_ad01_fp32"])("%s on cortex-m4", async (model, context) => {
    const core = coreById("cortex-m4");
    needTools(context, ...coreTools(core));
    const folder = needShared(context, join("golden", model));
    const graph = readModel(new Uint8Array(readFileSync(join(folder, "model.tflite"))), ID);
    const samples = [1, 2].map((k) => [new Uint8Array(readFileSync(join(folder, `in${k}.bin`)))]);
    // The portable library: the one for cores with a fused multiply-add asks for it by name.
    const usual = await execute(graph, "c", samples);
    const { program, plan } = usual.compiled;
    const library = printCLibrary(program, plan, ID);
    const sources = {
      ...Object.fromEntries(library),
      "main.c": boardHarness(program, plan, ID, { samples: 2, bigArena: false }),
      "samples.bin": Buffer.concat(samples.flat()),
    };
    const run = await runOnCore({ core: "cortex-m4", sources, flags: ["-std=gnu17", "-ffp-contract=fast"] });
    expect(run.warnings).toBe("");
    expect(
      run.output
        .trim()
        .split("\n")
        .map((line) => line.split(" ")[1]),
    ).toEqual(usual.outputs.map((outputs) => Buffer.concat(outputs).toString("hex")));
    // The pragma is what does it: without it the same flags do contract.
    const work = join(root, `${model}-contract`);
    await writeSources(work, { ...Object.fromEntries(library), "bare.c": (library.get(`${ID}.c`) as string).replace(/^#pragma.*$/gm, "") });
    const assembly = async (unit: string): Promise<string> => {
      await tool(work, "arm-none-eabi-gcc", [...core.gccFlags, "-O2", "-std=gnu17", "-S", unit, "-o", "unit.s"]);
      return readFileSync(join(work, "unit.s"), "utf8");
    };
    expect(await assembly(`${ID}.c`)).not.toMatch(/\bvfn?m[as]/);
    expect(await assembly("bare.c")).toMatch(/\bvfn?m[as]/);
  });
});
