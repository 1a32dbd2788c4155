import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";
import { describe, expect, test, type TestContext } from "vitest";
import { needBrowser } from "../boards/tool-gate.ts";
import { readModel } from "../formats/index.ts";
import { needShared } from "../formats/test-files.ts";
import { makeArtefact } from "./artefact.ts";

const LIMIT_BYTES = 120 * 1024;
const TYPES: Record<string, string> = { js: "text/javascript", wasm: "application/wasm" };

async function keywordFiles(context: TestContext): Promise<ReadonlyMap<string, string | Uint8Array>> {
  const model = new Uint8Array(readFileSync(needShared(context, "golden/kws/model.tflite")));
  return (await makeArtefact(readModel(model, "kws"), { target: "wasm", id: "kws" })).files;
}

async function serve(files: ReadonlyMap<string, string | Uint8Array>): Promise<Server> {
  const server = createServer((request, response) => {
    const name = request.url!.slice(1);
    const content = name === "" ? "<!doctype html><title>page</title>" : files.get(name);
    response.writeHead(content === undefined ? 404 : 200, { "content-type": TYPES[name.split(".").pop()!] ?? "text/html" });
    response.end(content);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

// As text: the test runner would rewrite the import of a function.
const page = (inputs: number[][]): string => `(async () => {
  let started = 0;
  const instantiate = WebAssembly.instantiate;
  WebAssembly.instantiate = (...args) => { started++; return instantiate(...args); };
  const { load } = await import("/kws.js");
  const model = await load();
  const outputs = ${JSON.stringify(inputs)}.map((input) => Array.from(model.run(Int8Array.from(input))[0]));
  return { started, outputs };
})()`;

describe("the keyword spotter on the web", () => {
  test("is under 120 KB with weights and loader, gzipped", async (context) => {
    const files = await keywordFiles(context);
    const gzipped = [files.get("kws.wasm")!, files.get("kws.js")!].reduce((sum, file) => sum + gzipSync(file, { level: 9 }).length, 0);
    expect(gzipped).toBeLessThan(LIMIT_BYTES);
  });

  test("starts with one instantiate in a browser and gives the stored outputs", async (context) => {
    const executablePath = needBrowser(context);
    const files = await keywordFiles(context);
    const stored = (kind: string): number[][] =>
      [1, 2, 3, 4].map((k) => [...new Int8Array(readFileSync(needShared(context, `golden/kws/${kind}${k}.bin`)))]);
    const server = await serve(files);
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    try {
      const tab = await browser.newPage();
      await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      expect(await tab.evaluate(page(stored("in")))).toEqual({ started: 1, outputs: stored("out") });
    } finally {
      await browser.close();
      server.close();
    }
  });
});
