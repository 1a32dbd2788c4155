import { createHash } from "node:crypto";
import { readFile, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { KingletError } from "../base/index.ts";
import { classesOf, sortNames } from "./classes.ts";
import { checkReplaceable, replaceFolder } from "./folder.ts";
import { commonLayout, samplesOf } from "./layout.ts";
import { type DatasetInfo, MANIFEST_FILE, type SourceInfo } from "./manifest.ts";
import { type NameRule, nameFromPath, parseNameRule, partOfPath, RULES, usualRule } from "./naming.ts";
import { type PictureSize, resizePicture, toGrey } from "./pictures.ts";
import { type ReadOptions, readRecordings, type Recording } from "./readers/index.ts";
import { type Kept, Scratch } from "./scratch.ts";
import { listSources, matches, type SourceFile } from "./sources.ts";
import { type AccelerationUnit, type UnitCount, unitCounts, unitFactors } from "./units.ts";
import type { WindowOptions } from "./windows.ts";
import { writeDataset } from "./write.ts";

/** Where an import stands. */
export interface ImportProgress {
  readonly stage: "reading" | "writing";
  /** Files read, or recordings written. */
  readonly done: number;
  readonly all: number;
}

export interface ImportOptions {
  /** Where the label comes from: folder, prefix, part:N, column:NAME, file or none; found by itself when absent. */
  readonly label?: string;
  /** Where the group (speaker, person) comes from, written likewise; none when absent. */
  readonly group?: string;
  /** Names of the classes in order, for labels that are positions in this list. */
  readonly classes?: readonly string[];
  /** Windows cut from signals; whole recordings when absent. */
  readonly window?: WindowOptions;
  /** Of tables: the column that tells recordings apart, and the columns with values. */
  readonly recording?: string;
  readonly columns?: readonly string[];
  /** Only files (or arrays inside them) whose path contains this text; "*" stands for any text. */
  readonly only?: string;
  /** Of pictures. */
  readonly size?: PictureSize;
  readonly grey?: boolean;
  /** Of motion: acceleration of all recordings becomes this, whatever unit each is found to have. */
  readonly unit?: AccelerationUnit;
  /** Files and folders whose samples are the test part. */
  readonly test?: readonly string[];
  /** Leave out files that cannot be read, and list them in the manifest. */
  readonly skipUnreadable?: boolean;
  readonly onProgress?: (progress: ImportProgress) => void;
}

export interface ImportResult {
  readonly folder: string;
  readonly info: DatasetInfo;
  /** The folder held the same data set already and was left alone. */
  readonly unchanged: boolean;
  /** Files passed over because of their names. */
  readonly ignored: number;
  /** Units of acceleration that the files were found to have; empty where they do not look like acceleration. */
  readonly units: readonly UnitCount[];
}

interface Rules {
  readonly label: NameRule;
  readonly labelIsChosen: boolean;
  readonly group: NameRule;
}

/** The choices as text: they are part of what a data set is. */
function optionTexts(options: ImportOptions): Record<string, string> {
  const { label, group, classes, window, recording, columns, only, size, grey, unit } = options;
  const texts = {
    label,
    group,
    classes: classes?.join(","),
    window: window && `${window.length} hop ${window.hop}${window.short === "drop" ? ", shorter ones dropped" : ""}`,
    recording,
    columns: columns?.join(","),
    only,
    size: size && `${size.height}x${size.width}`,
    grey: grey ? "yes" : undefined,
    unit,
  };
  return Object.fromEntries(Object.entries(texts).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function rulesOf(options: ImportOptions, files: readonly SourceFile[]): Rules {
  const label = options.label === undefined ? usualRule(files.map((file) => file.name)) : parseNameRule(options.label);
  return { label, labelIsChosen: options.label !== undefined, group: options.group === undefined ? { from: "none" } : parseNameRule(options.group) };
}

function readOptions(options: ImportOptions, rules: Rules): ReadOptions {
  const column = (rule: NameRule, key: string): Record<string, string> => (rule.from === "column" ? { [key]: rule.column } : {});
  const csv = {
    ...column(rules.label, "label"),
    ...column(rules.group, "group"),
    ...(options.recording === undefined ? {} : { recording: options.recording }),
    ...(options.columns === undefined ? {} : { columns: options.columns }),
  };
  return { csv, steps: options.window !== undefined };
}

function labelOf(recording: Recording, path: string, rules: Rules): string {
  const { label: rule } = rules;
  if (rule.from === "none") return "all";
  const stated = rule.from === "file" || rule.from === "column" || !rules.labelIsChosen ? recording.label : undefined;
  const label = (stated ?? nameFromPath(rule, path))?.trim();
  if (label === undefined || label === "")
    throw new KingletError("bad-input", "no label was found", { place: path, hint: `Say with --label where it is: ${RULES}.` });
  return label;
}

function groupOf(recording: Recording, path: string, rule: NameRule): string | undefined {
  if (rule.from === "none") return undefined;
  const group = rule.from === "column" || rule.from === "file" ? recording.group : nameFromPath(rule, path);
  if (group === undefined)
    throw new KingletError("bad-input", "no group was found", { place: path, hint: `Say with --group where it is: ${RULES}.` });
  return group;
}

/** Changes of pictures that every one gets by itself. */
function prepared(recording: Recording, options: ImportOptions): Recording {
  if (recording.shape.length !== 3) return recording;
  let { data, shape } = recording;
  if (options.grey === true && shape[2] === 3) [data, shape] = [toGrey(data), [shape[0]!, shape[1]!, 1]];
  const { size } = options;
  if (size !== undefined) [data, shape] = [resizePicture(data, shape, size), [size.height, size.width, shape[2]!]];
  return { ...recording, data, shape };
}

async function addFile(file: SourceFile, source: number, bytes: Uint8Array, scratch: Scratch, options: ImportOptions, rules: Rules): Promise<void> {
  const recordings = await readRecordings({ bytes, place: file.name, sibling: file.sibling }, readOptions(options, rules));
  const [before, only] = [scratch.kept.length, options.only];
  try {
    for (const recording of recordings) {
      const path = recording.origin === undefined ? file.name : `${file.name.replace(/\.npz$/i, "")}/${recording.origin}`;
      if (only !== undefined && !matches(only, path)) continue;
      const part = file.part ?? partOfPath(file.name) ?? recording.part;
      await scratch.add(prepared(recording, options), {
        label: labelOf(recording, path, rules),
        group: groupOf(recording, path, rules.group),
        part,
        source,
        place: path,
      });
    }
  } catch (error) {
    // A file counts whole or not at all.
    scratch.kept.length = before;
    throw error;
  }
}

interface ReadAll {
  readonly sources: Omit<SourceInfo, "samples">[];
  readonly skipped: { place: string; reason: string }[];
}

const isRefusal = (error: unknown): error is KingletError =>
  error instanceof KingletError && (error.code === "bad-input" || error.code === "unsupported");

/** What the file system may refuse for one file, in words. */
const NOT_READ: Readonly<Record<string, string>> = {
  EACCES: "reading it is not permitted",
  EPERM: "reading it is not permitted",
  EIO: "the disk cannot read it",
  ENOENT: "it is gone",
};

async function bytesOfFile(file: SourceFile): Promise<Uint8Array> {
  try {
    return await file.read();
  } catch (error) {
    const reason = NOT_READ[(error as NodeJS.ErrnoException).code ?? ""];
    throw reason === undefined ? error : new KingletError("bad-input", reason, { place: file.name });
  }
}

async function readAll(files: readonly SourceFile[], scratch: Scratch, options: ImportOptions, rules: Rules): Promise<ReadAll> {
  const [sources, skipped]: [ReadAll["sources"], ReadAll["skipped"]] = [[], []];
  let firstHint: string | undefined;
  for (const [i, file] of files.entries()) {
    try {
      const bytes = await bytesOfFile(file);
      await addFile(file, sources.length, bytes, scratch, options, rules);
      sources.push({ name: file.name, bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      firstHint ??= error.hint;
      skipped.push({ place: error.place ?? file.name, reason: error.message });
    }
    options.onProgress?.({ stage: "reading", done: i + 1, all: files.length });
  }
  if (skipped.length > 0 && options.skipUnreadable !== true) refuseUnreadable(skipped, files.length, firstHint);
  return { sources, skipped };
}

const MOST_LISTED = 20;

/** All files that cannot be read, in one message. */
function refuseUnreadable(skipped: ReadAll["skipped"], all: number, hint: string | undefined): never {
  const list = skipped.slice(0, MOST_LISTED).map(({ place, reason }) => `${place}: ${reason}`);
  const more = skipped.length > MOST_LISTED ? [`and ${skipped.length - MOST_LISTED} more`] : [];
  if (all === 1) throw new KingletError("bad-input", skipped[0]!.reason, { place: skipped[0]!.place, ...(hint === undefined ? {} : { hint }) });
  throw new KingletError("bad-input", [`${skipped.length} of ${all} files cannot be read`, ...list, ...more].join("\n  "), {
    hint: `${hint === undefined ? "" : `${hint} `}--skip-unreadable leaves such files out.`,
  });
}

/** Whether the folder holds this very data set, its files being all there. */
async function isSame(folder: string, text: string, info: DatasetInfo): Promise<boolean> {
  try {
    if ((await readFile(join(folder, MANIFEST_FILE), "utf8")) !== text) return false;
    for (const { file, bytes } of [...info.shards, info.index]) if ((await stat(join(folder, file))).size !== bytes) return false;
    return true;
  } catch {
    return false;
  }
}

/**
 * Reads recordings and pictures and writes them as one data set into `folder`, whole or not at all; an older data set there is replaced.
 * The same files and options give the same bytes, on every machine.
 * @throws KingletError `bad-input` that lists the files which cannot be read, or names two that do not go together; `misuse` for
 *   options that contradict each other.
 */
export async function importData(paths: readonly string[], folder: string, options: ImportOptions = {}): Promise<ImportResult> {
  await checkReplaceable(resolve(folder));
  const { files, ignored } = await listSources(paths, options.test ?? []);
  const { only } = options;
  // Arrays inside .npz files are looked at one by one, later.
  const wanted = only === undefined ? files : files.filter((file) => /\.npz$/i.test(file.name) || matches(only, file.name));
  const rules = rulesOf(options, wanted);
  let result: Pick<ImportResult, "info" | "unchanged" | "units"> | null = null;
  await replaceFolder(folder, async (made) => {
    const scratchPath = join(made, "scratch.bin");
    const scratch = await Scratch.create(scratchPath);
    try {
      const { sources, skipped } = await readAll(wanted, scratch, options, rules);
      await scratch.finish();
      const units = settleUnits(scratch, sources, options.unit);
      const written = await writeDataset(made, { scratch, sources, skipped, ...describe(scratch, options) });
      const unchanged = await isSame(resolve(folder), written.text, written.info);
      result = { info: written.info, unchanged, units };
      return !unchanged;
    } finally {
      await scratch.close();
      await rm(scratchPath, { force: true });
    }
  });
  return { folder, ignored: ignored + files.length - wanted.length, ...result! };
}

/** Finds the units of acceleration and notes what each recording is multiplied by to have the wanted one. */
function settleUnits({ kept }: Scratch, sources: ReadAll["sources"], wanted: AccelerationUnit | undefined): UnitCount[] {
  const fileOf = (each: Kept): string => sources[each.source]!.name;
  if (wanted !== undefined) for (const [i, factor] of unitFactors(kept, wanted, fileOf).entries()) kept[i] = { ...kept[i]!, factor };
  return unitCounts(kept, fileOf);
}

/** What the recordings have in common: their form, classes and groups. */
function describe(scratch: Scratch, options: ImportOptions) {
  const { kept } = scratch;
  if (kept.length === 0) throw new KingletError("bad-input", "no sample was found", { hint: "Look at --only, and at the files that were left out." });
  const layout = commonLayout(kept, options.window ?? null);
  if (!kept.some((each) => samplesOf(each, layout) > 0)) throw new KingletError("bad-input", "every recording is shorter than the window");
  return {
    layout,
    classes: classesOf(new Set(kept.map((each) => each.label)), options.classes),
    groups: sortNames(kept.map((each) => each.group).filter((group) => group !== undefined)),
    options: optionTexts(options),
    onRecording: (done: number, all: number): void => options.onProgress?.({ stage: "writing", done, all }),
  };
}
