import type { Command } from "commander";
import { parseVia, type Via } from "../driver/index.ts";
import { type Verification, type ViaResult, verifyGraph } from "../driver/index.ts";
import { formatTable } from "../report/index.ts";
import { readCases } from "./cases.ts";
import { count, plain, plural, wrapText } from "./format.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import type { Outcome } from "./main.ts";
import { loadModel, type ShapeOptions, shapeOption } from "./model.ts";

interface VerifyCliOptions extends CommonOptions, ShapeOptions {
  readonly via: string;
  readonly cases?: string;
  readonly layers?: boolean;
}

function optional(value: number | undefined): string {
  return value === undefined ? "" : count(value);
}

function verdict(result: ViaResult): string {
  return result.equal === null ? "skipped" : result.equal ? "equal" : "DIFFERENT";
}

function notes(result: ViaResult): string[] {
  const lines: string[] = [];
  if (result.skipped !== undefined) lines.push(`${result.via} was skipped: ${result.skipped}`);
  if (result.difference !== undefined) lines.push(`${result.via}: ${result.difference}`);
  if (result.firstNode !== undefined)
    lines.push(`${result.via}: the first node that differs is "${result.firstNode.name}" (${result.firstNode.op}): ${result.firstNode.difference}`);
  // A compiler says what it has to say in several lines.
  return lines.flatMap((line) => line.split("\n")).map((line) => wrapText(plain(line, 400)));
}

function verifyText(path: string, found: Verification): string {
  const onCores = found.results.some((each) => each.instructions !== undefined);
  const rows = found.results.map((each) => [
    each.via,
    verdict(each),
    ...(onCores ? [optional(each.instructions), optional(each.stackBytes), optional(each.flashBytes), optional(each.ramBytes)] : []),
  ]);
  const right = (title: string) => ({ title, align: "right" as const });
  const table = formatTable(
    [{ title: "Via" }, { title: "Result" }, ...(onCores ? [right("Instructions"), right("Stack B"), right("Flash B"), right("RAM B")] : [])],
    rows,
  );
  const cases = found.cases === 0 ? "" : ` and ${plural(found.cases, "stored case")}`;
  const values = found.results.find((each) => each.valuesCompared !== undefined)?.valuesCompared;
  const layers = values === undefined ? "" : `, and ${plural(values, "value")} layer by layer`;
  const more = found.results.flatMap(notes);
  return [
    plain(path),
    wrapText(`against the plain loops: ${plural(found.samples, "seeded sample")}${cases}${layers}`),
    "",
    table,
    ...(more.length === 0 ? [] : ["", ...more]),
  ].join("\n");
}

function parseVias(text: string): Via[] {
  return [...new Set(text.split(",").map((part) => parseVia(part.trim())))];
}

async function verify(path: string, options: VerifyCliOptions, io: Io, outcome: Outcome): Promise<void> {
  const vias = parseVias(options.via);
  const { graph } = await loadModel(path, options);
  const cases = options.cases === undefined ? [] : await readCases(options.cases, graph);
  const start = Date.now();
  const found = await verifyGraph(graph, {
    vias,
    cases,
    layers: options.layers === true,
    // What comes first is quick; once a second has passed, each next way says that it starts.
    onStart: (via) => {
      if (Date.now() - start > 1000 || via.startsWith("cortex") || via === "rv32") io.err(`verifying ${via} …\n`);
    },
  });
  if (!found.ok) outcome.exitCode = 1;
  const { ok, samples, results } = found;
  answer(io, options, { model: path, ok, samples, cases: found.cases, vias: results }, () => verifyText(path, found));
}

export function addVerify(program: Command, io: Io, outcome: Outcome): void {
  program
    .command("verify")
    .description("Proves that every back end and emulated core computes what the plain loops say.")
    .argument("<model>", "a .tflite, .onnx or .kinglet file")
    .option("--via <a,b,...>", "js, wasm, wasm-scalar, c, plain, cortex-m0, m3, m4, m7, m33,\nm55, rv32", "js,wasm,c,cortex-m4")
    .option("--cases <dir>", "also compare with stored cases: in1.bin, out1.bin, …\n(in1_0.bin … for several tensors), or in0.npy, out0.npy")
    .option("--layers", "compare every layer and name the first that differs")
    .addOption(shapeOption())
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      "\nIntegers must be equal bit for bit, floats to 1e-5 of max(1, |x|). A way whose\ntools are missing is skipped; exit 1 if anything differs or nothing could run.\n\nExamples:\n  kinglet verify model.tflite --via js,wasm,c,cortex-m4\n  kinglet verify model.tflite --via m4 --layers --cases golden/",
    )
    .action((path: string, options: VerifyCliOptions) => verify(path, options, io, outcome));
}
