import type { Node, Value, ValueType } from "../graph/index.ts";
import { type Buffer, type Expr, i32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { chooseBoxes, type Corners } from "./box-selection.ts";
import { expFloat } from "./float-math.ts";
import { attributesOf, inputOf, type OpCase, type OpDef, refuse, suffixOf, typeAt, unsupportedTypes } from "./op.ts";

export interface DetectionPostprocessAttributes {
  /** Classes without the background, which stands before them where the scores have one more. */
  readonly classes: number;
  /** Detections at most. */
  readonly most: number;
  /** Chooses for each class by itself, at most `mostPerClass`; otherwise every box counts for its best class only. */
  readonly byClass: boolean;
  readonly mostPerClass: number;
  /** The least score, and the overlap beyond which a box is given up. */
  readonly scoreThreshold: number;
  readonly iouThreshold: number;
  /** What encoded positions (y, x) and sizes (height, width) are divided by. */
  readonly scales: readonly number[];
}

/** Real numbers of an input, stored as floats or as quantized bytes. */
function realsOf(k: KernelBuilder, node: Node, index: number, name: string): (at: Expr) => Expr {
  const value: Value = inputOf(node, index);
  const buffer = k.input(index, name);
  if (value.dtype === "float32") return (at) => buffer.load(at);
  if ((value.dtype !== "uint8" && value.dtype !== "int8") || value.quantization === undefined) throw unsupportedTypes(node);
  const { scales, zeroPoints } = value.quantization;
  const [scale, zero] = [k.float(`${name}_scale`, scales[0]!), k.int(`${name}_zero`, zeroPoints[0]!)];
  return (at) => buffer.load(at).sub(zero).to("f32").mul(scale);
}

/** Writes the corners [y, x, y, x] of every box, which is encoded relative to its anchor; both are [y, x, height, width]. */
function decodeBoxes(k: KernelBuilder, node: Node, boxes: Expr, corners: Buffer): void {
  const { scales } = attributesOf<DetectionPostprocessAttributes>(node);
  const [encoded, anchors] = [realsOf(k, node, 0, "encoded"), realsOf(k, node, 2, "anchors")];
  k.for("coded", 0, boxes, (box) => {
    const at = k.let("at", box.mul(4));
    ["y", "x"].forEach((name, d) => {
      const size = k.let(`size_${name}`, anchors(at.add(d + 2)));
      const scaled = (i: number): Expr => encoded(at.add(i)).div(k.float(`scale${i}`, scales[i]!));
      const centre = k.let(
        `centre_${name}`,
        scaled(d)
          .mul(size)
          .add(anchors(at.add(d))),
      );
      const half = k.let(
        `half_${name}`,
        k
          .call(expFloat, scaled(d + 2))
          .mul(size)
          .mul(0.5),
      );
      corners.store(at.add(d), centre.sub(half));
      corners.store(at.add(d + 2), centre.add(half));
    });
  });
}

/** The detections so far, the best first: scores, boxes and classes. */
class Detections {
  private readonly k: KernelBuilder;
  private readonly most: Expr;
  readonly outputs: readonly [Buffer, Buffer, Buffer];
  readonly found: ReturnType<KernelBuilder["variable"]>;
  private readonly corners: Buffer;

  constructor(k: KernelBuilder, most: number, corners: Buffer) {
    [this.k, this.corners, this.most] = [k, corners, k.int("most", most)];
    this.outputs = [k.output(0, "boxes"), k.output(1, "labels"), k.output(2, "scores")];
    k.for("empty", 0, this.most, (i) => {
      for (let side = 0; side < 4; side++) this.outputs[0].store(i.mul(4).add(side), 0);
      this.outputs[1].store(i, 0);
      this.outputs[2].store(i, 0);
    });
    this.found = k.variable("found", i32(0));
  }

  private move(to: Expr, from: Expr): void {
    const [boxes, labels, scores] = this.outputs;
    for (let side = 0; side < 4; side++) boxes.store(to.mul(4).add(side), boxes.load(from.mul(4).add(side)));
    labels.store(to, labels.load(from));
    scores.store(to, scores.load(from));
  }

  /** Puts a detection behind all that are at least as good; what no longer fits is forgotten. */
  insert(box: Expr, label: Expr, score: Expr): void {
    const { k, found, most } = this;
    const [boxes, labels, scores] = this.outputs;
    const place = k.variable("place", found.get());
    k.for("step", 0, found.get(), () => {
      const before = k.let("before", place.get().sub(1).max(0));
      k.if(
        place
          .get()
          .gt(0)
          .and(score.gt(scores.load(before))),
        () => {
          k.if(place.get().lt(most), () => this.move(place.get(), before));
          place.set(before);
        },
      );
    });
    k.if(place.get().lt(most), () => {
      const at = k.let("put", place.get());
      for (let side = 0; side < 4; side++) boxes.store(at.mul(4).add(side), this.corners.load(box.mul(4).add(side)));
      labels.store(at, label.to("f32"));
      scores.store(at, score);
      found.set(found.get().add(1).min(most));
    });
  }
}

function loops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<DetectionPostprocessAttributes>(node);
  const shape = inputOf(node, 1).shape as readonly [number, number, number];
  const [count, columns] = [shape[1], shape[2]];
  const boxes = k.int("box_count", count);
  const corners = k.scratch("corners", "f32", 4 * count);
  const open = k.scratch("open", "u8", count);
  decodeBoxes(k, node, boxes, corners);
  const scores = realsOf(k, node, 1, "predictions");
  const scoreOf = (box: Expr, label: Expr): Expr =>
    scores(
      box
        .mul(k.int("columns", columns))
        .add(k.int("background", columns - a.classes))
        .add(label),
    );
  const detections = new Detections(k, a.most, corners);
  const [least, limit, classes] = [k.float("least_score", a.scoreThreshold), k.float("iou_threshold", a.iouThreshold), k.int("classes", a.classes)];
  const cornersOf = (box: Expr): Corners => [0, 1, 2, 3].map((side) => corners.load(box.mul(4).add(side))) as unknown as Corners;
  const candidates = { boxes, open, corners: cornersOf, isCovered: (overlap: Expr) => overlap.gt(limit) };
  const mark = (box: Expr, score: Expr): void => open.store(box, score.ge(least).select(i32(1), i32(0)));
  if (a.byClass) {
    k.for("label", 0, classes, (label) => {
      k.for("b", 0, boxes, (b) => mark(b, scoreOf(b, label)));
      const ofClass = { ...candidates, score: (b: Expr) => scoreOf(b, label) };
      chooseBoxes(k, ofClass, k.int("most_per_class", a.mostPerClass), (b, score) => detections.insert(b, label, score));
    });
  } else {
    const [labels, best] = [k.scratch("best_labels", "i32", count), k.scratch("best_scores", "f32", count)];
    k.for("b", 0, boxes, (b) => {
      const [label, score] = [k.variable("best_label", i32(0)), k.variable("best_score", scoreOf(b, i32(0)))];
      k.for("c", 1, classes, (c) => {
        const next = k.let("next", scoreOf(b, c));
        k.if(next.gt(score.get()), () => {
          label.set(c);
          score.set(next);
        });
      });
      labels.store(b, label.get());
      best.store(b, score.get());
      mark(b, score.get());
    });
    const ofBest = { ...candidates, score: (b: Expr) => best.load(b) };
    chooseBoxes(k, ofBest, k.int("most", a.most), (b, score) => detections.insert(b, labels.load(b), score));
  }
  k.output(3, "count").store(0, detections.found.get().to("f32"));
  return k.finish(
    `detection_postprocess_${a.byClass ? "by_class" : "fast"}_${suffixOf(inputOf(node, 0).dtype)}`,
    "Boxes of a detector, decoded and without those that overlap a better one.",
  );
}

const ATTRIBUTES = { classes: 3, most: 4, byClass: false, mostPerClass: 3, scoreThreshold: 0.1, iouThreshold: 0.4, scales: [10, 10, 5, 5] } as const;
const floats = (...shape: number[]): ValueType => ({ dtype: "float32", shape });
const bytes = (dtype: "uint8" | "int8", scale: number, ...shape: number[]): ValueType => ({
  dtype,
  shape,
  quantization: { scales: [scale], zeroPoints: [dtype === "uint8" ? 128 : 0], axis: 0 },
});

function example(name: string, inputs: OpCase["inputs"], attributes: Partial<DetectionPostprocessAttributes>): OpCase {
  const merged = { ...ATTRIBUTES, ...attributes };
  const { most } = merged;
  return { name, inputs, outputs: [floats(1, most, 4), floats(1, most), floats(1, most), floats(1)], attributes: merged };
}

/**
 * What stands behind a single-shot detector: boxes [1, n, 4] as [y, x, height, width], encoded relative to anchors [n, 4], and scores
 * [1, n, classes] or with a background before them become corners [1, most, 4] as [ymin, xmin, ymax, xmax], classes and scores [1, most],
 * the best first, and how many there are, [1]; the rest is 0. As TensorFlow Lite's TFLite_Detection_PostProcess.
 */
export const detectionPostprocess: OpDef = {
  name: "detectionPostprocess",
  infer(inputs, attributes) {
    const [boxes, scores, anchors] = [0, 1, 2].map((i) => typeAt("detectionPostprocess", inputs, i, i < 2 ? 3 : 2)) as [
      ValueType,
      ValueType,
      ValueType,
    ];
    const { classes, most, scales } = attributesOf<DetectionPostprocessAttributes>({ attributes });
    const [batches, count, sides] = boxes.shape;
    const fits =
      batches === 1 && sides === 4 && scores.shape[0] === 1 && scores.shape[1] === count && anchors.shape[0] === count && anchors.shape[1] === 4;
    if (!fits)
      refuse(
        "detectionPostprocess",
        `boxes [${boxes.shape.join(",")}], scores [${scores.shape.join(",")}] and anchors [${anchors.shape.join(",")}] differ`,
      );
    const columns = scores.shape[2]!;
    if (classes < 1 || columns < classes || columns > classes + 1) refuse("detectionPostprocess", `${columns} scores do not fit ${classes} classes`);
    if (!(most >= 1) || scales.length !== 4) refuse("detectionPostprocess", "it needs at least one detection and four scales");
    return [floats(1, most, 4), floats(1, most), floats(1, most), floats(1)];
  },
  loops,
  cases: [
    example("best classes", [floats(1, 9, 4), floats(1, 9, 4), { ...floats(9, 4), low: 0, high: 1, constant: true }], {}),
    example("by class", [floats(1, 9, 4), floats(1, 9, 3), { ...floats(9, 4), low: 0, high: 1, constant: true }], { byClass: true, most: 5 }),
    ...(["uint8", "int8"] as const).map((dtype) =>
      example(dtype, [bytes(dtype, 0.02, 1, 6, 4), bytes(dtype, 0.007, 1, 6, 4), { ...floats(6, 4), low: 0, high: 1, constant: true }], {}),
    ),
  ],
};
