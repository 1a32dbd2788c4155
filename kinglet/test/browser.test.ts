import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { build } from "vite";
import { expect, test } from "vitest";
import { needBrowser } from "../src/boards/tool-gate.ts";
import { type Trained, trainHere } from "./browser-page.ts";

/** What pages load, and what a page's worker does. */
const DOORS = ["browser.ts", "federated/browser.ts", "federated/client/page-worker.ts"];
const PAGE = fileURLToPath(new URL("./browser-page.ts", import.meta.url));

/** Modules that a file loads when it is loaded, with what it takes from outside the package. */
function loaded(file: string, known = new Map<string, string[]>()): Map<string, string[]> {
  if (known.has(file)) return known;
  const text = readFileSync(file, "utf8");
  const statements = [...text.matchAll(/^(?:import|export)\s+(?:\{[^}]*\}|\*)\s+from\s+"([^"$]+)";/gm)].map((match) => match[1]!);
  known.set(
    file,
    statements.filter((name) => !name.startsWith(".")),
  );
  for (const name of statements) if (name.startsWith(".")) loaded(resolve(dirname(file), name), known);
  return known;
}

test.each(DOORS)("a page may load %s: nothing of Node comes with it", (door) => {
  const files = loaded(fileURLToPath(new URL(`../src/${door}`, import.meta.url)));
  expect(files.size).toBeGreaterThan(100);
  expect([...files].filter(([, outside]) => outside.some((name) => name.startsWith("node:")))).toEqual([]);
});

async function bundled(): Promise<string> {
  const made = await build({
    configFile: false,
    logLevel: "error",
    build: { write: false, minify: false, target: "es2022", lib: { entry: PAGE, formats: ["es"], fileName: "page" } },
  });
  const [first] = Array.isArray(made) ? made : [made];
  if (first === undefined || !("output" in first)) throw new Error("vite wrote nothing");
  return first.output[0].code;
}

/** Pages share memory between threads only where nobody else can look in. */
const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

async function serve(script: string): Promise<Server> {
  const server = createServer((request, response) => {
    const headers = request.url?.startsWith("/plain") === true ? {} : ISOLATED;
    const isScript = request.url === "/page.js";
    response.writeHead(200, { ...headers, "content-type": isScript ? "text/javascript" : "text/html" });
    response.end(isScript ? script : "<!doctype html><title>page</title>");
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

// As text: the test runner would rewrite the import of a function.
const inPage = (threads: number): string => `import("/page.js").then(({ trainHere }) => trainHere(${threads}))`;

/** The same in a worker of the page, which may sleep while it waits. */
const inWorker = (threads: number): string => `new Promise((done, fail) => {
  const script = 'import(location.origin.replace("blob:", "") + "/page.js").then(({ trainHere }) => trainHere(${threads})).then(postMessage, (error) => postMessage(String(error)))';
  const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  worker.onmessage = ({ data }) => (typeof data === "string" ? fail(new Error(data)) : done(data));
  worker.onerror = ({ message }) => fail(new Error(message));
})`;

test("training gives the same bits in Node and in a page, on one thread and on two", async (context) => {
  const executablePath = needBrowser(context);
  const here = await trainHere(1);
  expect(here.weights.length).toBeGreaterThan(1000);
  expect(await trainHere(2)).toEqual({ ...here, threads: 2 });
  const server = await serve(await bundled());
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const tab = await browser.newPage();
    const told = async (path: string, script: string): Promise<Trained> => {
      await tab.goto(`${address}${path}`);
      return (await tab.evaluate(script)) as Trained;
    };
    expect(await told("/", inPage(1))).toEqual(here);
    expect(await told("/", inPage(2))).toEqual({ ...here, threads: 2 });
    expect(await told("/", inWorker(2))).toEqual({ ...here, threads: 2 });
    // A page that is not isolated cannot share memory.
    expect(await told("/plain", inPage(2))).toEqual(here);
  } finally {
    await browser.close();
    server.close();
  }
}, 600_000);
