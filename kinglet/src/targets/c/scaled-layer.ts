import type { TypedArray } from "../../base/index.ts";
import type { Node, Value } from "../../graph/index.ts";
import { type Buffer, type Expr, i32, intrinsic, type KernelBuilder, type KernelNotes } from "../../loops/index.ts";
import { type Activation, attributesOf, inputOf, type MultiplierRule, outputOf, resultBounds } from "../../ops/index.ts";
import { analyseLayer, clearedWeights, isInt8Layer, type LayerForm, tapsOf } from "./layer.ts";
import { findRequantization, type Requantization } from "./requantization.ts";
import type { StoredChannel } from "./thresholds.ts";

/** A layer whose sums are 256 times the real ones: some of its weights are 256 times what they stand for. */
export interface ScaledForm extends LayerForm {
  /** The kernel's bias of a channel: 256 times the given one, less what the kernel adds besides. */
  readonly scaledBias: (bias: number, taps: Int8Array) => number;
}

/** An int8 layer with a proved requantization of scaled sums. Tables are by channel. */
export interface ScaledLayer {
  /** The layer's weights, zero in channels whose result is constant. */
  readonly weights: Int8Array;
  readonly bias: Int32Array;
  readonly requantization: Requantization;
  readonly low: number;
  readonly high: number;
  /** Channels that have one result for all inputs. */
  readonly constant: number;
}

/** The layer's numbers as a kernel wants them: parameters, so that layers can share it. */
export interface ScaledResult {
  readonly form: Requantization["form"];
  readonly shift: Expr;
  /** The layer's rounding; with steps a channel has its own. */
  readonly rounding: Expr;
  readonly low: Expr;
  readonly high: Expr;
  /** The result may be any int8. */
  readonly wholeRange: boolean;
}

/** A layer by all that its plan follows from: rows of an image have nodes of their own and yet one plan. */
interface Known {
  readonly kind: string;
  readonly parts: readonly unknown[];
  readonly layer: ScaledLayer | undefined;
}

const known = new WeakMap<Value, Known[]>();

function partsOf(node: Node, rule: MultiplierRule): unknown[] {
  const activation = attributesOf<{ activation: Activation }>(node).activation;
  return [rule, node.inputs[2] ?? null, inputOf(node, 0).quantization, outputOf(node).quantization, activation];
}

const searched = new WeakMap<TypedArray, Map<string, Requantization | undefined>>();

/** The search is the dearest part of lowering a network, and the next target or form of the layer asks for the same. */
function requantizationOf(weights: TypedArray, channels: readonly StoredChannel[]): Requantization | undefined {
  const found = searched.get(weights) ?? new Map<string, Requantization | undefined>();
  searched.set(weights, found);
  const key = JSON.stringify(channels);
  if (!found.has(key)) found.set(key, findRequantization(channels));
  return found.get(key);
}

function plan(node: Node, rule: MultiplierRule, form: ScaledForm): ScaledLayer | undefined {
  const data = inputOf(node, 1).data as Int8Array;
  const channels = analyseLayer(node, rule, form, data);
  const result = resultBounds(node, attributesOf<{ activation: Activation }>(node).activation);
  const stored = channels.map(({ multiplier, least, most }): StoredChannel => ({ multiplier, least, most, ...result }));
  const requantization = requantizationOf(data, stored);
  if (requantization === undefined) return undefined;
  const weights = clearedWeights(data, form, channels);
  const bias = Int32Array.from(
    channels,
    (channel, c) => form.scaledBias(channel.bias, tapsOf(weights, form, c)) + requantization.channels[c]!.offset,
  );
  return { weights, bias, requantization, low: result.low, high: result.high, constant: channels.filter((channel) => channel.constant).length };
}

/**
 * Prepares an int8 layer for kernels with scaled sums, or gives undefined where it is another kind of layer or has no
 * proof. `kind` names the form: a layer's proof is searched once for each.
 */
export function planScaledLayer(node: Node, rule: MultiplierRule, kind: string, form: ScaledForm): ScaledLayer | undefined {
  if (!isInt8Layer(node)) return undefined;
  const weights = inputOf(node, 1);
  const [plans, parts] = [known.get(weights) ?? [], partsOf(node, rule)];
  const found = plans.find((each) => each.kind === kind && each.parts.every((part, i) => part === parts[i]));
  if (found !== undefined) return found.layer;
  const layer = plan(node, rule, form);
  known.set(weights, [...plans, { kind, parts, layer }]);
  return layer;
}

export function scaledResult(k: KernelBuilder, layer: ScaledLayer): ScaledResult {
  const { form, shift, channels } = layer.requantization;
  return {
    form,
    shift: k.int("result_shift", shift),
    rounding: form === "ramp" ? k.int("rounding", channels[0]!.rounding) : i32(0),
    low: k.int("low", layer.low),
    high: k.int("high", layer.high),
    wholeRange: layer.low === -128 && layer.high === 127,
  };
}

/** What a kernel with scaled sums tells of itself. */
export function scaledNotes({ requantization, constant }: ScaledLayer, weights = "pairs in lanes"): KernelNotes {
  const { form, channels } = requantization;
  const stepped = channels.filter((channel) => channel.step > 0).length;
  const instructions = form === "ramp" ? "ramp, 2 instructions" : "ramp in 4 instructions";
  const counts = { [instructions]: channels.length - stepped - constant, "steps, 4 instructions": stepped, constant };
  return { weights, channels: Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)) };
}

/** What `requantizeScaled` takes of each channel: with steps also rounding and step. */
export function wordNames(layer: ScaledLayer | ScaledResult): readonly string[] {
  const form = "form" in layer ? layer.form : layer.requantization.form;
  return form === "ramp" ? ["multiplier"] : ["multiplier", "rounding", "step"];
}

/** The words of a channel that `requantizeScaled` takes. */
export function channelWords(layer: ScaledLayer, channel: number): number[] {
  const c = layer.requantization.channels[channel] ?? { multiplier: 0, rounding: 0, step: 0 };
  return [c.multiplier, c.rounding, c.step].slice(0, wordNames(layer).length);
}

/** Bias and words of each channel in turn, padded to a multiple of `block` channels. */
export function channelTable(layer: ScaledLayer, block: number): Int32Array {
  const padded = Math.ceil(layer.bias.length / block) * block;
  return Int32Array.from(Array.from({ length: padded }, (_, c) => [layer.bias[c] ?? 0, ...channelWords(layer, c)]).flat());
}

/** Loads a channel's words from such a table. */
export function loadWords(k: KernelBuilder, table: Buffer, result: ScaledResult, channel: Expr): Expr[] {
  const names = wordNames(result);
  return names.map((name, i) => k.let(name, table.load(channel.mul(1 + names.length).add(1 + i))));
}

/** The stored result of a finished sum, from the words of its channel. */
export function requantizeScaled(result: ScaledResult, sum: Expr, [multiplier, rounding, step]: readonly Expr[]): Expr {
  const start = result.form === "ramp" ? result.rounding : rounding!.sub(sum.shr(31).and(step!));
  const shifted = intrinsic("smmla", sum, multiplier!, start).shr(result.shift);
  return result.wholeRange ? intrinsic("saturate8", shifted) : shifted.clamp(result.low, result.high);
}
