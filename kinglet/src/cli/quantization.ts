import { KingletError } from "../base/index.ts";
import {
  type Diagnosis,
  diagnose,
  type LayerReport,
  layerReports,
  outputQuality,
  type OutputQuality,
  planQuantization,
  type QuantizationPlan,
  type QuantizeNetworkOptions,
  type Remedy,
  type Sample,
} from "../driver/index.ts";
import type { Graph } from "../graph/index.ts";
import {
  type CalibrationMethod,
  prepareForQuantization,
  quantizeDynamic,
  type QuantizedModel,
  quantizeGraph,
  roundToFloat16,
} from "../passes/index.ts";
import { tuneQuantized } from "../train/index.ts";
import { plural } from "./format.ts";
import type { Io } from "./io.ts";

export type AskedRemedy = Exclude<Remedy, "per-axis" | "int16">;

/** How a network is to be quantized. */
export interface QuantizeSettings {
  readonly method: CalibrationMethod;
  readonly percentile?: number;
  readonly weights: "int8" | "int4" | "float16";
  /** `float`: weights alone, which needs no samples. */
  readonly activations: "int8" | "int16" | "float";
  readonly io: "float" | "int8" | "int16";
  readonly perTensor?: boolean;
  readonly remedy?: readonly AskedRemedy[];
  readonly int16?: readonly string[];
  readonly explain?: boolean;
}

/** What came out, whichever way. */
export interface Quantized {
  readonly graph: Graph;
  readonly model?: QuantizedModel;
  readonly quality?: OutputQuality;
  readonly diagnosis?: Diagnosis;
  readonly samples: number;
  /** Measures what each layer of integers loses. */
  readonly layers: () => readonly LayerReport[];
}

/** Weights alone are made smaller: no samples are needed. */
function weightOnly(graph: Graph, options: QuantizeSettings): Quantized {
  const prepared = prepareForQuantization(graph);
  const bits = options.weights === "int4" ? 4 : 8;
  const made = options.weights === "float16" ? roundToFloat16(prepared) : quantizeDynamic(prepared, { bits, perAxis: options.perTensor !== true });
  return { graph: made, samples: 0, layers: () => [] };
}

/** Between two lines about what goes on lie at least so many milliseconds. */
const PAUSE_MS = 3000;

function quietly(io: Io): (what: string) => void {
  let last = Date.now();
  return (what) => {
    if (Date.now() - last < PAUSE_MS) return;
    last = Date.now();
    io.err(`${what} …\n`);
  };
}

function networkOptions(graph: Graph, options: QuantizeSettings, io: Io): QuantizeNetworkOptions {
  const unknown = (options.int16 ?? []).find((name) => !prepareForQuantization(graph).nodes.some((node) => node.name === name));
  if (unknown !== undefined)
    throw new KingletError("misuse", `the network has no layer "${unknown}"`, { hint: "kinglet inspect --json lists their names." });
  return {
    method: options.method,
    bits: options.weights === "int4" ? 4 : 8,
    activations: options.activations === "int16" ? "int16" : "int8",
    io: options.io,
    ...(options.percentile === undefined ? {} : { percentile: options.percentile }),
    ...(options.perTensor === true ? { perAxis: false } : {}),
    ...(options.remedy === undefined ? {} : { remedies: options.remedy }),
    ...(options.int16 === undefined ? {} : { int16Layers: options.int16 }),
    // Features and normalization of a project's network come first.
    ...(graph.metadata["features"] === undefined ? {} : { floatUntil: "arranged" }),
    tune: tuneQuantized,
    onProgress: quietly(io),
  };
}

/** Calibrates a network, and finds the remedies asked for. @throws KingletError from the passes */
export function planModel(graph: Graph, samples: readonly Sample[], options: QuantizeSettings, io: Io): QuantizationPlan {
  io.err(`calibrating on ${plural(samples.length, "sample")} …\n`);
  return planQuantization(graph, samples, networkOptions(graph, options, io));
}

function calibrated(graph: Graph, samples: readonly Sample[], options: QuantizeSettings, io: Io): Quantized {
  if (options.explain === true) {
    io.err(`calibrating on ${plural(samples.length, "sample")} …\n`);
    const diagnosis = diagnose(graph, samples, networkOptions(graph, options, io));
    const { model, final, finalLayers } = diagnosis;
    return { graph: model.graph, model, quality: final, diagnosis, samples: samples.length, layers: () => finalLayers };
  }
  const plan = planModel(graph, samples, options, io);
  const model = quantizeGraph(plan.source, plan.options);
  const quality = outputQuality(prepareForQuantization(graph), model, samples);
  return { graph: model.graph, model, quality, samples: samples.length, layers: () => layerReports(model, samples, plan.options) };
}

/** Quantizes a network as asked. @throws KingletError from the passes */
export function quantizeModel(graph: Graph, samples: readonly Sample[], options: QuantizeSettings, io: Io): Quantized {
  return options.activations === "float" ? weightOnly(graph, options) : calibrated(graph, samples, options, io);
}
