import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, i32, intrinsic, type KernelBuilder, type KernelInstance, loadWord } from "../../loops/index.ts";
import { convMultipliers, inputOf, type Schedule } from "../../ops/index.ts";
import { rowForm } from "./layer.ts";
import { SUM_SCALE } from "./requantization.ts";
import {
  channelWords,
  planScaledLayer,
  requantizeScaled,
  type ScaledLayer,
  scaledNotes,
  type ScaledResult,
  scaledResult,
  wordNames,
} from "./scaled-layer.ts";
import { type PatchedMap, patchedMap, ROOMS } from "./winograd-map.ts";
import { HALVES, OUTPUT_SCALE, POSITIONS, transformFilter, transformPatch, transformProducts } from "./winograd-transform.ts";

/** Patches and channels whose products are summed at a time. */
const PATCHES = 4;
const CHANNELS = 2;
/** At most so many words of two inputs in a turn of the inner loop. */
const UNROLL = 16;

interface WinogradShape extends PatchedMap {
  /** Words of a row of inputs with a border pixel on both sides. */
  readonly pitch: number;
}

/** Maps that are cut into 2x2 outputs, four of them side by side. */
function winogradShape(node: Node): WinogradShape | undefined {
  const map = patchedMap(node);
  if (map === undefined || map.width % (2 * PATCHES) !== 0 || map.inC % 8 !== 0 || map.outC % CHANNELS !== 0) return undefined;
  return { ...map, pitch: ((map.width + 2) * map.inC) / 4 };
}

/** Bytes of working memory: four rows of inputs, the transformed patches, their products. */
function winogradBytes(s: WinogradShape): number {
  return 4 * (4 * s.pitch + PATCHES * POSITIONS * (s.inC / 2) + PATCHES * POSITIONS * CHANNELS);
}

/** Of each two output channels: biases, words of their results, then filters as [position][two inputs][channel]. */
function packFilters(s: WinogradShape, layer: ScaledLayer): Int32Array {
  const words: number[] = [];
  const filter = (oc: number, c: number): number[] =>
    transformFilter(Array.from({ length: 9 }, (_, tap) => layer.weights[(oc * 9 + tap) * s.inC + c]!));
  for (let first = 0; first < s.outC; first += CHANNELS) {
    const pair = Array.from({ length: CHANNELS }, (_, i) => first + i);
    words.push(...pair.map((oc) => layer.bias[oc]!));
    wordNames(layer).forEach((_, i) => words.push(...pair.map((oc) => channelWords(layer, oc)[i]!)));
    const filters = pair.map((oc) => Array.from({ length: s.inC }, (_, c) => filter(oc, c)));
    for (let p = 0; p < POSITIONS; p++)
      for (let q = 0; q < s.inC / 2; q++) {
        // A word of four inputs widens to (0, 2) and (1, 3).
        const c = 4 * (q >> 1) + (q & 1);
        for (const each of filters) words.push((each[c]![p]! & 0xffff) | (each[c + 2]![p]! << 16));
      }
  }
  return Int32Array.from(words);
}

interface WinogradKernel {
  readonly s: WinogradShape;
  readonly input: Buffer;
  readonly stream: Buffer;
  readonly output: Buffer;
  readonly band: Buffer;
  readonly patches: Buffer;
  readonly products: Buffer;
  readonly result: ScaledResult;
  readonly offsetPair: Expr;
  readonly zeroBytes: Expr;
  readonly pitch: Expr;
  readonly height: Expr;
  readonly width: Expr;
  readonly inC: Expr;
  readonly outC: Expr;
}

/** Row `r` of the band becomes input row `iy`, or border where that lies outside. */
function readRow(k: KernelBuilder, w: WinogradKernel, n: Expr, iy: Expr, r: Expr): void {
  const words = k.int("row_words", (w.s.width * w.s.inC) / 4);
  const to = k.let("row_at", r.mul(w.pitch).add(w.inC.shr(2)));
  k.if(
    iy.ge(0).and(iy.lt(w.height)),
    () => {
      const from = k.let("from", n.mul(w.height).add(iy).mul(w.width).mul(w.inC));
      k.for("i", 0, words, (i) => w.band.store(to.add(i), loadWord(w.input, from.add(i.mul(4)))));
    },
    () => k.for("i", 0, words, (i) => w.band.store(to.add(i), w.zeroBytes)),
  );
}

/** The band holds input rows 2·ty − 1 to 2·ty + 2; two of them it holds already, but for the first. */
function advanceBand(k: KernelBuilder, w: WinogradKernel, n: Expr, ty: Expr): void {
  const kept = k.int("kept", 2 * w.s.pitch);
  k.if(ty.gt(0), () => k.for("i", 0, kept, (i) => w.band.store(i, w.band.load(kept.add(i)))));
  k.for("r", ty.gt(0).select(i32(2), i32(0)), 4, (r) => readRow(k, w, n, k.let("iy", ty.mul(2).sub(1).add(r)), r));
}

/** Four patches of all input channels: [position][two inputs][patch]. */
function transformInputs(k: KernelBuilder, w: WinogradKernel, group: Expr): void {
  const pixel = w.inC.shr(2);
  k.for("c", 0, pixel, (c) =>
    k.for("t", 0, PATCHES, (t) => {
      const from = k.let("from", group.mul(PATCHES).add(t).mul(2).mul(pixel).add(c));
      (["sxtab16", "sxtab16High"] as const).forEach((widen, lane) => {
        const to = k.let("to", c.mul(2).add(lane).mul(PATCHES).add(t));
        transformPatch(
          k,
          HALVES,
          (i, j) => intrinsic(widen, k.let("word", w.band.load(from.add(w.pitch.mul(i)).add(pixel.mul(j)))), w.offsetPair),
          (p, word) => w.patches.store(to.add(w.inC.mul((p * PATCHES) / 2)), word),
        );
      });
    }),
  );
}

/** The largest number of words that divides them all into equal turns. */
function unrollFor(words: number): number {
  let unroll = Math.min(words, UNROLL);
  while (words % unroll !== 0) unroll--;
  return unroll;
}

/** The products of two output channels and four patches, summed over the inputs: [position][channel][patch]. */
function multiply(k: KernelBuilder, w: WinogradKernel, filters: Expr): void {
  const pairs = k.int("pairs", w.s.inC / 2);
  const unroll = unrollFor(w.s.inC / 2);
  k.for("p", 0, POSITIONS, (p) => {
    const sums = Array.from({ length: CHANNELS }, (_, c) => Array.from({ length: PATCHES }, (_, t) => k.variable(`acc${c}${t}`, i32(0))));
    const [x0, w0] = [k.let("x_base", p.mul(pairs.mul(PATCHES))), k.let("w_base", filters.add(p.mul(pairs.mul(CHANNELS))))];
    k.for(
      "q",
      0,
      pairs,
      (q) => {
        const [x, f] = [k.let("x_at", x0.add(q.mul(PATCHES))), k.let("w_at", w0.add(q.mul(CHANNELS)))];
        for (let u = 0; u < unroll; u++) addPair(k, w, sums, x.add(PATCHES * u), f.add(CHANNELS * u), `${u}_`);
      },
      unroll,
    );
    const to = k.let("to", p.mul(CHANNELS * PATCHES));
    sums.forEach((row, c) => row.forEach((sum, t) => w.products.store(to.add(c * PATCHES + t), sum.get())));
  });
}

function addPair(k: KernelBuilder, w: WinogradKernel, sums: ReturnType<KernelBuilder["variable"]>[][], x: Expr, f: Expr, name: string): void {
  const filters = sums.map((_, c) => k.let(`w${name}${c}`, w.stream.load(f.add(c))));
  for (let t = 0; t < PATCHES; t += 2) {
    const inputs = [t, t + 1].map((each) => k.let(`x${name}${each}`, w.patches.load(x.add(each))));
    sums.forEach((row, c) => inputs.forEach((input, i) => row[t + i]!.set(intrinsic("smlad", input, filters[c]!, row[t + i]!.get()))));
  }
}

/** The 2x2 outputs of four patches and two channels; `to` is the first of them. */
function storeOutputs(k: KernelBuilder, w: WinogradKernel, base: Expr, to: Expr): void {
  const row = w.width.mul(w.outC);
  k.for("ch", 0, CHANNELS, (ch) => {
    const at = k.let("word_at", base.add(ch));
    const bias = k.let("bias", w.stream.load(at));
    const words = wordNames(w.result).map((name, i) => k.let(name, w.stream.load(at.add(CHANNELS * (1 + i)))));
    k.for("t", 0, PATCHES, (t) => {
      const from = k.let("from", ch.mul(PATCHES).add(t));
      const corner = k.let("corner", to.add(ch).add(t.mul(2).mul(w.outC)));
      transformProducts(k, w.products, (p) => from.add(CHANNELS * PATCHES * p)).forEach((scaled, i) => {
        const sum = k.let("sum", bias.wrapAdd(scaled.shl(Math.log2(SUM_SCALE / OUTPUT_SCALE))));
        w.output.store(corner.add(row.mul(i >> 1)).add(w.outC.mul(i & 1)), requantizeScaled(w.result, sum, words));
      });
    });
  });
}

function winogradKernel(k: KernelBuilder, node: Node, s: WinogradShape, layer: ScaledLayer): KernelInstance {
  const zeroPoint = inputOf(node, 0).quantization!.zeroPoints[0]!;
  const w: WinogradKernel = {
    s,
    input: k.input(0, "x"),
    stream: k.constant("w", "i32", packFilters(s, layer)),
    output: k.output(0, "y"),
    band: k.scratch("band", "i32", 4 * s.pitch),
    patches: k.scratch("patches", "i32", PATCHES * POSITIONS * (s.inC / 2)),
    products: k.scratch("products", "i32", PATCHES * POSITIONS * CHANNELS),
    result: scaledResult(k, layer),
    offsetPair: k.int("offset_pair", (-zeroPoint & 0xffff) | (-zeroPoint << 16)),
    zeroBytes: k.int("zero_bytes", ((zeroPoint & 255) * 0x01010101) | 0),
    pitch: k.int("pitch", s.pitch),
    height: k.int("height", s.height),
    width: k.int("width", s.width),
    inC: k.int("in_c", s.inC),
    outC: k.int("out_c", s.outC),
  };
  const head = CHANNELS * (1 + wordNames(layer).length);
  const block = head + (POSITIONS * s.inC * CHANNELS) / 2;
  k.for("n", 0, k.int("batches", s.batches), (n) => {
    k.for("i", 0, k.int("band_words", 4 * s.pitch), (i) => w.band.store(i, w.zeroBytes));
    k.for("ty", 0, k.int("patch_rows", s.height / 2), (ty) => {
      advanceBand(k, w, n, ty);
      k.for("group", 0, k.int("groups", s.width / (2 * PATCHES)), (group) => {
        transformInputs(k, w, group);
        const first = k.let(
          "first",
          n
            .mul(w.height)
            .add(ty.mul(2))
            .mul(w.width)
            .add(group.mul(2 * PATCHES))
            .mul(w.outC),
        );
        k.for("pair", 0, k.int("channel_pairs", s.outC / CHANNELS), (pair) => {
          const base = k.let("base", pair.mul(block));
          multiply(k, w, k.let("filters", base.add(head)));
          storeOutputs(k, w, base, k.let("to", first.add(pair.mul(CHANNELS))));
        });
      });
    });
  });
  const func = k.finish("conv2d_winograd_s8", "3x3 convolution by Winograd's F(2x2, 3x3) in exact integers.", { asWritten: true });
  return { ...func, notes: scaledNotes(layer, "transformed, 16 bits") };
}

/** Winograd's algorithm where the layer has its form, there is RAM for it and its sums are proved, else `otherwise`. */
export const winogradSchedule =
  (otherwise: Schedule): Schedule =>
  (node, walk, room = Infinity) => {
    const s = winogradShape(node);
    if (s === undefined || winogradBytes(s) > ROOMS * room) return otherwise(node, walk, room);
    const layer = planScaledLayer(node, convMultipliers, "winograd", {
      ...rowForm(node, 1),
      fold: false,
      scaledBias: (bias) => SUM_SCALE * bias,
    });
    return layer === undefined ? otherwise(node, walk, room) : (k) => winogradKernel(k, node, s, layer);
  };
