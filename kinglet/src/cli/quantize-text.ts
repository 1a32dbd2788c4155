import type { Diagnosis, LayerReport, OutputQuality, RemedyReport } from "../driver/index.ts";
import type { QuantizedModel } from "../passes/index.ts";
import { formatTable } from "../report/index.ts";
import { plain, plural, wrapText } from "./format.ts";

const TITLES: Readonly<Record<RemedyReport["remedy"], string>> = {
  "per-axis": "a scale for each output channel",
  equalize: "cross-layer equalisation",
  "absorb-bias": "bias absorption",
  "correct-bias": "bias correction",
  adaround: "AdaRound",
  int16: "int16 activations for one layer",
  tune: "short quantization-aware training",
};

function decibels(value: number): string {
  return value === Infinity ? "exact" : value === -Infinity ? "lost" : value.toFixed(1);
}

function agreement({ agreement: share }: OutputQuality): string {
  return share === null ? "" : `${(share * 100).toFixed(1)} %`;
}

export function qualityText(quality: OutputQuality, samples: number): string {
  const same = quality.agreement === null ? "" : `; the same class in ${agreement(quality)} of ${plural(samples, "sample")}`;
  return `${decibels(quality.snrDb)} dB between the floating-point network and this one${same}`;
}

/** The channel that loses most, by what the layer itself does. */
function worstChannel({ ownChannelSnrDb }: LayerReport): string {
  if (ownChannelSnrDb.length < 2) return "";
  const worst = ownChannelSnrDb.reduce((at, value, c) => (value < ownChannelSnrDb[at]! ? c : at), 0);
  return `${worst}: ${decibels(ownChannelSnrDb[worst]!)}`;
}

function layersTable(layers: readonly LayerReport[]): string {
  const right = (title: string) => ({ title, align: "right" as const });
  return formatTable(
    [{ title: "Layer", most: 34 }, { title: "Type" }, right("dB"), right("Own dB"), right("Worst channel")],
    layers.map((layer) => [layer.name, layer.domain, decibels(layer.snrDb), decibels(layer.ownSnrDb), worstChannel(layer)]),
  );
}

function remediesTable(start: OutputQuality, remedies: readonly RemedyReport[]): string {
  const right = (title: string) => ({ title, align: "right" as const });
  const rows = remedies.map((each) => [
    TITLES[each.remedy],
    decibels(each.snrDb),
    `${each.gainDb >= 0 ? "+" : ""}${each.gainDb.toFixed(1)}`,
    agreement(each),
    each.kept ? "kept" : "left out",
    each.detail,
  ]);
  return formatTable(
    [{ title: "Remedy" }, right("dB"), right("Gain"), right("Agrees"), { title: "" }, { title: "On", most: 34 }],
    [["one scale for each layer's weights", decibels(start.snrDb), "", agreement(start), "", ""], ...rows],
  );
}

export function explainQuantization(found: Diagnosis): string {
  const worst =
    found.worst === undefined ? "" : `"${found.worst.name}" (${found.worst.op}) loses most by itself: ${decibels(found.worst.ownSnrDb)} dB.`;
  return [
    wrapText(
      "With one scale for each layer's weights. dB is the signal-to-noise ratio of a layer's output in the running network, own dB that with inputs from the floating-point network.",
    ),
    "",
    layersTable(found.layers),
    "",
    wrapText(plain(worst, 200)),
    "",
    remediesTable(found.start, found.remedies),
  ].join("\n");
}

/** Each reason with the nodes that it keeps in floating point. */
export function keptText(model: QuantizedModel): string[] {
  const reasons = new Map<string, string[]>();
  for (const { why, source } of model.kept) reasons.set(why, [...(reasons.get(why) ?? []), source.name]);
  return [...reasons].map(([why, names]) => wrapText(plain(`in floating point stays ${names.join(", ")}: ${why}`, 600)));
}
