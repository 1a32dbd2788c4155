// What `npm start` runs: trains on real digits, prunes, distils, quantizes, compiles, and runs the result in every way this machine can.
import { readFileSync } from "node:fs";
import { KingletError } from "../base/index.ts";
import { type Artefact, makeArtefact } from "../driver/index.ts";
import { writeKinglet } from "../formats/index.ts";
import { type Column, formatTable, renderReport, reportData, wrapText } from "../report/index.ts";
import type { EpochReport } from "../train/index.ts";
import { type Learned, learnDigits, type Stage } from "./learn.ts";
import { type Files, writeFolder } from "./output.ts";
import { runEveryWay, type Way } from "./ways.ts";

const FOLDER = "kinglet-demo";
/** The board that MLPerf Tiny is measured on; its processor is the emulated one. */
const BOARD = "nucleo-l4r5zi";
const WAY_COLUMNS: readonly Column[] = [
  { title: "runs as" },
  { title: "equal to plain" },
  { title: "arena B", align: "right" },
  { title: "tables B", align: "right" },
  { title: "code B", align: "right" },
  { title: "instructions", align: "right" },
];
const STAGE_COLUMNS: readonly Column[] = [
  { title: "the network" },
  { title: "right", align: "right" },
  { title: "parameters", align: "right" },
  { title: "MACs", align: "right" },
  { title: "tables B", align: "right" },
  { title: "arena B", align: "right" },
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

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

function epochLine({ epoch, loss, accuracy, seconds, samples }: EpochReport): string {
  const bar = "█".repeat(Math.round(30 * Math.min(1, loss / 2.3)));
  return `  epoch ${String(epoch + 1).padStart(2)}  loss ${loss.toFixed(4)}  right ${percent(accuracy).padStart(8)}  ${figure(Math.round(samples / seconds)).padStart(6)} pictures/s  ${bar}`;
}

function stageRow({ title, accuracy, compiled }: Stage): string[] {
  const { parameters, macs, weightBytes, plan } = compiled;
  return [title, percent(accuracy), ...[parameters, macs, weightBytes, plan.arenaBytes].map(figure)];
}

function printLearned({ stages, testSamples, trainSeconds }: Learned): void {
  console.log(`\nTrained in ${trainSeconds.toFixed(1)} s. On ${figure(testSamples)} digits that no network has seen, and in C for a Cortex-M4:\n`);
  console.log(formatTable(STAGE_COLUMNS, stages.map(stageRow)));
}

async function main(): Promise<number> {
  const learned = await learnDigits({
    onStep: (text) => console.log(`\n${text}\n`),
    onEpoch: (report) => console.log(epochLine(report)),
  });
  printLearned(learned);
  const graph = learned.quantized;
  const ways = await runEveryWay(graph, learned.samples);
  const firmware = await makeArtefact(graph, { target: "c", board: BOARD });
  const web = await makeArtefact(graph, { target: "wasm" });

  console.log(`\nThe last one, ${learned.samples.length} test digits each way:\n`);
  console.log(formatTable(WAY_COLUMNS, ways.map(rowOf)));
  const left = ways.flatMap(({ title, missing }) => (missing === undefined ? [] : [`${title} was left out: ${missing.replace(/\n */g, ". ")}`]));
  for (const text of left) console.log(`\n${wrapText(text)}`);

  await writeFolder(FOLDER, new Map([...filesOf(firmware, web, reportOf(firmware, ways)), ["digits.kinglet", writeKinglet(graph)]]));
  console.log(`\nIn ${FOLDER}/ (each folder has a README.md that tells how to use it):`);
  console.log("  report.html     layers, memory over time, boards it fits; open it in a browser");
  console.log("  digits.kinglet  the quantized network: inspect, run, compile and verify take it");
  console.log(`  c/              C for the ${firmware.board?.name}: make, CMake, Arduino`);
  console.log("  web/            the WebAssembly module with its weights inside, and its loader");
  return ways.every((way) => way.equal !== false) ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof KingletError ? error.describe() : error);
  process.exitCode = 1;
}
