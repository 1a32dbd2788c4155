import type { Node } from "../../graph/index.ts";
import { type Buffer, type Expr, i32, type KernelBuilder, type KernelInstance } from "../../loops/index.ts";
import { attributesOf, type DepthwiseAttributes, inputOf, outputOf, type Schedule } from "../../ops/index.ts";
import { type Banding, chooseBanding, inputRows, type PlanarShape } from "./depthwise-banding.ts";
import { type DepthwiseLayer, depthwiseLayer } from "./depthwise-layer.ts";
import { carryRows, fillBorder, type Planes, type RowPlace, rowPlace, widenRow } from "./depthwise-planes.ts";
import { outputRows, type RowKernel } from "./depthwise-rows.ts";
import { packTaps, rowTaps } from "./depthwise-taps.ts";

function planarShape(node: Node): PlanarShape {
  const a = attributesOf<DepthwiseAttributes>(node);
  const [x, w, y] = [inputOf(node, 0).shape, inputOf(node, 1).shape, outputOf(node).shape];
  const [filterW, inW, outW] = [w[2]!, x[2]!, y[2]!];
  const lastWord = ((outW - 1) * a.strideW + filterW - 1) >> 1;
  const pitch = Math.max(Math.ceil((a.padLeft + inW) / 2), lastWord + 1);
  return { batches: x[0]!, inH: x[1]!, inW, channels: x[3]!, outH: y[1]!, outW, filterH: w[1]!, filterW, a, pitch };
}

/** All that the parts of the kernel share. */
interface PlanarKernel {
  readonly s: PlanarShape;
  readonly banding: Banding;
  readonly input: Buffer;
  readonly planes: Planes;
  readonly place: RowPlace;
  readonly rows: RowKernel;
  /** Input row of the first scratch row is this less than that of the first output row times the stride. */
  readonly padTop: Expr;
  readonly inH: Expr;
  readonly inW: Expr;
  readonly inC: Expr;
  readonly outH: Expr;
}

function planarKernel(k: KernelBuilder, node: Node, made: DepthwiseLayer, banding: Banding, unroll: boolean): PlanarKernel {
  const s = planarShape(node);
  const taps = rowTaps(s.filterW, s.a.strideW);
  const input = k.input(0, "x");
  const table = k.constant("w", "i32", packTaps(made.weights, made.factor, made.head, s.filterH, s.filterW, taps));
  const output = k.output(0, "y");
  const zeroPoint = inputOf(node, 0).quantization!.zeroPoints[0]!;
  const pitch = k.int("pitch", s.pitch);
  const planeWords = s.pitch * inputRows(s, banding.rows);
  const planes: Planes = {
    buffer: k.scratch("planes", "i32", planeWords * banding.channels),
    channels: banding.channels,
    pitch,
    planeWords: k.int("plane_words", planeWords),
    words: k.int("words", planeWords * banding.channels),
    zeroBytes: k.int("zero_bytes", banding.channels === 4 ? ((zeroPoint & 255) * 0x01010101) | 0 : zeroPoint),
    offsetPair: k.int("offset_pair", (-zeroPoint & 0xffff) | (-zeroPoint << 16)),
  };
  const inC = k.int("in_c", s.channels);
  const rows: RowKernel = {
    planes: planes.buffer,
    pitch,
    table,
    head: made.head[0]!.length,
    ends: made.ends(k, table),
    taps,
    filterH: s.filterH,
    strideH: k.int("stride_h", s.a.strideH),
    strideW: s.a.strideW,
    output,
    outC: inC,
    width: s.outW,
    unroll,
  };
  return {
    s,
    banding,
    input,
    planes,
    place: rowPlace(s.inW, s.a.padLeft),
    rows,
    padTop: k.int("pad_top", s.a.padTop),
    inH: k.int("in_h", s.inH),
    inW: k.int("in_w", s.inW),
    inC,
    outH: k.int("out_h", s.outH),
  };
}

function widenInputRow(k: KernelBuilder, p: PlanarKernel, n: Expr, c: Expr, iy: Expr, r: Expr): void {
  const from = k.let("from", n.mul(p.inH).add(iy).mul(p.inW).mul(p.inC).add(c));
  widenRow(k, p.planes, p.input, p.place, from, p.inC, k.let("row_at", r.mul(p.planes.pitch)), p.rows.unroll);
}

/** All rows of a map that lie inside; the border around them stays as it was filled. */
function widenMap(k: KernelBuilder, p: PlanarKernel, n: Expr, c: Expr): void {
  const count = Math.max(0, Math.min(p.s.inH, inputRows(p.s, p.s.outH) - p.s.a.padTop));
  k.for("iy", 0, k.int("rows_in", count), (iy) => widenInputRow(k, p, n, c, iy, iy.add(p.padTop)));
}

/** Scratch rows from `start` of a band whose first window starts at input row `top`; rows outside the input are border. */
function widenBand(k: KernelBuilder, p: PlanarKernel, n: Expr, c: Expr, top: Expr, start: Expr): void {
  k.for("r", start, k.int("rows_in", inputRows(p.s, p.banding.rows)), (r) => {
    const iy = k.let("iy", top.add(r));
    k.if(
      iy.ge(0).and(iy.lt(p.inH)),
      () => widenInputRow(k, p, n, c, iy, r),
      () => {
        for (let plane = 0; plane < p.banding.channels; plane++)
          fillBorder(k, p.planes, k.let("border_at", r.mul(p.planes.pitch).add(p.planes.planeWords.mul(plane))), p.planes.pitch);
      },
    );
  });
}

/** The rows of outputs from `oy`, of the channels that are widened. */
function computeRows(k: KernelBuilder, p: PlanarKernel, n: Expr, c: Expr, oy: Expr, count: Expr): void {
  const { rows, planes, s } = p;
  const filterH = k.int("filter_h", s.filterH);
  const first = k.let("to_band", n.mul(p.outH).add(oy).mul(k.int("out_w", s.outW)).mul(p.inC).add(c));
  const clip = (y: Expr): readonly [Expr, Expr] => {
    const top = k.let("y0", oy.add(y).mul(rows.strideH).sub(p.padTop));
    return [k.let("first_row", i32(0).sub(top).max(0)), k.let("end_row", p.inH.sub(top).min(filterH))];
  };
  if (planes.channels === 1) return outputRows(k, rows, c, i32(0), count, first, clip);
  k.for("plane", 0, planes.channels, (plane) => {
    outputRows(k, rows, c.add(plane), k.let("plane_at", plane.mul(planes.planeWords)), count, first.add(plane), clip);
  });
}

/** Channel by channel; bands of a channel hand the rows that both need to the next. */
function channelsOutside(k: KernelBuilder, p: PlanarKernel, n: Expr): void {
  const { s, banding } = p;
  k.for(
    "c",
    0,
    p.inC,
    (c) => {
      if (banding.rows === s.outH) {
        widenMap(k, p, n, c);
        return computeRows(k, p, n, c, i32(0), p.outH);
      }
      const shared = Math.max(0, s.filterH - s.a.strideH);
      const rows = k.int("rows_in", inputRows(s, banding.rows));
      k.for(
        "oy",
        0,
        p.outH,
        (oy) => {
          if (shared > 0) k.if(oy.gt(0), () => carryRows(k, p.planes, rows, i32(shared)));
          const start = k.let("start", oy.gt(0).select(i32(shared), i32(0)));
          widenBand(k, p, n, c, k.let("top", oy.mul(p.rows.strideH).sub(p.padTop)), start);
          computeRows(k, p, n, c, oy, i32(banding.rows));
        },
        banding.rows,
      );
    },
    banding.channels,
  );
}

/** Band by band, all channels of each: a map that shrinks can then be written over its input. */
function bandsOutside(k: KernelBuilder, p: PlanarKernel, n: Expr): void {
  const { banding } = p;
  k.for(
    "oy",
    0,
    p.outH,
    (oy) => {
      const top = k.let("top", oy.mul(p.rows.strideH).sub(p.padTop));
      k.for(
        "c",
        0,
        p.inC,
        (c) => {
          widenBand(k, p, n, c, top, i32(0));
          computeRows(k, p, n, c, oy, i32(banding.rows));
        },
        banding.channels,
      );
    },
    banding.rows,
  );
}

/** Depthwise int8 convolution with multiplier 1 and no dilation on rows of 16-bit inputs, each channel for itself. */
export const planarSchedule =
  (unroll: boolean): Schedule =>
  (node, _walk, room = Infinity) => {
    const a = attributesOf<DepthwiseAttributes>(node);
    if (a.depthMultiplier !== 1 || (a.dilationH ?? 1) !== 1 || (a.dilationW ?? 1) !== 1) return undefined;
    const made = depthwiseLayer(node);
    if (made === undefined) return undefined;
    return (k): KernelInstance => {
      const p = planarKernel(k, node, made, chooseBanding(planarShape(node), room), unroll);
      k.for("n", 0, k.int("batches", p.s.batches), (n) => {
        fillBorder(k, p.planes, i32(0), p.planes.words);
        if (p.banding.order === "channels") channelsOutside(k, p, n);
        else bandsOutside(k, p, n);
      });
      return {
        ...k.finish("depthwise_conv2d_planar_s8", "Depthwise 2-D convolution on rows of 16-bit inputs, each channel for itself.", {
          asWritten: true,
        }),
        notes: made.notes,
      };
    };
  };
