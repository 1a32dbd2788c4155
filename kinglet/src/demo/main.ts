// What `npm start` runs: a real-sized network, compiled and run in every way this machine can, with a report.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { KingletError } from "../base/index.ts";
import { type Compiled, compileGraph, targetForCore } from "../driver/index.ts";
import { type Column, formatTable, renderReport, reportData } from "../report/index.ts";
import { libraryId, printCLibrary } from "../targets/c/index.ts";
import { packageWasm } from "../targets/wasm/index.ts";
import { keywordSpotter, sampleInput } from "./network.ts";
import { type Files, writeFolder } from "./output.ts";
import { runEveryWay, type Way } from "./ways.ts";

const FOLDER = "kinglet-demo";
const COLUMNS: readonly Column[] = [
  { title: "runs as" },
  { title: "equals the plain loops" },
  { title: "arena bytes", align: "right" },
  { title: "weight bytes", align: "right" },
  { title: "code bytes", align: "right" },
  { title: "instructions", align: "right" },
];

function figure(value: number | undefined): string {
  return value === undefined ? "–" : value.toLocaleString("en-US");
}

function rowOf({ title, execution, equal }: Way): string[] {
  if (execution === undefined) return [title, "left out (see below)", "–", "–", "–", "–"];
  const { compiled, core } = execution;
  return [
    title,
    equal === true ? "bit for bit" : "NO",
    figure(compiled.plan.arenaBytes),
    figure(core?.weightBytes ?? compiled.weightBytes),
    figure(core?.codeBytes),
    figure(core?.instructions),
  ];
}

function prefixed(folder: string, files: Files): [string, string | Uint8Array][] {
  return [...files].map(([name, contents]) => [`${folder}/${name}`, contents]);
}

function filesOf(firmware: Compiled, web: Compiled, report: string): Files {
  const id = libraryId(firmware.graph.name);
  return new Map<string, string | Uint8Array>([
    ["report.html", report],
    ...prefixed("c", printCLibrary(firmware.program, firmware.plan, id)),
    ...prefixed("web", packageWasm(web.program, web.plan, id)),
  ]);
}

function reportOf(firmware: Compiled, ways: readonly Way[]): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  const runs = ways.map(({ via, equal, missing, execution }) => ({
    via,
    ...(equal === undefined ? {} : { equal }),
    ...(missing === undefined ? {} : { note: missing }),
    ...(execution === undefined ? {} : { execution }),
  }));
  return renderReport(reportData(firmware, { version, runs }));
}

async function main(): Promise<number> {
  const graph = await keywordSpotter();
  const ways = await runEveryWay(
    graph,
    [21, 22].map((seed) => [sampleInput(graph, seed)]),
  );
  const firmware = ways.find((way) => way.via === "cortex-m4")?.execution?.compiled ?? compileGraph(graph, { target: targetForCore("cortex-m4") });
  const web = compileGraph(graph, { target: "wasm" });

  console.log("A keyword spotter in the shape of MLPerf Tiny's (DS-CNN, int8, 12 words; seeded weights, not trained):");
  console.log(`${graph.nodes.length} layers, ${figure(firmware.parameters)} parameters, ${figure(firmware.macs)} multiply-accumulates.\n`);
  console.log(formatTable(COLUMNS, ways.map(rowOf)));
  const left = ways.flatMap(({ title, missing }) => (missing === undefined ? [] : [`${title} was left out: ${missing}`]));
  if (left.length > 0) console.log(`\n${left.join("\n")}`);

  await writeFolder(FOLDER, filesOf(firmware, web, reportOf(firmware, ways)));
  console.log(`\nIn ${resolve(FOLDER)}:`);
  console.log("  report.html   the network, its memory over time, the boards it fits; open it in a browser");
  console.log("  c/            the C library for Arm Cortex-M4 and above");
  console.log("  web/          the WebAssembly module with its weights inside, and its loader");
  return ways.every((way) => way.equal !== false) ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof KingletError ? error.describe() : error);
  process.exitCode = 1;
}
