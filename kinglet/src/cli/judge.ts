import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { elementCount, KingletError } from "../base/index.ts";
import type { Dataset, Split } from "../data/index.ts";
import type { Graph } from "../graph/index.ts";
import { readSamples } from "../project/index.ts";
import { formatTable, type JudgedNetwork, type NetworkStep, renderTraining, type ShownMistake } from "../report/index.ts";
import { classFigures, type Evaluation, evaluateOn } from "../train/index.ts";
import { trainableParametersOf } from "../ops/index.ts";
import { bytes, count, plain, plural } from "./format.ts";
import { FEDERATED_FILE, PRUNED_FILE } from "./project-files.ts";
import { percent } from "./train-text.ts";
import { spectrograms } from "./spectrogram.ts";
import { version } from "./version.ts";

/** Samples that judge, and what they are called. */
export interface Jury {
  readonly dataset: Dataset;
  readonly positions: Int32Array;
  readonly name: string;
}

export interface Verdict {
  readonly network: JudgedNetwork;
  readonly evaluation: Evaluation;
}

/** The best that there is to judge by. */
export function juryOf(dataset: Dataset, split: Split): Jury {
  const parts: readonly [string, Int32Array][] = [
    ["test part", split.test],
    ["validation part", split.validation],
    ["training part", split.train],
  ];
  const [name, positions] = parts.find(([, each]) => each.length > 0)!;
  return { dataset, positions, name };
}

/** Bytes of the constants that nodes read: weights, biases and tables, without what a target adds. */
export function constantBytes(graph: Graph): number {
  const constants = new Set(graph.nodes.flatMap((node) => node.inputs.map((value) => value?.data)));
  return [...constants].reduce((sum, data) => sum + (data?.byteLength ?? 0), 0);
}

/** What a project calls networks that are not the trained one. */
const FORMS: Readonly<Record<string, string>> = { [PRUNED_FILE]: " pruned", [FEDERATED_FILE]: " federated" };

/** The type that most of a network computes in, and which of a project's networks it is. */
function formOf(graph: Graph, file: string): string {
  const layers = graph.nodes.filter(({ op }) => op === "conv2d" || op === "fullyConnected" || op === "depthwiseConv2d");
  const type = layers.at(-1)?.outputs[0]?.dtype ?? graph.outputs[0]!.dtype;
  return `${type}${FORMS[file] ?? ""}`;
}

function checkFits(graph: Graph, { info }: Dataset, path: string): void {
  const [input, output] = [graph.inputs[0]!, graph.outputs[0]!];
  if (
    graph.inputs.length !== 1 ||
    elementCount(input.shape) % elementCount(info.shape) !== 0 ||
    elementCount(input.shape) / (input.shape[0] ?? 1) !== elementCount(info.shape)
  )
    throw new KingletError("bad-input", `the network takes [${input.shape.join(",")}], and the samples are [${info.shape.join(",")}]`, {
      place: path,
    });
  if (output.shape.at(-1) !== info.classes.length)
    throw new KingletError("bad-input", `the network has ${output.shape.at(-1)} classes, and the data set ${info.classes.length}`, { place: path });
}

/** How well one network does. `fileBytes` is given where the file does not exist yet. */
export async function judge(graph: Graph, path: string, jury: Jury, fileBytes?: number): Promise<Verdict> {
  checkFits(graph, jury.dataset, path);
  const evaluation = await evaluateOn(graph, jury.dataset, jury.positions);
  const { accuracy, samples, confusion } = evaluation;
  const size = fileBytes ?? (await stat(path)).size;
  const network = {
    name: formOf(graph, basename(path)),
    file: basename(path),
    fileBytes: size,
    weightBytes: constantBytes(graph),
    accuracy,
    samples,
    confusion,
    classes: classFigures(confusion),
  };
  return { network, evaluation };
}

const SHOWN_MISTAKES = 12;

async function worstMistakes({ evaluation }: Verdict, { dataset, positions }: Jury): Promise<ShownMistake[]> {
  const worst = [...evaluation.mistakes].sort((a, b) => b.margin - a.margin).slice(0, SHOWN_MISTAKES);
  const places = Int32Array.from(worst, ({ sample }) => positions[sample]!);
  const samples = await readSamples(dataset, places);
  const heard = await spectrograms(dataset.info, samples);
  const { classes, shape, sources } = dataset.info;
  return worst.map(({ label, answer }, i) => ({
    label: classes[label]!,
    answer: classes[answer]!,
    source: sources[dataset.index.sources[places[i]!]!]!.name,
    shape,
    data: samples[i]!,
    ...(heard === undefined ? {} : { spectrogram: heard[i]! }),
  }));
}

/** What a page about a project's network is made of. */
export interface PageOf {
  readonly title: string;
  readonly graph: Graph;
  readonly verdicts: readonly Verdict[];
  readonly jury: Jury;
  readonly steps: readonly NetworkStep[];
  readonly board: string | null;
}

/** The page about a training and what came of it; mistakes are those of the last network, the one that is deployed. */
export async function trainingPage({ title, graph, verdicts, jury, steps, board }: PageOf): Promise<string> {
  return renderTraining({
    title,
    version: version(),
    classes: jury.dataset.info.classes,
    parameters: trainableParametersOf(graph),
    judgedOn: jury.name,
    steps,
    board,
    judged: verdicts.map(({ network }) => network),
    mistakes: await worstMistakes(verdicts.at(-1)!, jury),
  });
}

const MOST_CLASSES = 12;
const figure = (value: number | null): string => (value === null ? "–" : percent(value));

function confusionTable({ confusion }: JudgedNetwork, classes: readonly string[]): string {
  const right = (title: string) => ({ title: plain(title, 10), align: "right" as const });
  const rows = confusion.map((row, c) => [plain(classes[c]!, 20), ...row.map((n) => (n === 0 ? "·" : count(n)))]);
  return formatTable([{ title: "is ↓  taken for →" }, ...classes.map(right)], rows);
}

function classTable(verdicts: readonly Verdict[], classes: readonly string[]): string {
  const right = (title: string) => ({ title, align: "right" as const });
  const columns = [
    { title: "class" },
    right("samples"),
    ...verdicts.flatMap(({ network: { name } }) => [`${name} precision`, "recall", "F1"].map(right)),
  ];
  const rows = classes.map((name, c) => [
    plain(name, 20),
    count(verdicts[0]!.network.classes[c]!.samples),
    ...verdicts.flatMap(({ network }) => [network.classes[c]!.precision, network.classes[c]!.recall, network.classes[c]!.f1].map(figure)),
  ]);
  return formatTable(columns, rows);
}

/** One line for each network: what it gets right. */
export function verdictLine({ network }: Verdict): string {
  const { name, accuracy, samples, confusion, file, fileBytes, weightBytes } = network;
  const mistakes = samples - confusion.reduce((sum, row, c) => sum + row[c]!, 0);
  return `  ${name.padEnd(17)} ${percent(accuracy).padStart(7)} right, ${plural(mistakes, "mistake")}; ${bytes(weightBytes)} of constants; ${plain(file)}, ${bytes(fileBytes)}`;
}

export function verdictText(verdicts: readonly Verdict[], jury: Jury): string {
  const { classes } = jury.dataset.info;
  const last = verdicts.at(-1)!.network;
  const matrix =
    classes.length > MOST_CLASSES
      ? [`(${classes.length} classes: the confusion matrix is in report.html and in --json)`]
      : [`What the ${last.name} network takes for what:`, "", confusionTable(last, classes)];
  return [
    `On ${plural(jury.positions.length, "sample")} of the ${jury.name}:`,
    ...verdicts.map(verdictLine),
    "",
    ...matrix,
    "",
    classTable(verdicts, classes),
  ].join("\n");
}
