import { KingletError } from "../../base/index.ts";
import type { Graph } from "../../graph/index.ts";
import {
  absorbBias,
  equalize,
  obstacle,
  prepareForQuantization,
  type QuantizedModel,
  quantizeGraph,
  type QuantizeOptions,
  ruleOf,
} from "../../passes/index.ts";
import type { Sample } from "../tensors.ts";
import { calibrate, type CalibrateOptions } from "./calibrate.ts";
import { layerNoise, type Noise, outputQuality, type OutputQuality } from "./noise.ts";
import { channelStatistics, correctBias, islandAround, roundAdaptively } from "./remedies.ts";

/** What can be done for a network that loses by quantization, cheapest first. */
export type Remedy = "per-axis" | "equalize" | "absorb-bias" | "correct-bias" | "adaround" | "int16" | "tune";
export const REMEDIES: readonly Remedy[] = ["per-axis", "equalize", "absorb-bias", "correct-bias", "adaround", "int16", "tune"];

/**
 * Short quantization-aware training on the calibration samples: gives the source with other constants, or undefined where it cannot be
 * trained. (Training is a room below: `tuneQuantized` of train/ is one.)
 */
export type Tune = (source: Graph, options: QuantizeOptions, samples: readonly Sample[], tell: (what: string) => void) => Graph | undefined;

type Fixed = "ranges" | "overrides" | "isolate" | "perAxis" | "wide" | "keep";
export interface QuantizeNetworkOptions extends Omit<QuantizeOptions, Fixed>, CalibrateOptions {
  /** Weights per output channel (default true). */
  readonly perAxis?: boolean;
  readonly remedies?: readonly Exclude<Remedy, "per-axis" | "int16">[];
  /** Names of layers whose output, and what reads it, gets 16 bits. */
  readonly int16Layers?: readonly string[];
  /** Name of a node: what lies before it stays in floating point. Spectra span too many orders of magnitude for integers. */
  readonly floatUntil?: string;
  /** What the remedy "tune" does; without it there is none. */
  readonly tune?: Tune;
  /** Told what goes on. */
  readonly onProgress?: (what: string) => void;
}

/** What `quantizeGraph` needs for what was asked: the floating-point graph as remedies left it, its ranges, what they worked out. */
export interface QuantizationPlan {
  readonly source: Graph;
  readonly options: QuantizeOptions;
}

/** A network on its way. */
interface State extends QuantizationPlan {
  readonly detail?: string;
}

interface Workshop {
  readonly original: Graph;
  readonly samples: readonly Sample[];
  readonly calibration: CalibrateOptions;
  readonly tell: (what: string) => void;
  readonly tune?: Tune;
}

/** Remedies that were chosen by their effect on a layer's rounding have to be found again after the scales changed. */
function withSource(shop: Workshop, state: State, source: Graph, detail: string): State {
  const { overrides: _, ...rest } = state.options;
  return { source, options: { ...rest, ranges: calibrate(source, shop.samples, shop.calibration) }, detail };
}

function equalized(shop: Workshop, state: State): State | undefined {
  const { graph, pairs, replacedRelu6 } = equalize(state.source);
  if (pairs === 0) return undefined;
  const replaced = replacedRelu6.length === 0 ? "" : `, ReLU6 became ReLU in ${replacedRelu6.length}`;
  return withSource(shop, state, graph, `${pairs} pairs of layers${replaced}`);
}

function absorbed(shop: Workshop, state: State): State | undefined {
  const { graph, channels } = absorbBias(state.source, channelStatistics(state.source, shop.samples));
  return channels === 0 ? undefined : withSource(shop, state, graph, `${channels} channels`);
}

function overridden(shop: Workshop, state: State, what: string, solve: typeof correctBias): State {
  const overrides = solve(state.source, state.options, shop.samples, (done, total) => shop.tell(`${what}: layer ${done + 1} of ${total}`));
  return { source: state.source, options: { ...state.options, overrides }, detail: `${overrides.size} layers` };
}

function widened(state: State, indices: readonly number[]): State {
  const wide = new Set([...(state.options.wide ?? []), ...indices.flatMap((index) => [...islandAround(state.source, index)])]);
  const detail = indices.map((index) => state.source.nodes[index]!.name).join(", ");
  return { source: state.source, options: { ...state.options, wide }, detail };
}

/** Rounds anew: a bias that was corrected for other weights is corrected again for these. */
function rounded(shop: Workshop, state: State): State {
  const corrected = [...(state.options.overrides?.values() ?? [])].some(({ biasShift }) => biasShift !== undefined);
  const { overrides: _, ...options } = state.options;
  const next = overridden(shop, { ...state, options }, "AdaRound", roundAdaptively);
  return corrected ? { ...overridden(shop, next, "bias correction", correctBias), detail: `${next.detail}, biases corrected again` } : next;
}

/** Sixteen bits for the layer that loses most by itself, where its scale is its own and there are kernels. */
function widenedWorst(shop: Workshop, state: State): State | undefined {
  if (state.options.activations === "int16") return undefined;
  const reports = layerReports(modelOf(state), shop.samples, state.options);
  const worst = worstLayer(
    reports.filter(
      ({ index, domain }) =>
        domain === "int8" && obstacle(state.source.nodes[index]!, "int16") === undefined && ruleOf(state.source.nodes[index]!)?.kind !== "fixed",
    ),
  );
  return worst === undefined ? undefined : widened(state, [worst.index]);
}

/** Other weights and biases for the same ranges: what was chosen for the old ones no longer counts. */
function tuned({ tune, tell, samples }: Workshop, { source, options }: State): State | undefined {
  const { overrides: _, ...rest } = options;
  const learned = tune?.(source, rest, samples, tell);
  return learned === undefined ? undefined : { source: learned, options: rest, detail: "the float network's answers to these samples" };
}

/** The state after a remedy, or undefined where it has nothing to work on. */
function applyRemedy(shop: Workshop, state: State, remedy: Remedy): State | undefined {
  switch (remedy) {
    case "per-axis":
      return { source: state.source, options: { ...state.options, perAxis: true } };
    case "equalize":
      return equalized(shop, state);
    case "absorb-bias":
      return absorbed(shop, state);
    case "correct-bias":
      return overridden(shop, state, "bias correction", correctBias);
    case "adaround":
      return rounded(shop, state);
    case "int16":
      return widenedWorst(shop, state);
    case "tune":
      return tuned(shop, state);
    default:
      return remedy satisfies never;
  }
}

function modelOf({ source, options }: QuantizationPlan): QuantizedModel {
  return quantizeGraph(source, options);
}

/** Numbers of the nodes before one. @throws KingletError `misuse` where there is none of that name */
function nodesBefore(graph: Graph, name: string): ReadonlySet<number> {
  const end = graph.nodes.findIndex((node) => node.name === name);
  if (end < 0) throw new KingletError("misuse", `the network has no layer "${name}"`);
  return new Set(Array.from({ length: end }, (_, i) => i));
}

function start(graph: Graph, samples: readonly Sample[], options: QuantizeNetworkOptions, perAxis: boolean): { shop: Workshop; state: State } {
  const original = prepareForQuantization(graph);
  const tell = options.onProgress ?? (() => undefined);
  const { remedies: _r, int16Layers: _l, onProgress: _p, tune, floatUntil, method, percentile, ...given } = options;
  const rest = floatUntil === undefined ? given : { ...given, keep: nodesBefore(original, floatUntil) };
  const calibration: CalibrateOptions = {
    ...(method === undefined ? {} : { method }),
    ...(percentile === undefined ? {} : { percentile }),
  };
  const ranges = calibrate(original, samples, calibration);
  return {
    shop: { original, samples, calibration, tell, ...(tune === undefined ? {} : { tune }) },
    state: { source: original, options: { ...rest, perAxis, ranges } },
  };
}

/** Biases are corrected for the weights as they will be, which saves doing it twice. */
const WORK_ORDER = ["equalize", "absorb-bias", "tune", "adaround", "correct-bias"] as const;

/**
 * Calibrates a floating-point network on samples (its inputs as float bytes) and finds the remedies asked for.
 * @throws KingletError as `calibrate`; `misuse` for a layer that does not exist.
 */
export function planQuantization(graph: Graph, samples: readonly Sample[], options: QuantizeNetworkOptions = {}): QuantizationPlan {
  const { shop, state } = start(graph, samples, options, options.perAxis ?? true);
  const asked = options.int16Layers ?? [];
  const indices = state.source.nodes.flatMap((node, i) => (asked.includes(node.name) ? [i] : []));
  const order = WORK_ORDER.filter((remedy) => options.remedies?.includes(remedy));
  const solved = order.reduce((at, remedy) => applyRemedy(shop, at, remedy) ?? at, indices.length === 0 ? state : widened(state, indices));
  return { source: solved.source, options: solved.options };
}

/** Quantizes a floating-point network as `planQuantization` says. @throws KingletError as that and `quantizeGraph`. */
export function quantizeNetwork(graph: Graph, samples: readonly Sample[], options: QuantizeNetworkOptions = {}): QuantizedModel {
  return modelOf(planQuantization(graph, samples, options));
}

/** One integer layer's errors on real samples. */
export interface LayerReport {
  readonly index: number;
  readonly name: string;
  readonly op: string;
  readonly domain: string;
  /** Signal-to-noise ratio of its output in the running quantized network, in decibels. */
  readonly snrDb: number;
  /** The same with inputs from the floating-point network: what this layer itself loses. */
  readonly ownSnrDb: number;
  readonly channelSnrDb: readonly number[];
  readonly ownChannelSnrDb: readonly number[];
}

/** Layers are measured on so many samples. */
const MEASURED = 16;

/** Errors of every integer layer that has bytes of its own, on the first samples. */
export function layerReports(model: QuantizedModel, samples: readonly Sample[], options?: QuantizeOptions): LayerReport[] {
  const few = samples.slice(0, MEASURED);
  const running = layerNoise(model, few);
  const alone = options === undefined ? running : layerNoise(quantizeGraph(model.source, { ...options, isolate: true }), few);
  return model.layers.flatMap(({ index, source, domain }) => {
    const id = source.outputs[0]?.id ?? -1;
    const [a, b] = [running.get(id), alone.get(id)];
    return a === undefined || b === undefined ? [] : [reportOf(index, source.name, source.op, domain, a, b)];
  });
}

function reportOf(index: number, name: string, op: string, domain: string, running: Noise, alone: Noise): LayerReport {
  return {
    index,
    name,
    op,
    domain,
    snrDb: running.decibels(),
    ownSnrDb: alone.decibels(),
    channelSnrDb: running.channelDecibels(),
    ownChannelSnrDb: alone.channelDecibels(),
  };
}

/** The layer that loses most by itself. */
export function worstLayer(reports: readonly LayerReport[]): LayerReport | undefined {
  return reports.reduce<LayerReport | undefined>((worst, each) => (worst === undefined || each.ownSnrDb < worst.ownSnrDb ? each : worst), undefined);
}

/** What a remedy brought. */
export interface RemedyReport extends OutputQuality {
  readonly remedy: Remedy;
  /** Against what was kept before, in decibels. */
  readonly gainDb: number;
  readonly kept: boolean;
  readonly detail: string;
}

export interface Diagnosis {
  readonly model: QuantizedModel;
  /** One scale for all weights of a layer, and no remedy. */
  readonly start: OutputQuality;
  readonly layers: readonly LayerReport[];
  readonly worst: LayerReport | undefined;
  readonly remedies: readonly RemedyReport[];
  /** With all remedies that were kept. */
  readonly final: OutputQuality;
  readonly finalLayers: readonly LayerReport[];
}

/** A gain below this is noise, and the network stays simpler without it. */
const WORTH_DB = 0.1;

/**
 * Explains what quantization costs, layer by layer, starting from one scale for each layer's weights, and tries all
 * remedies in order of cost. Each is kept where the outputs come closer to those of the floating-point network by
 * 0.1 dB or more (at the input of a closing softmax), all judged on the samples given.
 */
export function diagnose(graph: Graph, samples: readonly Sample[], options: QuantizeNetworkOptions = {}): Diagnosis {
  const begun = start(graph, samples, options, false);
  const { shop } = begun;
  let { state } = begun;
  const first = modelOf(state);
  const quality = outputQuality(shop.original, first, samples);
  const layers = layerReports(first, samples, state.options);
  const remedies: RemedyReport[] = [];
  let best = quality;
  for (const remedy of REMEDIES) {
    if (remedy === "per-axis" && options.perAxis === false) continue;
    shop.tell(remedy);
    const next = applyRemedy({ ...shop, samples }, state, remedy);
    if (next === undefined) continue;
    const reached = outputQuality(shop.original, modelOf(next), samples);
    const gainDb = reached.snrDb - best.snrDb;
    const kept = gainDb >= WORTH_DB;
    remedies.push({ remedy, ...reached, gainDb, kept, detail: next.detail ?? "" });
    if (kept) [state, best] = [next, reached];
  }
  const model = modelOf(state);
  return {
    model,
    start: quality,
    layers,
    worst: worstLayer(layers),
    remedies,
    final: best,
    finalLayers: layerReports(model, samples, state.options),
  };
}
