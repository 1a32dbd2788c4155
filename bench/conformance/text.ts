import { figure, NONE, terminal } from "../table.ts";
import type { Checked } from "./check.ts";
import type { ClassicalChecked } from "./classical.ts";
import type { Difference } from "./difference.ts";
import { EXPLAINED } from "./explained.ts";
import { type CheckedOnnx, onnxVerdict } from "./onnx.ts";
import { addCounts, type LayerCount, NO_LAYERS } from "./quantized-layers.ts";

/** What was checked, as tables for a terminal. */

/** One step of 8 or 16 bits is what two roundings of the same number may make. */
export function tfliteVerdict({ name, refused, engineRefuses, equal, difference }: Checked): string {
  if (refused !== undefined) return "not written";
  if (engineRefuses !== undefined) return "not run";
  if (equal) return "equal";
  if (name in EXPLAINED) return "explained";
  return difference!.float === 0 && difference!.steps === 1 ? "one step" : "DIFFERENT";
}

function differenceText(difference: Difference | undefined): string {
  if (difference === undefined) return NONE;
  const { steps, float } = difference;
  return [steps > 0 ? `${steps} steps` : "", float > 0 ? float.toExponential(1) : ""].filter(Boolean).join(", ") || "0";
}

const NAME_LENGTH = 60;

function tfliteRow(each: Checked): string[] {
  const back = each.readsBack === undefined ? NONE : each.readsBack ? "yes" : "in other words";
  return [each.name.slice(-NAME_LENGTH), figure(each.fileBytes), back, each.against ?? NONE, differenceText(each.difference), tfliteVerdict(each)];
}

interface Reasoned {
  readonly name: string;
  readonly refused?: string;
  readonly engineRefuses?: string;
}

/** Why networks were not written or not run, and how many came out how. */
function summary<T extends Reasoned>(all: readonly T[], verdictOf: (each: T) => string): string {
  const reasons = all.flatMap((each) => {
    const reason = each.refused ?? each.engineRefuses ?? (verdictOf(each) === "explained" ? EXPLAINED[each.name] : undefined);
    return reason === undefined ? [] : [`${each.name}: ${reason.slice(0, 200)}`];
  });
  const counts = new Map<string, number>();
  for (const each of all) counts.set(verdictOf(each), (counts.get(verdictOf(each)) ?? 0) + 1);
  const list = [...counts].map(([what, count]) => `${count} ${what}`).join(", ");
  return [...(reasons.length > 0 ? [reasons.join("\n"), ""] : []), `${all.length} networks: ${list}`].join("\n");
}

export function tfliteText(all: readonly Checked[]): string {
  const back = all.filter(({ readsBack }) => readsBack === true).length;
  const table = terminal({
    titles: ["network", "bytes", "reads back", "in TensorFlow Lite against", "difference", "result"],
    rows: all.map(tfliteRow),
  });
  return `${table}\n\n${summary(all, tfliteVerdict)}; ${back} read back as the same graph.`;
}

/** Why the verdict of a float network that lies apart is what it is. */
function doubleText({ name, fromDouble }: CheckedOnnx): string[] {
  if (fromDouble === undefined) return [];
  return [`${name}: from double precision Kinglet ${differenceText(fromDouble.kinglet)}, ONNX Runtime ${differenceText(fromDouble.runtime)}`];
}

const sameText = (difference: Difference | undefined): string =>
  difference === undefined ? NONE : `${figure(difference.same)} of ${figure(difference.elements)}`;

function layersText(count: LayerCount | undefined): string {
  if (count === undefined) return NONE;
  const { layers, equal, equalOnce, steps } = count;
  return `${figure(equal)} of ${figure(layers)}, ${figure(equalOnce)} rounded once, ${steps} steps`;
}

function onnxRow(each: CheckedOnnx): string[] {
  const { readsBack } = each;
  const back =
    readsBack === undefined
      ? NONE
      : readsBack === "same graph"
        ? readsBack
        : readsBack.same === readsBack.elements
          ? "same bits"
          : differenceText(readsBack);
  return [
    each.name.slice(-NAME_LENGTH),
    figure(each.fileBytes),
    back,
    sameText(each.kinglet),
    differenceText(each.kinglet),
    differenceText(each.original),
    layersText(each.layers),
    onnxVerdict(each),
  ];
}

export function onnxText(all: readonly CheckedOnnx[]): string {
  const table = terminal({
    titles: [
      "network",
      "bytes",
      "reads back",
      "in ONNX Runtime as in Kinglet",
      "difference",
      "against the original",
      "layers that are equal",
      "result",
    ],
    rows: all.map(onnxRow),
  });
  const graphs = all.filter(({ readsBack }) => readsBack === "same graph").length;
  const layers = all.map((each) => each.layers ?? NO_LAYERS).reduce(addCounts, NO_LAYERS);
  const double = all.flatMap(doubleText).map((line) => `${line}\n`);
  return `${table}\n\n${double.join("")}${summary(all, onnxVerdict)}; ${graphs} read back as the same graph.\nLayers of those rounded otherwise that are equal by themselves: ${layersText(layers)} at most.`;
}

export function classicalText(all: readonly ClassicalChecked[]): string {
  const titles = ["classical models", "models", "values", "difference", "wrong", "seeds of wrong"];
  const rows = all.map(({ family, models, values, float, wrong, seeds }) => [
    family,
    figure(models),
    figure(values),
    float === 0 ? "0" : float.toExponential(1),
    figure(wrong),
    seeds.join(" ") || NONE,
  ]);
  return terminal({ titles, rows });
}
