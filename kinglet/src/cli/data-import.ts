import { type Command, InvalidArgumentError, Option } from "commander";
import { KingletError } from "../base/index.ts";
import {
  ACCELERATION_UNITS,
  type AccelerationUnit,
  type ImportOptions,
  type ImportProgress,
  type ImportResult,
  importData,
  LABEL_RULES,
  type PictureSize,
  summarizeDataset,
  openDataset,
  type UnitCount,
} from "../data/index.ts";
import { classLine, DATA_FOLDER, shapeText } from "./data-text.ts";
import { plain, plural, wrapText } from "./format.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";

interface CliImportOptions extends CommonOptions {
  readonly out: string;
  readonly label?: string;
  readonly group?: string;
  readonly classes?: string[];
  readonly window?: number;
  readonly hop?: number;
  readonly dropShort?: boolean;
  readonly recording?: string;
  readonly columns?: string[];
  readonly only?: string;
  readonly size?: PictureSize;
  readonly grey?: boolean;
  readonly unit?: AccelerationUnit;
  readonly test?: string[];
  readonly skipUnreadable?: boolean;
}

const MOST_STEPS = 2 ** 26;
const MOST_SIDE = 4096;

function steps(text: string): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) < 1 || Number(text) > MOST_STEPS)
    throw new InvalidArgumentError("Give a whole number of steps, from 1.");
  return Number(text);
}

function pictureSize(text: string): PictureSize {
  const [height, width] = (/^(\d{1,4})x(\d{1,4})$/.exec(text) ?? []).slice(1).map(Number);
  if (height === undefined || width === undefined || Math.min(height, width) < 1 || Math.max(height, width) > MOST_SIDE)
    throw new InvalidArgumentError("Give height and width as in 96x96.");
  return { height, width };
}

const list = (text: string): string[] => text.split(",").map((piece) => piece.trim());

function libraryOptions(options: CliImportOptions, onProgress: (progress: ImportProgress) => void): ImportOptions {
  const { window, hop, dropShort, json: _json, out: _out, ...rest } = options;
  if (window === undefined && (hop !== undefined || dropShort === true))
    throw new KingletError("misuse", `${hop === undefined ? "--drop-short" : "--hop"} says how windows are cut, and there is no --window`);
  const windows =
    window === undefined ? {} : { window: { length: window, hop: hop ?? window, short: dropShort === true ? ("drop" as const) : ("pad" as const) } };
  return { ...rest, ...windows, onProgress };
}

const PATIENCE_MS = 1000;

/** Says once a second on stderr how far the import is, from the first second on. */
function progressLines(io: Io): (progress: ImportProgress) => void {
  let last = Date.now();
  return ({ stage, done, all }) => {
    if (Date.now() - last < PATIENCE_MS) return;
    last = Date.now();
    io.err(`${stage} ${stage === "reading" ? plural(all, "file") : plural(all, "recording")}: ${Math.floor((100 * done) / all)} % …\n`);
  };
}

function resultText(result: ImportResult, summary: ReturnType<typeof summarizeDataset>, unit: AccelerationUnit | undefined): string {
  const { info } = result;
  const about = [
    `${plural(info.samples, "sample")} ${shapeText(info)}, ${plural(info.classes.length, "class", "classes")}, from ${plural(info.sources.length, "file")}`,
    ...summary.classes.slice(0, 20).map((each) => classLine(each, info.samples, Math.max(...summary.classes.map(({ samples }) => samples)))),
    ...(summary.classes.length > 20 ? [`  and ${summary.classes.length - 20} more classes`] : []),
  ];
  if (info.groups.length > 0) about.push(`  ${plural(info.groups.length, "group")}: ${plain(info.groups.slice(0, 8).join(", "), 60)}`);
  if (info.padded > 0) about.push(`  ${plural(info.padded, "sample")} shorter than the window, filled up with zeros`);
  const others = result.units.filter((each) => each.unit !== unit);
  if (unit !== undefined && others.length > 0) about.push(`  converted to ${unit}:`, ...unitLines(others).map((line) => `  ${line}`));
  if (result.ignored > 0) about.push(`  ${plural(result.ignored, "file")} passed over`);
  if (info.skipped.length > 0) {
    about.push(`  ${plural(info.skipped.length, "file")} could not be read and ${info.skipped.length === 1 ? "was" : "were"} left out:`);
    about.push(...info.skipped.slice(0, 10).map(({ place, reason }) => `    ${wrapText(plain(`${place}: ${reason}`, 300), "      ", 76)}`));
  }
  return [...about, "", result.unchanged ? `${result.folder} held this data set already` : `Written to ${result.folder}`].join("\n");
}

const MOST_NAMED = 5;

/** Files by their unit of acceleration. */
function unitLines(units: readonly UnitCount[]): string[] {
  return [...new Set(units.map(({ unit }) => unit))].map((unit) => {
    const own = units.filter((each) => each.unit === unit);
    const recordings = own.reduce((sum, each) => sum + each.recordings, 0);
    const named = own.slice(0, MOST_NAMED).map(({ file }) => plain(file, 60));
    const more = own.length > MOST_NAMED ? `, and ${own.length - MOST_NAMED} more files` : "";
    return `  ${unit.padEnd(5)} ${plural(recordings, "recording")} of ${named.join(", ")}${more}`;
  });
}

/** Units that differ teach a network which file a sample comes from, not what it is. */
function warnOfUnits(units: readonly UnitCount[], wanted: AccelerationUnit | undefined, io: Io): void {
  if (wanted !== undefined || new Set(units.map(({ unit }) => unit)).size < 2) return;
  io.err(
    [
      "warning: by its length at rest, acceleration has several units, and a network would learn them instead of the motion",
      ...unitLines(units),
      "  --unit g converts them\n",
    ].join("\n"),
  );
}

async function runImport(paths: readonly string[], options: CliImportOptions, io: Io): Promise<void> {
  const result = await importData(paths, options.out, libraryOptions(options, progressLines(io)));
  const dataset = await openDataset(result.folder);
  const summary = summarizeDataset(dataset);
  await dataset.close();
  warnOfUnits(result.units, options.unit, io);
  const { duplicates: _duplicates, ...facts } = summary;
  const { folder, unchanged, ignored, units, info } = result;
  const json = { folder, unchanged, ignored, units, ...facts, skipped: info.skipped };
  answer(io, options, json, () => resultText(result, summary, options.unit));
}

export function addDataImport(data: Command, io: Io): void {
  data
    .command("import")
    .description("Reads recordings and pictures into one data set. Files and options that are the same give the same bytes.")
    .argument("<path...>", "files, folders and zips: wav, csv, png, jpg, idx, npy, npz, CIFAR .bin, Edge Impulse .json and .cbor")
    .option("--out <dir>", "folder of the data set", DATA_FOLDER)
    .option("--label <rule>", `where the label is: ${LABEL_RULES} (default: what the file says, else folder, else prefix)`)
    .option("--group <rule>", "where the speaker or person is, written likewise")
    .option("--classes <a,b,…>", "names of the classes, for labels that are their positions", list)
    .option("--test <path...>", "files and folders whose samples are the test part")
    .option("--window <steps>", "cut signals into windows of this length", steps)
    .option("--hop <steps>", "from one window to the next (default: the window's length)", steps)
    .option("--drop-short", "leave out recordings shorter than the window instead of filling them up with zeros")
    .option("--recording <column>", "of tables: a new value in this column begins a new recording")
    .option("--columns <a,b,…>", "of tables: the columns with the values", list)
    .option("--only <text>", "only files, or arrays inside them, whose path has this text; * is any text")
    .option("--size <HxW>", "resize pictures", pictureSize)
    .option("--grey", "make pictures grey")
    .addOption(new Option("--unit <unit>", "of motion: convert acceleration that files have in another unit").choices(ACCELERATION_UNITS))
    .option("--skip-unreadable", "leave out files that cannot be read, and list them")
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      "\nExamples:\n  kinglet data import recordings/ --window 16000\n  kinglet data import digits.zip --group part:2\n  kinglet data import watch.csv --label column:activity --group column:person --window 400 --hop 100",
    )
    .action((paths: string[], options: CliImportOptions) => runImport(paths, options, io));
}
