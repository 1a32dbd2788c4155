import { KingletError } from "../base/index.ts";
import type { Graph, Value } from "../graph/index.ts";

/** What every family of the zoo can be asked for; each says its own defaults. */
export interface NetworkOptions {
  readonly classes?: number;
  /** Pixels along each side of the square image. */
  readonly resolution?: number;
  /** Multiplies the channels of every layer; the default is 1. */
  readonly width?: number;
  readonly inputChannels?: number;
  /** First dimension of the input; the default is 1. */
  readonly batch?: number;
  readonly seed?: number;
  /** Ends in a softmax instead of logits. */
  readonly probabilities?: boolean;
}

/** int8 or float32 in every value. */
export type Precision = "int8" | "float32";

/** Families that benchmarks report on come in a second form. */
export interface DeployableOptions extends NetworkOptions {
  /**
   * Absent: float32 with batch normalization, to be trained, to logits. Given: as a network is deployed, without normalization and
   * to probabilities; its weights are drawn so that int8 scales follow without running the network.
   */
  readonly precision?: Precision | undefined;
}

export type LayerActivation = "none" | "relu" | "relu6";
/** Rows and columns. */
export type Filter = readonly [number, number];
export type MapShape = readonly [batch: number, rows: number, columns: number, channels: number];

export interface DepthwiseSpec<Activation extends string = LayerActivation> {
  /** The default is 3 × 3. */
  readonly filter?: Filter;
  readonly stride?: number;
  readonly activation?: Activation;
}

export interface ConvSpec<Activation extends string = LayerActivation> {
  readonly channels: number;
  /** The default is 1 × 1. */
  readonly filter?: Filter;
  readonly stride?: number;
  readonly activation?: Activation;
}

/**
 * Writes a network layer by layer; a family's file says which layers. Maps are [n, h, w, c], windows have "same" padding,
 * strides and activations are 1 and none where absent.
 */
export interface Layers<Activation extends string = LayerActivation> {
  input(name: string, shape: MapShape): Value;
  conv(name: string, x: Value, spec: ConvSpec<Activation>): Value;
  /** One filter for each channel. */
  depthwise(name: string, x: Value, spec: DepthwiseSpec<Activation>): Value;
  add(name: string, a: Value, b: Value): Value;
  /** Average over the whole map, and [n, classes] from it. */
  classify(x: Value, classes: number): Value;
  build(output: Value, description: string): Graph;
}

/** Attributes of a window whose zeros around the map give ceil(length / stride) positions, the larger half behind. */
export function sameWindow(x: Value, filter: Filter, stride: number): Readonly<Record<string, number>> {
  const around = (length: number, size: number): readonly [number, number] => {
    const total = Math.max(0, (Math.ceil(length / stride) - 1) * stride + size - length);
    return [total >> 1, total - (total >> 1)];
  };
  const [padTop, padBottom] = around(x.shape[1]!, filter[0]);
  const [padLeft, padRight] = around(x.shape[2]!, filter[1]);
  return { strideH: stride, strideW: stride, dilationH: 1, dilationW: 1, padTop, padBottom, padLeft, padRight };
}

/** The nearest multiple of 8 that takes away at most a tenth, as the code of the MobileNet papers has it. */
export function divisibleByEight(channels: number): number {
  const nearest = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return nearest < 0.9 * channels ? nearest + 8 : nearest;
}

/** The square image that a network of pictures starts with. */
export function imageInput(net: Layers, resolution: number, { batch = 1, inputChannels = 3 }: NetworkOptions): Value {
  return net.input("image", [batch, resolution, resolution, inputChannels]);
}

/** A network's name from its family and what sets it apart. */
export function nameOf(...parts: readonly (string | number | undefined)[]): string {
  return parts.filter((part) => part !== undefined).join("_");
}

/** @throws KingletError `misuse` where a size is no whole number of at least 1, or the width not above 0. */
export function checkOptions(options: NetworkOptions): void {
  for (const name of ["classes", "resolution", "inputChannels", "batch"] as const) {
    const size = options[name];
    if (size !== undefined && !(Number.isInteger(size) && size >= 1))
      throw new KingletError("misuse", `${name} is ${size}; a network needs a whole number of at least 1`);
  }
  const { width = 1 } = options;
  if (!(width > 0 && Number.isFinite(width))) throw new KingletError("misuse", `width is ${width}; it multiplies channels and must be above 0`);
}
