import type { SparseLayer } from "../driver/index.ts";
import { bytesShort, count, countShort, plural } from "./format.ts";
import { bar, escapeHtml, htmlTable } from "./markup.ts";
import { learningCurves } from "./training-charts.ts";
import type { Decibels, LayerNoise, LayerZeros, NetworkStep, StepName, TrainingReport } from "./training-types.ts";

/** What each step is called on the page. */
const TITLES: Readonly<Record<StepName, string>> = {
  trained: "Trained",
  distilled: "Distilled",
  pruned: "Pruned",
  quantized: "Quantized",
  "quantization-aware": "Quantized, trained on",
};

export const titleOf = ({ step }: NetworkStep): string => TITLES[step];

/** Code counts where it was linked, the stack where it was measured. */
export const flashOf = ({ footprint: { weightBytes, codeBytes } }: NetworkStep): number => weightBytes + (codeBytes ?? 0);
export const ramOf = ({ footprint: { arenaBytes, stackBytes } }: NetworkStep): number => arenaBytes + (stackBytes ?? 0);

const number = (title: string) => ({ title, number: true });
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** A figure, its share of the first step's, and a bar. */
function cell(value: number | null, first: number | null, most: number, text: (value: number) => string, className: string): string {
  if (value === null) return '<span class="dim">–</span>';
  const share = first === null || first === 0 || first === value ? "" : ` <span class="dim">${Math.round((100 * value) / first)} %</span>`;
  return `<span title="${count(value)}">${text(value)}</span>${share}${bar(value, most, className)}`;
}

/** What was measured, in one sentence. */
function methodText({ steps, board }: TrainingReport): string {
  const core = steps.at(-1)!.footprint.core;
  const where = core === null ? "portable C" : `the emulated ${core}`;
  const measured = steps.every(({ footprint }) => footprint.instructions !== null);
  const what = measured
    ? "Flash is code and tables, RAM is arena and stack, work is the instructions of one inference: all exact."
    : "Where no core could be emulated, flash is tables alone, RAM the arena alone, and instructions are unknown: kinglet doctor says what is missing.";
  const judges = new Set(steps.map(({ judgedOn, samples }) => `${count(samples)} samples of the ${judgedOn}`));
  return `Accuracy on ${[...judges].join(", ")}; figures for ${where}${board === null ? "" : ` of ${board}`}. ${what} Shares are of the first step.`;
}

/** Accuracy against flash, RAM and work, step by step. */
export function stepTable(data: TrainingReport): string {
  const { steps } = data;
  if (steps.length === 0) return "<p>No step is recorded for this network: kinglet train writes them down.</p>";
  const column = (of: (step: NetworkStep) => number | null, text: (value: number) => string, className: string): string[] => {
    const values = steps.map(of);
    const most = Math.max(...values.map((value) => value ?? 0));
    return values.map((value) => cell(value, values[0]!, most, text, className));
  };
  const columns = [
    column(flashOf, bytesShort, "weights"),
    column(ramOf, bytesShort, "outputs"),
    column(({ footprint }) => footprint.instructions, countShort, "instructions"),
    column(({ footprint }) => footprint.macs, countShort, ""),
  ];
  const rows = steps.map((step, i) => [
    `<b>${titleOf(step)}</b><span class="name">${escapeHtml(step.file, 60)}</span>`,
    `<b>${percent(step.accuracy)}</b>${bar(step.accuracy, 1, "right")}`,
    ...columns.map((each) => each[i]!),
  ]);
  const titles = [{ title: "Step" }, number("Right"), number("Flash"), number("RAM"), number("Instructions"), number("MACs")];
  return `<p class="quiet">${escapeHtml(methodText(data), 600)}</p>${htmlTable("What each step costs and brings", titles, rows)}`;
}

/** Learning curves of all that was trained. */
export function stepCurves({ steps }: TrainingReport): string {
  const learned = steps.filter(({ epochs }) => epochs.length > 0);
  if (learned.length === 0) return "<p>No training is recorded for this network.</p>";
  const titled = (step: NetworkStep): string => `<h3>${titleOf(step)} <span class="quiet">${plural(step.epochs.length, "epoch")}</span></h3>`;
  return learned.map((step) => `${titled(step)}${learningCurves(step.epochs)}`).join("");
}

/** Bars end at so many decibels: nobody sees a difference beyond. */
const MOST_DB = 60;
/** Below, the error is a tenth of the signal or more. */
const POOR_DB = 20;

function decibels(value: Decibels): string {
  if (typeof value === "string") return value;
  return `${value.toFixed(1)} dB${bar(Math.max(0.5, value), MOST_DB, value < POOR_DB ? "over" : "")}`;
}

/** What integers cost, layer by layer; empty where the network is not quantized. */
export function noiseTable(noise: readonly LayerNoise[]): string {
  const own = (layer: LayerNoise): number => (typeof layer.ownSnrDb === "number" ? layer.ownSnrDb : layer.ownSnrDb === "lost" ? -1e9 : 1e9);
  const worst = Math.min(...noise.map(own));
  const rows = noise.map((layer) => [
    `<b>${escapeHtml(layer.op, 40)}</b><span class="name">${escapeHtml(layer.name, 80)}</span>`,
    escapeHtml(layer.domain, 20),
    decibels(layer.snrDb),
    decibels(layer.ownSnrDb) + (own(layer) === worst ? ' <span class="badge estimated">loses most</span>' : ""),
  ]);
  const titles = [{ title: "Layer" }, { title: "Type" }, { title: "In the running network", number: true }, { title: "By itself", number: true }];
  return `<p class="quiet">The signal-to-noise ratio of each layer's output against the floating-point network, on calibration samples: in the running network, where the errors of all layers before count, and by itself, with exact inputs. ${POOR_DB} dB is an error of a tenth of the signal, 40 dB of a hundredth. <code>kinglet quantize --explain</code> tries what helps.</p>${htmlTable("Errors of quantization", titles, rows)}`;
}

const STORED: Readonly<Record<SparseLayer["stored"], string>> = {
  packed: "without its zeros",
  slow: "as it is: unpacking would take too long",
  "no room": "as it is: no room to unpack it",
};

/** Zeros among the weights of a network that was pruned weight by weight. */
function pruned(zeros: readonly LayerZeros[]): string {
  const rows = zeros.map((layer) => [
    `<b>${escapeHtml(layer.weights, 80)}</b>`,
    count(layer.of),
    count(layer.zeros),
    `${percent(layer.zeros / Math.max(1, layer.of))}${bar(layer.zeros, layer.of)}`,
  ]);
  const titles = [{ title: "Weights" }, number("Elements"), number("Zeros"), number("Share")];
  return `<p class="quiet">In floating point zeros bring no byte and no instruction: kernels are dense. A quantized layer can be stored without them.</p>${htmlTable("Zeros among the weights", titles, rows)}`;
}

/** How layers of mostly zeros lie in flash, and what that brings on the board. */
function packed(sparse: readonly SparseLayer[]): string {
  const saved = sparse.reduce((sum, { stored, tableBytes, packedBytes }) => sum + (stored === "packed" ? tableBytes - packedBytes : 0), 0);
  const told =
    saved === 0
      ? "On this board zeros bring nothing: no byte and no instruction less."
      : `On this board zeros save ${count(saved)} bytes of flash and cost time: layers are unpacked into the arena before they run.`;
  const rows = sparse.map((layer) => [
    `<b>${escapeHtml(layer.op, 40)}</b><span class="name">${escapeHtml(layer.name, 80)}</span>`,
    count(layer.tableBytes),
    count(layer.stored === "packed" ? layer.packedBytes : layer.tableBytes),
    layer.stored === "packed" ? `at most +${percent(layer.time)}` : "–",
    STORED[layer.stored],
  ]);
  const titles = [{ title: "Layer" }, number("Bytes with zeros"), number("Bytes in flash"), number("Time of the layer"), { title: "Stored" }];
  return `<p class="quiet">${told} A layer is stored without its zeros where that adds at most a tenth to its time and nothing to the arena. Removing channels (<code>kinglet prune</code> without <code>--weights</code>) makes a network smaller and faster.</p>${htmlTable("Layers of mostly zeros", titles, rows)}`;
}

/** Where weights are 0, and what that brings; empty where no step set any. */
export function zerosTable({ steps }: TrainingReport): string {
  const zeros = steps.findLast((step) => step.zeros.length > 0)?.zeros ?? [];
  const sparse = steps.at(-1)?.footprint.sparse ?? [];
  return `${zeros.length === 0 ? "" : pruned(zeros)}${sparse.length === 0 ? "" : packed(sparse)}`;
}
