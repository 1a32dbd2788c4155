import { join } from "node:path";
import type { Dataset } from "../data/index.ts";
import type { SparseLayer } from "../driver/index.ts";
import { writeKinglet } from "../formats/index.ts";
import type { Graph } from "../graph/index.ts";
import { type ProjectConfig, projectSplit } from "../project/index.ts";
import { type Footprint, formatTable, type NetworkStep } from "../report/index.ts";
import { writeFiles } from "./files.ts";
import { bytes, count, plain, plural, wrapText } from "./format.ts";
import { historyText, readHistory, type StepDetails, stepOf, withStep } from "./history.ts";
import { type Io, withProgress } from "./io.ts";
import { judge, juryOf, trainingPage, type Verdict, verdictLine } from "./judge.ts";
import { projectName, REPORT_FILE, TRAINING_FILE } from "./project-files.ts";
import { percent } from "./train-text.ts";

/** A project that a command works in. */
export interface Project {
  readonly folder: string;
  readonly config: ProjectConfig;
  readonly dataset: Dataset;
}

/** A network of a project and its file there. */
export interface ProjectNetwork {
  readonly graph: Graph;
  readonly file: string;
}

/** What a command leaves of a project's network. */
export interface StepResult {
  /** Names of the files that were written. */
  readonly files: readonly string[];
  readonly judgedOn: string;
  /** The networks from before, and the new one. */
  readonly verdicts: readonly Verdict[];
  /** The project's history; this step is the last. */
  readonly steps: readonly NetworkStep[];
}

/** Judges a new network of a project beside what it was made of, and writes it with the project's history and report, all or nothing. */
export async function finishStep(
  { folder, config, dataset }: Project,
  made: ProjectNetwork,
  before: readonly ProjectNetwork[],
  details: StepDetails,
  io: Io,
): Promise<StepResult> {
  const jury = juryOf(dataset, projectSplit(config, dataset));
  const bytes = writeKinglet(made.graph);
  const verdicts: Verdict[] = [];
  for (const { graph, file } of before) verdicts.push(await judge(graph, join(folder, file), jury));
  const verdict = await judge(made.graph, join(folder, made.file), jury, bytes.length);
  const step = await withProgress(io, "measuring on the board's core", () => stepOf(made.graph, verdict, jury, config, details));
  const history = await readHistory(folder);
  // Steps of another network are none of this one's.
  const known = before.every(({ file }) => history.some((each) => each.file === file));
  const steps = withStep(known ? history : [], step);
  verdicts.push(verdict);
  const files = new Map<string, string | Uint8Array>([
    [made.file, bytes],
    [TRAINING_FILE, historyText(dataset.info.classes, steps)],
    [REPORT_FILE, await trainingPage({ title: projectName(folder), graph: made.graph, verdicts, jury, steps, board: config.board })],
  ]);
  await writeFiles(new Map([...files].map(([name, contents]) => [join(folder, name), contents])));
  return { files: [...files.keys()], judgedOn: jury.name, verdicts, steps };
}

/** What the new network of a step is, for JSON. */
export function judgedJson({ judgedOn, verdicts }: StepResult) {
  const { samples, accuracy, confusion, classes } = verdicts.at(-1)!.network;
  return { on: judgedOn, samples, accuracy, confusion, classes };
}

const orDash = (value: number | null): string => (value === null ? "–" : count(value));
const flashOf = ({ weightBytes, codeBytes }: Footprint): number => weightBytes + (codeBytes ?? 0);
const ramOf = ({ arenaBytes, stackBytes }: Footprint): number => arenaBytes + (stackBytes ?? 0);

/** Every step of a project in a line: what it gets right and what it takes. */
function stepsTable(steps: readonly NetworkStep[]): string {
  const right = (title: string) => ({ title, align: "right" as const });
  const rows = steps.map(({ step, accuracy, footprint }) => [
    step,
    percent(accuracy),
    count(flashOf(footprint)),
    count(ramOf(footprint)),
    orDash(footprint.instructions),
    count(footprint.macs),
  ]);
  return formatTable([{ title: "step" }, ...["right", "flash B", "RAM B", "instructions", "MACs"].map(right)], rows);
}

/** What zeros among the weights bring. */
function zerosText({ zeros, footprint: { sparse } }: NetworkStep): string[] {
  const all = zeros.reduce((sum, layer) => ({ zeros: sum.zeros + layer.zeros, of: sum.of + layer.of }), { zeros: 0, of: 0 });
  const counted =
    all.of === 0
      ? []
      : [
          ...zeros.map((layer) => `  ${plain(layer.weights, 40)}: ${count(layer.zeros)} of ${count(layer.of)} weights are 0`),
          "  In floating point they bring no byte and no instruction; kinglet quantize tells what they bring then.",
          "",
        ];
  return [...counted, ...sparseText(sparse)];
}

const KEPT: Readonly<Record<string, string>> = {
  slow: "unpacking would take more than a tenth of their time",
  "no room": "the arena has no room to unpack them",
};

/** How layers of mostly zeros are stored, and why the others are not. */
export function sparseText(sparse: readonly SparseLayer[]): string[] {
  if (sparse.length === 0) return [];
  const packed = sparse.filter(({ stored }) => stored === "packed");
  const saved = packed.reduce((sum, { tableBytes, packedBytes }) => sum + tableBytes - packedBytes, 0);
  const most = Math.max(0, ...packed.map(({ time }) => time));
  const told =
    packed.length === 0
      ? "Zeros bring nothing on this board: no byte and no instruction less."
      : `Zeros of ${plural(packed.length, "layer")} are not stored: ${bytes(saved)} less, at most ${percent(most)} more time of a layer.`;
  const kept = Object.entries(KEPT).flatMap(([stored, why]) => {
    const layers = sparse.filter((each) => each.stored === stored).map(({ name }) => plain(name, 40));
    return layers.length === 0 ? [] : [wrapText(`  with zeros stay ${layers.join(", ")}: ${why}`, "    ")];
  });
  return [told, ...kept, ""];
}

/** What a command did, for a person. */
export function stepText(folder: string, { files, judgedOn, verdicts, steps }: StepResult, next: string): string {
  const { samples, footprint } = steps.at(-1)!;
  return [
    `On ${samples} samples of the ${judgedOn}:`,
    ...verdicts.map(verdictLine),
    "",
    footprint.core === null ? "As portable C:" : `On ${footprint.core}:`,
    "",
    stepsTable(steps),
    "",
    ...zerosText(steps.at(-1)!),
    `Written: ${files.map((name) => plain(join(folder, name))).join(", ")}`,
    `Next: ${next}`,
  ].join("\n");
}
