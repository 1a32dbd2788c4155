import type { Command } from "commander";
import { type Dataset, type DatasetSummary, openDataset, type SampleArray, summarizeDataset } from "../data/index.ts";
import { formatTable, halfBlocks, sparkline } from "../report/index.ts";
import { classLine, DATA_FOLDER, shapeText } from "./data-text.ts";
import { count, plain, plural } from "./format.ts";
import { answer, type CommonOptions, type Io, withProgress } from "./io.ts";

interface ShowOptions extends CommonOptions {
  readonly samples: number;
}

/** Sound is drawn as its loudness; slower signals by their values. */
const SOUND_HZ = 1000;
const LINE = 60;
const PICTURE_COLUMNS = 24;
const MOST_CHANNELS = 6;
const MOST_CLASSES = 40;

const number = (value: number): string => String(Number(value.toPrecision(5)));

function rangeTable(summary: DatasetSummary): string[] {
  if (summary.ranges === null) return [];
  const rows = summary.ranges.map((range, c) => [
    plain(summary.channels?.[c] ?? String(c + 1), 20),
    ...[range.min, range.max, range.mean, range.std].map(number),
  ]);
  const titles = ["min", "max", "mean", "deviation"].map((title) => ({ title, align: "right" as const }));
  return ["", formatTable([{ title: "channel" }, ...titles], rows)];
}

function duplicateText({ duplicates }: DatasetSummary): string[] {
  if (duplicates.samples === 0) return ["  duplicates   none"];
  const { samples, contradicting, acrossParts, examples } = duplicates;
  const notes = [contradicting > 0 ? `${contradicting} with another label` : "", acrossParts > 0 ? `${acrossParts} in training and test` : ""].filter(
    (note) => note !== "",
  );
  const pairs = examples.map(({ firstSource, copySource }) => `    ${plain(copySource, 34)} = ${plain(firstSource, 34)}`);
  return [`  duplicates   ${count(samples)}${notes.length === 0 ? "" : `: ${notes.join(", ")}`}`, ...pairs];
}

function lengthText(summary: DatasetSummary): string {
  const seconds = summary.seconds === null ? "" : `, ${number(summary.seconds)} s each`;
  const padded = summary.padded === 0 ? "" : `; ${count(summary.padded)} filled up with zeros`;
  return `  samples      ${count(summary.samples)} of ${plural(summary.recordings, "recording")}${seconds}${padded}`;
}

function summaryText(folder: string, summary: DatasetSummary): string[] {
  const shown = summary.classes.slice(0, MOST_CLASSES);
  const most = Math.max(...summary.classes.map((each) => each.samples));
  const balance = summary.imbalance === null ? "a class has no samples" : `the largest class has ${number(summary.imbalance)} times the smallest`;
  return [
    folder,
    lengthText(summary),
    `  shape        ${shapeText(summary)}`,
    `  groups       ${summary.groups === 0 ? "none" : count(summary.groups)}`,
    ...(summary.testSamples > 0 ? [`  test part    ${count(summary.testSamples)}`] : []),
    ...(summary.skipped > 0 ? [`  left out     ${plural(summary.skipped, "unreadable file")}`] : []),
    ...duplicateText(summary),
    `  balance      ${balance}`,
    "",
    ...shown.map((each) => classLine(each, summary.samples, most)),
    ...(summary.classes.length > shown.length ? [`  and ${summary.classes.length - shown.length} more classes`] : []),
    ...rangeTable(summary),
  ];
}

/** Loudest value of each stretch, so that short clicks stay visible. */
function loudness(values: Float64Array): number[] {
  const stretches = Math.min(LINE, values.length);
  return Array.from({ length: stretches }, (_, i) => {
    let most = 0;
    for (let k = Math.floor((i * values.length) / stretches); k < Math.floor(((i + 1) * values.length) / stretches); k++)
      most = Math.max(most, Math.abs(values[k]!));
    return most;
  });
}

function signalLines(data: SampleArray, dataset: Dataset): string[] {
  const { shape, rateHz, channels, ranges } = dataset.info;
  const all = shape[1]!;
  const names = Array.from({ length: Math.min(all, MOST_CHANNELS) }, (_, c) => plain(channels?.[c] ?? "", 8));
  const width = Math.max(...names.map((name) => name.length));
  return names.map((name, c) => {
    const values = Float64Array.from({ length: shape[0]! }, (_, t) => data[t * all + c]!);
    const sound = rateHz !== null && rateHz >= SOUND_HZ;
    const points = sound ? loudness(values) : values;
    // All samples share the channel's own range, so that they can be compared; sound fills the line.
    const [low, high] = sound ? [0, Math.max(...points)] : [ranges?.[c]?.min ?? Math.min(...values), ranges?.[c]?.max ?? Math.max(...values)];
    return `  ${name.padEnd(width)}${width > 0 ? " " : ""}${sparkline(points, LINE, low, high)}`;
  });
}

function pictureLines(data: SampleArray, dataset: Dataset, io: Io): string[] {
  const [height, width, channels] = dataset.info.shape as [number, number, number];
  const range = dataset.info.ranges;
  const [low, high] =
    dataset.info.fullScale > 1
      ? [0, dataset.info.fullScale]
      : [Math.min(0, ...(range ?? []).map(({ min }) => min)), Math.max(1e-9, ...(range ?? []).map(({ max }) => max))];
  const scaled = Float32Array.from(data, (value) => (value - low) / (high - low));
  return halfBlocks({ data: scaled, height, width, channels }, PICTURE_COLUMNS, io.colour === true).map((line) => `  ${line}`);
}

/** One sample of each class in turn: the first, and at the next round the following one. */
function chosen(dataset: Dataset, most: number): number[] {
  const byClass = dataset.info.classes.map((): number[] => []);
  dataset.index.labels.forEach((label, i) => {
    if (byClass[label]!.length < most) byClass[label]!.push(i);
  });
  const out: number[] = [];
  for (let round = 0; out.length < most && byClass.some((own) => round < own.length); round++)
    for (const own of byClass) if (round < own.length && out.length < most) out.push(own[round]!);
  return out;
}

async function sampleText(dataset: Dataset, most: number, io: Io): Promise<string[]> {
  const lines: string[] = [];
  for (const position of chosen(dataset, most)) {
    const data = await dataset.read([position]);
    const source = dataset.info.sources[dataset.index.sources[position]!]!.name;
    lines.push("", `${plain(dataset.info.classes[dataset.index.labels[position]!]!, 30)}  (sample ${position}, ${plain(source, 40)})`);
    lines.push(...(dataset.info.shape.length === 3 ? pictureLines(data, dataset, io) : signalLines(data, dataset)));
  }
  return lines;
}

async function runShow(folder: string, options: ShowOptions, io: Io): Promise<void> {
  const dataset = await withProgress(io, `opening ${folder}`, () => openDataset(folder, { cacheBytes: 0 }));
  try {
    const summary = summarizeDataset(dataset);
    const pictures = options.json === true ? [] : await sampleText(dataset, options.samples, io);
    answer(io, options, { folder, ...summary }, () => [...summaryText(folder, summary), ...pictures].join("\n"));
  } finally {
    await dataset.close();
  }
}

export function addDataShow(data: Command, io: Io, counted: (text: string) => number): void {
  data
    .command("show")
    .description("Classes, balance, lengths, duplicates and ranges of a data set, and a picture of some samples.")
    .argument("[dir]", "folder of the data set", DATA_FOLDER)
    .option("--samples <n>", "how many samples to draw", counted, 4)
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", "\nExamples:\n  kinglet data show\n  kinglet data show words/ --samples 10")
    .action((folder: string, options: ShowOptions) => runShow(folder, options, io));
}
