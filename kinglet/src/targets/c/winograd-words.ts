import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, i32, intrinsic, type KernelBuilder, type Variable } from "../../loops/index.ts";
import { convMultipliers, inputOf, type Schedule } from "../../ops/index.ts";
import { rowForm } from "./layer.ts";
import { SUM_SCALE } from "./requantization.ts";
import {
  channelTable,
  loadWords,
  planScaledLayer,
  requantizeScaled,
  type ScaledLayer,
  scaledNotes,
  type ScaledResult,
  scaledResult,
  wordNames,
} from "./scaled-layer.ts";
import { type PatchedMap, patchedMap, ROOMS } from "./winograd-map.ts";
import { OUTPUT_SCALE, POSITIONS, transformFilter, transformPatch, transformProducts, WORDS } from "./winograd-transform.ts";

/** How Winograd's products are summed on a core without products of halves. */
export interface WordTile {
  /** Patches and output channels at a time, at most. */
  readonly patches: number;
  readonly channels: number;
  /** Input channels in a turn of the inner loop, at most. */
  readonly unroll: number;
  /** How transformed inputs are kept. */
  readonly inputs: "i16" | "i32";
  /**
   * Filters raised by this are never negative. Armv6-M has no load of signed halves at a fixed distance, but one of
   * unsigned halves; sums then start from as much less as the raise will add.
   */
  readonly raise: 0 | 32768;
}

/** Cores with few registers: one patch, whose inputs are words that Armv6-M loads at fixed distances. */
export const FEW_REGISTER_WORDS: WordTile = { patches: 1, channels: 4, unroll: 8, inputs: "i32", raise: 32768 };
export const MANY_REGISTER_WORDS: WordTile = { patches: 4, channels: 4, unroll: 2, inputs: "i16", raise: 0 };

interface Shape extends PatchedMap {
  readonly tile: WordTile;
  /** Bytes of a row of inputs with a border pixel on both sides. */
  readonly pitch: number;
}

function divisor(most: number, count: number): number {
  let n = most;
  while (count % n !== 0) n--;
  return n;
}

function shapeOf(node: Node, most: WordTile): Shape | undefined {
  const map = patchedMap(node);
  if (map === undefined) return undefined;
  const tile = {
    ...most,
    patches: divisor(most.patches, map.width / 2),
    channels: divisor(most.channels, map.outC),
    unroll: divisor(most.unroll, map.inC),
  };
  return { ...map, tile, pitch: (map.width + 2) * map.inC };
}

/** Bytes of working memory: four rows of inputs, the transformed patches, what their sums start from, their products. */
function bytesOf({ tile, pitch, inC }: Shape): number {
  const starts = tile.raise === 0 ? 0 : tile.patches;
  return 4 * pitch + POSITIONS * (tile.patches * (inC * (tile.inputs === "i16" ? 2 : 4) + 4 * tile.channels) + 4 * starts);
}

/** Filters as [block of channels][position][input channel][channel of the block]. */
function packFilters(s: Shape, weights: Int8Array): Int16Array | Uint16Array {
  const { channels, raise } = s.tile;
  const packed = new (raise === 0 ? Int16Array : Uint16Array)(POSITIONS * s.inC * s.outC);
  for (let oc = 0; oc < s.outC; oc++)
    for (let c = 0; c < s.inC; c++) {
      const filter = transformFilter(Array.from({ length: 9 }, (_, tap) => weights[(oc * 9 + tap) * s.inC + c]!));
      const block = Math.floor(oc / channels) * POSITIONS;
      filter.forEach((value, p) => (packed[((block + p) * s.inC + c) * channels + (oc % channels)] = value + raise));
    }
  return packed;
}

interface Kernel {
  readonly k: KernelBuilder;
  readonly s: Shape;
  readonly input: Buffer;
  readonly filters: Buffer;
  readonly table: Buffer;
  readonly output: Buffer;
  readonly band: Buffer;
  readonly patches: Buffer;
  /** Absent where filters are not raised. */
  readonly starts: Buffer | undefined;
  readonly products: Buffer;
  readonly result: ScaledResult;
  readonly zeroPoint: Expr;
  readonly pitch: Expr;
  readonly height: Expr;
  readonly width: Expr;
  readonly inC: Expr;
  readonly outC: Expr;
}

/** Row `r` of the band becomes input row `iy`, or border where that lies outside. */
function readRow({ k, input, band, ...w }: Kernel, n: Expr, iy: Expr, r: Expr): void {
  const length = k.let("row_length", w.width.mul(w.inC));
  const to = k.let("row_at", r.mul(w.pitch).add(w.inC));
  k.if(
    iy.ge(0).and(iy.lt(w.height)),
    () => k.copy(band, to, input, n.mul(w.height).add(iy).mul(length), length),
    () => k.for("i", 0, length, (i) => band.store(to.add(i), w.zeroPoint)),
  );
}

/** The band holds input rows 2·ty − 1 to 2·ty + 2; two of them it holds already, but for the first. */
function advanceBand(w: Kernel, n: Expr, ty: Expr): void {
  const kept = w.k.int("kept", 2 * w.s.pitch);
  w.k.if(ty.gt(0), () => w.k.copy(w.band, i32(0), w.band, kept, kept));
  w.k.for("r", ty.gt(0).select(i32(2), i32(0)), 4, (r) => readRow(w, n, w.k.let("iy", ty.mul(2).sub(1).add(r)), r));
}

/** Some patches of all input channels: [position][input channel][patch]. */
function transformInputs({ k, s, band, patches, pitch, inC }: Kernel, group: Expr): void {
  const count = s.tile.patches;
  const each = (body: (t: Expr) => void): void => (count === 1 ? body(i32(0)) : k.for("t", 0, count, body));
  each((t) => {
    const corner = k.let("corner", group.mul(count).add(t).mul(2).mul(inC));
    k.for("c", 0, inC, (c) => {
      const [from, to] = [k.let("from", corner.add(c)), k.let("to", c.mul(count).add(t))];
      transformPatch(
        k,
        WORDS,
        (i, j) => band.load(from.add(pitch.mul(i)).add(inC.mul(j))),
        (p, word) => patches.store(to.add(inC.mul(p * count)), word),
      );
    });
  });
}

/** What the sums of raised filters start from: the raise times the inputs that will meet it, taken away. */
function startSums({ k, s, patches, starts, inC }: Kernel): void {
  if (starts === undefined) return;
  const count = s.tile.patches;
  k.for("p", 0, POSITIONS, (p) => {
    const from = k.let("from", p.mul(inC.mul(count)));
    for (let t = 0; t < count; t++) {
      const sum = k.variable(`sum${t}`, i32(0));
      k.for("c", 0, inC.mul(count), (c) => sum.set(sum.get().sub(patches.load(from.add(c).add(t)))), count);
      starts.store(p.mul(count).add(t), sum.get().wrapMul(s.tile.raise));
    }
  });
}

/** One input channel's products. */
function addChannel(w: Kernel, sums: readonly (readonly Variable[])[], x: Expr, f: Expr, name: string): void {
  const inputs = Array.from({ length: w.s.tile.patches }, (_, t) => w.k.let(`x${name}${t}`, w.patches.load(x.add(t))));
  sums.forEach((row, c) => {
    const filter = w.k.let(`w${name}${c}`, w.filters.load(f.add(c)));
    inputs.forEach((input, t) => row[t]!.set(intrinsic("addProduct", row[t]!.get(), input, filter)));
  });
}

/** The products of a block of output channels, summed over the inputs: [position][channel][patch]. */
function multiply(w: Kernel, filters: Expr): void {
  const { k, inC, starts } = w;
  const { patches, channels, unroll } = w.s.tile;
  k.for("p", 0, POSITIONS, (p) => {
    const begin = Array.from({ length: patches }, (_, t) => (starts === undefined ? i32(0) : k.let(`start${t}`, starts.load(p.mul(patches).add(t)))));
    const sums = Array.from({ length: channels }, (_, c) => begin.map((start, t) => k.variable(`acc${c}${t}`, start)));
    const [x0, f0] = [k.let("x_base", p.mul(inC.mul(patches))), k.let("f_base", filters.add(p.mul(inC.mul(channels))))];
    k.for(
      "c",
      0,
      inC,
      (c) => {
        const [x, f] = [k.let("x_at", x0.add(c.mul(patches))), k.let("f_at", f0.add(c.mul(channels)))];
        for (let u = 0; u < unroll; u++) addChannel(w, sums, x.add(patches * u), f.add(channels * u), `${u}_`);
      },
      unroll,
    );
    const to = k.let("to", p.mul(channels * patches));
    sums.forEach((row, c) => row.forEach((sum, t) => w.products.store(to.add(c * patches + t), sum.get())));
  });
}

/** The 2x2 outputs of the patches and a block of channels; `to` is the first of them. */
function storeOutputs(w: Kernel, oc: Expr, to: Expr): void {
  const { k, outC, result } = w;
  const { patches, channels } = w.s.tile;
  const row = w.width.mul(outC);
  k.for("ch", 0, channels, (ch) => {
    const channel = k.let("channel", oc.add(ch));
    const bias = k.let("bias", w.table.load(channel.mul(1 + wordNames(result).length)));
    const words = loadWords(k, w.table, result, channel);
    k.for("t", 0, patches, (t) => {
      const from = k.let("from", ch.mul(patches).add(t));
      const corner = k.let("corner", to.add(ch).add(t.mul(2).mul(outC)));
      transformProducts(k, w.products, (p) => from.add(channels * patches * p)).forEach((scaled, i) => {
        const sum = k.let("sum", bias.wrapAdd(scaled.shl(Math.log2(SUM_SCALE / OUTPUT_SCALE))));
        w.output.store(corner.add(row.mul(i >> 1)).add(outC.mul(i & 1)), requantizeScaled(result, sum, words));
      });
    });
  });
}

function kernelOf(k: KernelBuilder, node: Node, s: Shape, layer: ScaledLayer): Kernel {
  const { patches, channels, inputs, raise } = s.tile;
  return {
    k,
    s,
    input: k.input(0, "x"),
    filters: k.constant("w", raise === 0 ? "i16" : "u16", packFilters(s, layer.weights)),
    table: k.constant("bias_multiplier", "i32", channelTable(layer, 1)),
    output: k.output(0, "y"),
    band: k.scratch("band", "i8", 4 * s.pitch),
    patches: k.scratch("patches", inputs, POSITIONS * s.inC * patches),
    starts: raise === 0 ? undefined : k.scratch("starts", "i32", POSITIONS * patches),
    products: k.scratch("products", "i32", POSITIONS * channels * patches),
    result: scaledResult(k, layer),
    zeroPoint: k.int("input_zero_point", inputOf(node, 0).quantization!.zeroPoints[0]!),
    pitch: k.int("pitch", s.pitch),
    height: k.int("height", s.height),
    width: k.int("width", s.width),
    inC: k.int("in_c", s.inC),
    outC: k.int("out_c", s.outC),
  };
}

function winogradKernel(w: Kernel): void {
  const { k, s } = w;
  const { patches, channels } = s.tile;
  k.for("n", 0, k.int("batches", s.batches), (n) => {
    k.for("i", 0, k.int("band_bytes", 4 * s.pitch), (i) => w.band.store(i, w.zeroPoint));
    k.for("ty", 0, k.int("patch_rows", s.height / 2), (ty) => {
      advanceBand(w, n, ty);
      const row = k.let("row", n.mul(w.height).add(ty.mul(2)).mul(w.width));
      k.for("group", 0, k.int("groups", s.width / (2 * patches)), (group) => {
        transformInputs(w, group);
        startSums(w);
        const first = k.let("first", row.add(group.mul(2 * patches)).mul(w.outC));
        k.for(
          "oc",
          0,
          w.outC,
          (oc) => {
            multiply(w, k.let("filters", oc.mul(w.inC.mul(POSITIONS))));
            storeOutputs(w, oc, k.let("to", first.add(oc)));
          },
          channels,
        );
      });
    });
  });
}

/** Winograd's algorithm in products of single words, where the layer has its form, there is RAM for it and its sums are proved. */
export const winogradWordsSchedule =
  (tile: WordTile, otherwise: Schedule): Schedule =>
  (node, walk, room = Infinity) => {
    const s = shapeOf(node, tile);
    if (s === undefined || bytesOf(s) > ROOMS * room) return otherwise(node, walk, room);
    const layer = planScaledLayer(node, convMultipliers, "winogradWords", { ...rowForm(node, 1), scaledBias: (bias) => SUM_SCALE * bias });
    if (layer === undefined) return otherwise(node, walk, room);
    return (k) => {
      winogradKernel(kernelOf(k, node, s, layer));
      const made = k.finish("conv2d_winograd_words_s8", "3x3 convolution by Winograd's F(2x2, 3x3), a product a word.", { asWritten: true });
      return { ...made, notes: scaledNotes(layer, "transformed, 16 bits") };
    };
  };
