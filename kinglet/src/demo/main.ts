// What `npm start` runs: a real-sized network, compiled and run in every way this machine can, with a report.
import { readFileSync } from "node:fs";
import { KingletError } from "../base/index.ts";
import { type Artefact, makeArtefact } from "../driver/index.ts";
import { type Column, formatTable, renderReport, reportData, wrapText } from "../report/index.ts";
import { keywordSpotter, sampleInput } from "./network.ts";
import { type Files, writeFolder } from "./output.ts";
import { runEveryWay, type Way } from "./ways.ts";

const FOLDER = "kinglet-demo";
/** The board that MLPerf Tiny is measured on; its processor is the emulated one. */
const BOARD = "nucleo-l4r5zi";
const COLUMNS: readonly Column[] = [
  { title: "runs as" },
  { title: "equal to plain" },
  { title: "arena B", align: "right" },
  { title: "tables B", align: "right" },
  { title: "code B", align: "right" },
  { title: "instructions", align: "right" },
];

function figure(value: number | undefined): string {
  return value === undefined ? "–" : value.toLocaleString("en-US");
}

function rowOf({ title, execution, equal }: Way): string[] {
  if (execution === undefined) return [title, "left out", "–", "–", "–", "–"];
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

function prefixed(folder: string, { files }: Artefact): [string, string | Uint8Array][] {
  return [...files].map(([name, contents]) => [`${folder}/${name}`, contents]);
}

function filesOf(firmware: Artefact, web: Artefact, report: string): Files {
  return new Map<string, string | Uint8Array>([["report.html", report], ...prefixed("c", firmware), ...prefixed("web", web)]);
}

function reportOf({ compiled }: Artefact, ways: readonly Way[]): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  const runs = ways.map(({ via, equal, missing, execution }) => ({
    via,
    ...(equal === undefined ? {} : { equal }),
    ...(missing === undefined ? {} : { note: missing }),
    ...(execution === undefined ? {} : { execution }),
  }));
  return renderReport(reportData(compiled, { version, runs }));
}

async function main(): Promise<number> {
  const graph = keywordSpotter();
  const ways = await runEveryWay(
    graph,
    [21, 22].map((seed) => [sampleInput(graph, seed)]),
  );
  const firmware = await makeArtefact(graph, { target: "c", board: BOARD });
  const web = await makeArtefact(graph, { target: "wasm" });

  const { parameters, macs } = firmware.compiled;
  console.log("A keyword spotter in the shape of MLPerf Tiny's:\nDS-CNN, int8, 12 words; seeded weights, not trained.");
  console.log(`${graph.nodes.length} layers, ${figure(parameters)} parameters, ${figure(macs)} multiply-accumulates.\n`);
  console.log(formatTable(COLUMNS, ways.map(rowOf)));
  const left = ways.flatMap(({ title, missing }) => (missing === undefined ? [] : [`${title} was left out: ${missing.replace(/\n */g, ". ")}`]));
  for (const text of left) console.log(`\n${wrapText(text)}`);

  await writeFolder(FOLDER, filesOf(firmware, web, reportOf(firmware, ways)));
  console.log(`\nIn ${FOLDER}/ (each folder has a README.md that tells how to use it):`);
  console.log("  report.html  layers, memory over time, boards it fits; open it in a browser");
  console.log(`  c/           C for the ${firmware.board?.name}: make, CMake, Arduino`);
  console.log("  web/         the WebAssembly module with its weights inside, and its loader");
  return ways.every((way) => way.equal !== false) ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof KingletError ? error.describe() : error);
  process.exitCode = 1;
}
