import { Xorshift32 } from "../../base/index.ts";
import type { Node } from "../../graph/index.ts";
import { inputOf, outputOf } from "../../ops/index.ts";
import { layerView } from "../../passes/index.ts";

/** Layers whose output elements can be sampled one by one. */
export function canSample(node: Node): boolean {
  return node.op === "conv2d" || node.op === "depthwiseConv2d" || node.op === "fullyConnected";
}

/** Where tap k of output channel o lies in the input, for one output position; −1 outside the image. */
type TapFinder = (position: number, o: number, k: number) => number;

function denseTaps(node: Node): TapFinder {
  const { width } = layerView(node);
  return (position, _o, k) => position * width + k;
}

function windowTaps(node: Node): TapFinder {
  const [x, w, y] = [inputOf(node, 0).shape, inputOf(node, 1).shape, outputOf(node).shape];
  const a = node.attributes as Readonly<Record<string, number>>;
  const { channelOf } = layerView(node);
  const inner = node.op === "depthwiseConv2d" ? 1 : w[3]!;
  const [height, width, channels] = [x[1]!, x[2]!, x[3]!];
  return (position, o, k) => {
    const tap = Math.floor(k / inner);
    const row = Math.floor(position / y[2]!);
    const iy = (row % y[1]!) * a["strideH"]! - a["padTop"]! + Math.floor(tap / w[2]!) * (a["dilationH"] ?? 1);
    const ix = (position % y[2]!) * a["strideW"]! - a["padLeft"]! + (tap % w[2]!) * (a["dilationW"] ?? 1);
    if (iy < 0 || ix < 0 || iy >= height || ix >= width) return -1;
    return ((Math.floor(row / y[1]!) * height + iy) * width + ix) * channels + channelOf(o, k);
  };
}

/** Inputs of a layer at sampled output positions: real ones, and those of the quantized network. */
export class Patches {
  readonly node: Node;
  private readonly taps: TapFinder;
  private readonly positions: number;
  private readonly random = new Xorshift32(11);
  private readonly perSample: number;
  /** Copies of both inputs with the positions sampled in them. */
  private readonly taken: { readonly real: Float32Array; readonly got: Float32Array; readonly positions: readonly number[] }[] = [];

  /** @param perSample output positions taken of every sample, at most */
  constructor(node: Node, perSample: number) {
    this.node = node;
    this.taps = node.op === "fullyConnected" ? denseTaps(node) : windowTaps(node);
    const { shape } = outputOf(node);
    this.positions = shape.slice(0, -1).reduce((product, dim) => product * dim, 1);
    this.perSample = perSample;
  }

  add(real: Float32Array, got: Float32Array): void {
    const every = this.positions <= this.perSample;
    const positions = Array.from({ length: Math.min(this.positions, this.perSample) }, (_, i) => (every ? i : this.random.next() % this.positions));
    this.taken.push({ real, got, positions });
  }

  get rows(): number {
    return this.taken.reduce((sum, { positions }) => sum + positions.length, 0);
  }

  /** Output channels that read the same inputs share their rows: the first of them. */
  sharedBy(o: number): number {
    return layerView(this.node).channelOf(o, 0);
  }

  /** The inputs of output channel o: a row of taps for each position, from either network. */
  rowsOf(o: number): { readonly real: Float32Array; readonly got: Float32Array } {
    const { width } = layerView(this.node);
    const [real, got] = [new Float32Array(this.rows * width), new Float32Array(this.rows * width)];
    let at = 0;
    for (const sample of this.taken) {
      for (const position of sample.positions) {
        for (let k = 0; k < width; k++, at++) {
          const from = this.taps(position, o, k);
          if (from < 0) continue;
          real[at] = sample.real[from]!;
          got[at] = sample.got[from]!;
        }
      }
    }
    return { real, got };
  }
}
