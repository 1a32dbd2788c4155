import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";
import { findTool } from "../../kinglet/src/boards/index.ts";
import { macsOf, makeArtefact } from "../../kinglet/src/driver/index.ts";
import { ceilingOf } from "./ceilings.ts";
import type { JsSubject } from "./subjects.ts";

export type BrowserEngine = "kinglet" | "tfjs-tflite" | "litert";

export interface BrowserMeasured {
  readonly model: string;
  readonly engines: Readonly<Partial<Record<BrowserEngine, { readonly p10Ms: number; readonly medianMs: number; readonly difference: number }>>>;
  readonly failures: Readonly<Record<string, string>>;
  /** Faster peer divided by Kinglet, by the tenth percentile of wall-clock time. */
  readonly ratio: number | null;
  readonly gmacs: number;
  /** Of the inner step on baseline SIMD, and on relaxed SIMD (dot products of bytes, fused multiply-adds). */
  readonly ceilingGmacs: number;
  readonly relaxedGmacs: number;
}

interface Timed {
  readonly p10Ms: number;
  readonly medianMs: number;
  readonly first: readonly number[];
}

const TYPES: Readonly<Record<string, string>> = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const PAGE = `<!doctype html><title>bench</title><script type="importmap">
{ "imports": { "@litertjs/wasm-utils": "/peers/@litertjs/wasm-utils/dist/index.js" } }</script><body></body>`;

/** LiteRT.js runs int8 networks but refuses their inputs: its table of element types lacks one row. */
function withInt8(text: string): string {
  return text.replace("Object.freeze([", 'Object.freeze([{ dtype: "int8", typedArrayConstructor: Int8Array, elementType: ElementType.INT8 },');
}

function contentOf(path: string, files: ReadonlyMap<string, string | Uint8Array>, peers: string): string | Uint8Array | undefined {
  if (path === "/") return PAGE;
  if (!path.startsWith("/peers/")) return files.get(path.slice(1));
  const file = join(peers, "node_modules", normalize(path.slice("/peers/".length)));
  const bytes = readFileSync(file);
  return path.endsWith("core/dist/index.js") ? withInt8(bytes.toString()) : bytes;
}

/** The page's origin is isolated, which gives it a fine clock. */
async function serve(files: ReadonlyMap<string, string | Uint8Array>, peers: string): Promise<Server> {
  const server = createServer((request, response) => {
    const path = request.url!;
    const content = contentOf(path, files, peers);
    response.writeHead(content === undefined ? 404 : 200, {
      "content-type": TYPES[extname(path)] ?? (path === "/" ? "text/html" : "application/octet-stream"),
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
    response.end(content);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

const largest = (a: readonly number[], b: readonly number[]): number => a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);

/** Times one subject in a fresh headless Chromium page, or says that there is no Chromium. */
export async function measureBrowser(subject: JsSubject, peers: string): Promise<BrowserMeasured | null> {
  const executablePath = process.env["CHROMIUM"] ?? findTool("chromium");
  if (executablePath === null) return null;
  const baseline = await ceilingOf(subject.precision);
  const relaxed = await ceilingOf(`${subject.precision}-relaxed`);
  const { files } = await makeArtefact(subject.graph, { target: "wasm", id: "network" });
  const page = readFileSync(new URL("./page.mjs", import.meta.url));
  const server = await serve(
    new Map([...files, ["model.tflite", subject.tflite], ["baseline.wasm", baseline.module], ["relaxed.wasm", relaxed.module], ["page.mjs", page]]),
    peers,
  );
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const tab = await browser.newPage();
    await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const { model, precision, graph, input } = subject;
    const job = { precision, shape: graph.inputs[0]!.shape, input: Array.from(input, Number), rounds: 60, budgetMs: 6000 };
    const told = (await tab.evaluate(`import("/page.mjs").then(({ measure }) => measure(${JSON.stringify(job)}))`)) as {
      engines: Record<BrowserEngine | "baseline" | "relaxed", Timed | undefined>;
      failures: Record<string, string>;
    };
    const { baseline: step, relaxed: relaxedStep, ...engines } = told.engines;
    const own = engines.kinglet!;
    const named = Object.entries(engines) as [BrowserEngine, Timed][];
    const peerTimes = named.filter(([name]) => name !== "kinglet").map(([, { p10Ms }]) => p10Ms);
    return {
      model,
      engines: Object.fromEntries(
        named.map(([name, { p10Ms, medianMs, first }]) => [name, { p10Ms, medianMs, difference: largest(own.first, first) }]),
      ),
      failures: told.failures,
      ratio: peerTimes.length === 0 ? null : Math.min(...peerTimes) / own.p10Ms,
      gmacs: macsOf(graph) / own.p10Ms / 1e6,
      ceilingGmacs: baseline.macs / step!.p10Ms / 1e6,
      relaxedGmacs: relaxed.macs / relaxedStep!.p10Ms / 1e6,
    };
  } finally {
    await browser.close();
    server.close();
  }
}
