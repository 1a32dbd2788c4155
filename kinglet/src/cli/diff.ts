import { type Command, InvalidArgumentError } from "commander";
import { diffGraphs, type GraphDiff, type Place, seededSample, type ValuePair } from "../driver/index.ts";
import { formatTable } from "../report/index.ts";
import { count, plain, plural, wrapText } from "./format.ts";
import { readInputs } from "./inputs.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";
import type { Outcome } from "./main.ts";
import { loadModel } from "./model.ts";

interface DiffCliOptions extends CommonOptions {
  readonly input?: readonly string[];
  readonly tolerance?: number;
}

function share(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && Number.isFinite(value))) throw new InvalidArgumentError("Give a number of at least 0, as 0.01.");
  return value;
}

function shareText(value: number): string {
  if (value === 0) return "equal";
  return Number.isFinite(value) ? `${Number((value * 100).toPrecision(2))} %` : "all of it";
}

function rowOf(pair: ValuePair): string[] {
  const types = pair.a.dtype === pair.b.dtype ? pair.a.dtype : `${pair.a.dtype}, ${pair.b.dtype}`;
  const ops = pair.a.op === pair.b.op ? pair.a.op : `${pair.a.op}, ${pair.b.op}`;
  const difference = pair.largestDifference === 0 ? "0" : pair.largestDifference.toPrecision(3);
  return [pair.a.value, ops, `[${pair.shape.join(",")}]`, types, pair.pairedBy, difference, shareText(pair.share), pair.parts ? "PARTS" : ""];
}

function aloneText(which: string, places: readonly Place[]): string[] {
  if (places.length === 0) return [];
  return [wrapText(plain(`only in ${which}: ${places.map(({ value, op }) => `${value} (${op})`).join(", ")}`, 600))];
}

function firstText({ first, pairs }: GraphDiff): string {
  if (first === null) return `Nothing parts in ${plural(pairs.length, "value")}.`;
  const { a, b, largestDifference, elements, equalElements } = first;
  const others = a.node === b.node ? "" : ` and "${b.node}" (${b.op})`;
  const unequal = `${count(elements - equalElements)} of ${plural(elements, "element")} differ, by up to ${largestDifference.toPrecision(3)}`;
  return wrapText(plain(`They part at "${a.node}" (${a.op})${others}: ${unequal}.`, 400));
}

function diffText(a: string, b: string, found: GraphDiff): string {
  const right = (title: string) => ({ title, align: "right" as const });
  const columns = [
    { title: "Value", most: 32 },
    { title: "Operator", most: 28 },
    { title: "Shape", most: 18 },
    { title: "Type" },
    { title: "Paired by" },
    right("Largest difference"),
    right("Share"),
    { title: "" },
  ];
  return [
    `${plain(a)} and ${plain(b)}, value by value, on one sample`,
    "",
    formatTable(columns, found.pairs.map(rowOf)),
    "",
    firstText(found),
    ...aloneText(a, found.alone.a),
    ...aloneText(b, found.alone.b),
  ].join("\n");
}

/** JSON has no infinities: where nothing is there to be a share of. */
function finite(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? null : value;
}

async function diff(a: string, b: string, options: DiffCliOptions, io: Io, outcome: Outcome): Promise<void> {
  const [left, right] = [await loadModel(a), await loadModel(b)];
  const sample = options.input === undefined ? seededSample(left.graph, 1) : await readInputs(left.graph, options.input);
  const found = diffGraphs(left.graph, right.graph, sample, options.tolerance === undefined ? {} : { tolerance: options.tolerance });
  if (found.first !== null) outcome.exitCode = 1;
  const json: unknown = JSON.parse(JSON.stringify({ a, b, equal: found.first === null, ...found }, finite));
  answer(io, options, json, () => diffText(a, b, found));
}

export function addDiff(program: Command, io: Io, outcome: Outcome): void {
  program
    .command("diff")
    .description("Runs two models on the same input and shows, node by node, where they part.")
    .argument("<a>", "a .tflite or .kinglet file")
    .argument("<b>", "another, with the same inputs; they may be quantized otherwise")
    .option("--input <file...>", "a .npy or raw little-endian .bin file for every input,\nas the first model takes it (default: a seeded sample)")
    .option(
      "--tolerance <share>",
      "values part beyond this share of their largest\nmagnitude (default: integers at any difference, floats\nat 1e-5, where one is quantized otherwise at 0.1)",
      share,
    )
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      "\nValues are paired by name, the rest by shape in the order of both graphs.\nExit 1 where they part.\n\nExamples:\n  kinglet diff a.tflite b.tflite --input in0.npy\n  kinglet diff float.tflite int8.tflite --tolerance 0.2",
    )
    .action((a: string, b: string, options: DiffCliOptions) => diff(a, b, options, io, outcome));
}
