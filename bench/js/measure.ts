import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { bytesOf, type TypedArray } from "../../kinglet/src/base/index.ts";
import { macsOf, makeArtefact } from "../../kinglet/src/driver/index.ts";
import { writeOnnx } from "../../kinglet/src/formats/index.ts";
import { ceilingRunner } from "./ceilings.ts";
import { ENGINES, type EngineName, type Session } from "./engines.mjs";
import { type InterleaveOptions, interleave, type Timing } from "./interleave.ts";
import { measureStarts, type Start } from "./start.ts";
import type { JsSubject } from "./subjects.ts";

export interface EngineResult extends Timing {
  /** Largest difference of an output from Kinglet's: steps of int8, or real numbers. */
  readonly difference: number;
  readonly start?: Start;
}

export interface JsMeasured {
  readonly model: string;
  readonly precision: "int8" | "float32";
  readonly macs: number;
  readonly engines: Readonly<Partial<Record<EngineName, EngineResult>>>;
  /** What did not load or run, and why. */
  readonly failures: Readonly<Partial<Record<EngineName, string>>>;
  /** Fastest WebAssembly peer divided by Kinglet, by the low percentile of processor time. */
  readonly ratio: number | null;
  readonly fastestPeer: EngineName | null;
  /** Multiply-accumulates a second, in units of 10⁹: Kinglet's, and the inner step's alone, measured in the same rounds. */
  readonly gmacs: number;
  readonly ceilingGmacs: number;
  readonly gzipBytes: number;
  readonly weightGzipBytes: number;
}

export interface JsOptions extends InterleaveOptions {
  readonly engines: readonly EngineName[];
  /** Folder whose node_modules holds the peers. */
  readonly peers: string;
  /** Fresh processes for each engine; 0 leaves starts out. */
  readonly starts: number;
}

interface Files {
  readonly paths: Readonly<Record<"js" | "tflite" | "onnx", string>>;
  readonly gzipBytes: number;
  readonly weightGzipBytes: number;
}

const zipped = (content: string | Uint8Array): number => gzipSync(content, { level: 9 }).length;

/** The subject in every engine's form, as files in a folder. */
async function writeForms(folder: string, { graph, tflite }: JsSubject): Promise<Files> {
  const { files, compiled } = await makeArtefact(graph, { target: "wasm", id: "network" });
  await mkdir(folder, { recursive: true });
  const paths = { js: join(folder, "network.js"), tflite: join(folder, "model.tflite"), onnx: join(folder, "model.onnx") };
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await writeFile(paths.js, files.get("network.js")!);
  await writeFile(join(folder, "network.wasm"), files.get("network.wasm")!);
  await writeFile(paths.tflite, tflite);
  await writeFile(paths.onnx, writeOnnx(graph));
  const tables = Buffer.concat(compiled.program.constants.map(({ data }) => bytesOf(data)));
  return {
    paths,
    gzipBytes: zipped(files.get("network.js")!) + zipped(files.get("network.wasm")!),
    weightGzipBytes: zipped(tables),
  };
}

function largestDifference(a: TypedArray, b: TypedArray): number {
  let most = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(Number(a[i]) - Number(b[i])));
  return most;
}

interface Opened {
  readonly name: EngineName;
  readonly session: Session;
  readonly difference: number;
}

async function openAll(
  files: Files,
  { input }: JsSubject,
  { engines, peers }: JsOptions,
): Promise<{ opened: Opened[]; failures: Partial<Record<EngineName, string>> }> {
  const opened: Opened[] = [];
  const failures: Partial<Record<EngineName, string>> = {};
  let first: TypedArray | null = null;
  for (const name of engines) {
    try {
      const { format, open } = ENGINES[name];
      const session = await open(peers, files.paths[format]);
      const result = (await session.run(input)).slice() as TypedArray;
      first ??= result;
      opened.push({ name, session, difference: largestDifference(first, result) });
    } catch (error) {
      failures[name] = String(error).split("\n")[0]!;
    }
  }
  return { opened, failures };
}

async function startsOf(folder: string, files: Files, opened: readonly Opened[], subject: JsSubject, { peers, starts }: JsOptions): Promise<Start[]> {
  if (starts === 0) return [];
  const inputFile = join(folder, "input.bin");
  await writeFile(inputFile, bytesOf(subject.input));
  return await measureStarts(
    opened.map(({ name }) => ({
      engine: name,
      peers,
      model: files.paths[ENGINES[name].format],
      inputType: subject.precision,
      inputFile,
    })),
    starts,
  );
}

/** Times one subject on every engine, with the ceiling of its arithmetic in the same rounds. */
export async function measureJs(subject: JsSubject, options: JsOptions): Promise<JsMeasured> {
  const folder = await mkdtemp(join(tmpdir(), "kinglet-bench-"));
  try {
    const files = await writeForms(folder, subject);
    const { opened, failures } = await openAll(files, subject, options);
    const ceiling = await ceilingRunner(subject.precision);
    const contestants = opened.map(({ name, session }) => ({ name, run: () => session.run(subject.input) }));
    const timings = await interleave([...contestants, { name: "ceiling", run: ceiling.run }], options);
    const starts = await startsOf(folder, files, opened, subject, options);
    const engines = Object.fromEntries(
      opened.map(({ name, difference }, i) => [
        name,
        { ...timings.get(name)!, difference, ...(starts[i] === undefined ? {} : { start: starts[i] }) },
      ]),
    ) as JsMeasured["engines"];
    const macs = macsOf(subject.graph);
    const own = engines.kinglet!.cpuP10Ms;
    const peers = opened.map(({ name }) => name).filter((name) => name !== "kinglet" && !ENGINES[name].native);
    const fastestPeer = peers.toSorted((a, b) => engines[a]!.cpuP10Ms - engines[b]!.cpuP10Ms)[0] ?? null;
    const { model, precision } = subject;
    return {
      model,
      precision,
      macs,
      engines,
      failures,
      fastestPeer,
      ratio: fastestPeer === null ? null : engines[fastestPeer]!.cpuP10Ms / own,
      gmacs: macs / own / 1e6,
      ceilingGmacs: ceiling.macs / timings.get("ceiling")!.cpuP10Ms / 1e6,
      gzipBytes: files.gzipBytes,
      weightGzipBytes: files.weightGzipBytes,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
