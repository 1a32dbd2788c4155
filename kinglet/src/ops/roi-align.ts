import type { Node, ValueType } from "../graph/index.ts";
import { type Expr, f32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { attributesOf, inputOf, type OpCase, type OpDef, outputOf, refuse, typeAt, unsupportedTypes } from "./op.ts";

export interface RoiAlignAttributes {
  /** What becomes of a bin's samples: their mean, or the largest of the four weighted pixels around any of them. */
  readonly mode: "avg" | "max";
  readonly outputHeight: number;
  readonly outputWidth: number;
  /** Samples along each side of a bin; 0: as many as the bin has pixels, rounded up. */
  readonly samplingRatio: number;
  /** Regions are multiplied by this. */
  readonly spatialScale: number;
  /** Regions count from the edge of the first pixel, not from its middle, and may be smaller than a pixel. */
  readonly halfPixel: boolean;
}

/** More samples along a side than any region of a real image asks for: a damaged one must end too. */
const MOST_SAMPLES = 1024;

/** Two neighbours along a dimension and the second one's share. */
interface Neighbours {
  readonly inside: Expr;
  readonly low: Expr;
  readonly high: Expr;
  readonly share: Expr;
}

function neighbours(k: KernelBuilder, name: string, at: Expr, size: Expr): Neighbours {
  const place = k.let(name, at);
  const last = size.sub(1);
  const held = k.let(`${name}_held`, place.clamp(0, last.to("f32")));
  const low = k.let(`${name}_low`, held.to("i32"));
  return {
    inside: place.ge(f32(-1)).and(place.le(size.to("f32"))),
    low,
    high: k.let(`${name}_high`, low.add(1).min(last)),
    share: k.let(`${name}_share`, held.sub(low.to("f32"))),
  };
}

/** Where a region begins along a dimension, how large its bins are, and how many samples each of them has. */
interface Side {
  readonly start: Expr;
  readonly bin: Expr;
  readonly samples: Expr;
}

function sideOf(k: KernelBuilder, a: RoiAlignAttributes, name: string, from: Expr, to: Expr, bins: Expr): Side {
  const moved = (edge: Expr): Expr => edge.mul(k.float("spatial_scale", a.spatialScale)).sub(k.float("offset", a.halfPixel ? 0.5 : 0));
  const start = k.let(`${name}_start`, moved(from));
  const length = moved(to).sub(start);
  const bin = k.let(`${name}_bin`, (a.halfPixel ? length : length.max(1)).div(bins.to("f32")));
  const samples = a.samplingRatio > 0 ? k.int("samples", a.samplingRatio) : k.let(`${name}_samples`, bin.ceil().clamp(0, MOST_SAMPLES).to("i32"));
  return { start, bin, samples };
}

const sampleAt = ({ start, bin, samples }: Side, o: Expr, i: Expr): Expr =>
  start.add(o.to("f32").mul(bin)).add(i.to("f32").add(0.5).mul(bin).div(samples.to("f32")));

function loops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<RoiAlignAttributes>(node);
  const [x, rois, y] = [inputOf(node, 0), inputOf(node, 1), outputOf(node)];
  if (x.dtype !== "float32" || rois.dtype !== "float32" || inputOf(node, 2).dtype !== "int64") throw unsupportedTypes(node);
  const [input, regions, images, output] = [k.input(0, "x"), k.input(1, "regions"), k.input(2, "images"), k.output(0, "y")];
  const [batches, height, width, channels] = ["batches", "height", "width", "channels"].map((name, d) => k.int(name, x.shape[d]!)) as [
    Expr,
    Expr,
    Expr,
    Expr,
  ];
  const [rows, columns] = [k.int("out_height", y.shape[1]!), k.int("out_width", y.shape[2]!)];
  k.for("r", 0, k.int("count", y.shape[0]!), (r) => {
    const image = k.let("image", images.load(r).to("i32").clamp(0, batches.sub(1)));
    const edge = (i: number): Expr => regions.load(r.mul(4).add(i));
    const [down, across] = [sideOf(k, a, "y", edge(1), edge(3), rows), sideOf(k, a, "x", edge(0), edge(2), columns)];
    const samples = k.let("all_samples", down.samples.mul(across.samples).max(1).to("f32"));
    k.for("oy", 0, rows, (oy) =>
      k.for("ox", 0, columns, (ox) => {
        const to = k.let("to", r.mul(rows).add(oy).mul(columns).add(ox).mul(channels));
        k.for("z", 0, channels, (c) => output.store(to.add(c), f32(0)));
        k.for("iy", 0, down.samples, (iy) =>
          k.for("ix", 0, across.samples, (ix) => {
            const [v, h] = [neighbours(k, "v", sampleAt(down, oy, iy), height), neighbours(k, "h", sampleAt(across, ox, ix), width)];
            const counts = k.let("counts", v.inside.and(h.inside).select(f32(1), f32(0)));
            const corner = (name: string, row: Expr, column: Expr, share: Expr): { at: Expr; weight: Expr } => ({
              at: k.let(`at_${name}`, image.mul(height).add(row).mul(width).add(column).mul(channels)),
              weight: k.let(`weight_${name}`, share.mul(counts)),
            });
            const [left, top] = [k.let("left", f32(1).sub(h.share)), k.let("top", f32(1).sub(v.share))];
            const corners = [
              corner("a", v.low, h.low, top.mul(left)),
              corner("b", v.low, h.high, top.mul(h.share)),
              corner("c", v.high, h.low, v.share.mul(left)),
              corner("d", v.high, h.high, v.share.mul(h.share)),
            ];
            k.for("c", 0, channels, (c) => {
              const parts = corners.map(({ at, weight }) => weight.mul(input.load(at.add(c))));
              const join = (p: Expr, q: Expr): Expr => (a.mode === "avg" ? p.add(q) : p.max(q));
              const value = k.let("value", parts.reduce(join));
              const before = output.load(to.add(c));
              const isFirst = iy.add(ix).eq(0);
              output.store(to.add(c), a.mode === "avg" ? before.add(value) : isFirst.select(value, before.max(value)));
            });
          }),
        );
        if (a.mode === "avg") k.for("m", 0, channels, (c) => output.store(to.add(c), output.load(to.add(c)).div(samples)));
      }),
    );
  });
  return k.finish(`roi_align_${a.mode}_f32`, "Regions of images, each resampled to one size.");
}

const REGIONS = [0, 0, 5, 5, 1.5, 2, 4.25, 7, -3, -2, 2, 3, 6, 6, 12, 12];

function example(name: string, attributes: Partial<RoiAlignAttributes>): OpCase {
  return {
    name,
    attributes: { mode: "avg", outputHeight: 2, outputWidth: 3, samplingRatio: 0, spatialScale: 1, halfPixel: true, ...attributes },
    inputs: [
      { dtype: "float32", shape: [2, 8, 7, 3] },
      { dtype: "float32", shape: [4, 4], contents: REGIONS },
      { dtype: "int64", shape: [4], contents: [0, 1, 1, 0] },
    ],
    outputs: [{ dtype: "float32", shape: [4, 2, 3, 3] }],
  };
}

/**
 * Regions [r, 4] as (x1, y1, x2, y2) of the images [n, h, w, c] that [r] names, each cut into bins and sampled bilinearly:
 * [r, outputHeight, outputWidth, c]. He et al., "Mask R-CNN", 2017.
 */
export const roiAlign: OpDef = {
  name: "roiAlign",
  infer(inputs, attributes) {
    const [x, regions, images] = [
      typeAt("roiAlign", inputs, 0, 4),
      typeAt("roiAlign", inputs, 1, 2),
      typeAt("roiAlign", inputs, 2, 1),
    ] as ValueType[];
    const { mode, outputHeight, outputWidth } = attributesOf<RoiAlignAttributes>({ attributes });
    const [count, sides] = regions!.shape as [number, number];
    if (sides !== 4 || images!.shape[0] !== count) refuse("roiAlign", `regions [${count},${sides}] do not fit ${images!.shape[0]} images`);
    if (!["avg", "max"].includes(mode) || !(outputHeight >= 1 && outputWidth >= 1))
      refuse("roiAlign", `"${mode}" of ${outputHeight}×${outputWidth} bins`);
    return [{ dtype: x!.dtype, shape: [count, outputHeight, outputWidth, x!.shape[3]!] }];
  },
  loops,
  cases: [
    example("mean", {}),
    example("largest", { mode: "max", samplingRatio: 2, spatialScale: 0.5 }),
    example("from the middle of the first pixel", { halfPixel: false, samplingRatio: 3 }),
  ],
};
