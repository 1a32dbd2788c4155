import { elementCount } from "../base/index.ts";
import type { Node, ValueType } from "../graph/index.ts";
import { type Buffer, type Expr, i32, type KernelBuilder, type KernelInstance } from "../loops/index.ts";
import { chooseBoxes, type Corners } from "./box-selection.ts";
import { attributesOf, inputOf, type OpCase, type OpDef, outputOf, refuse, typeAt, unsupportedTypes } from "./op.ts";

export interface NonMaxSuppressionAttributes {
  /** Boxes that are chosen at most of each class. */
  readonly most: number;
  /** A box is given up where its intersection over union with a better one is more than this. */
  readonly iouThreshold: number;
  /** True where it is given up at that threshold already. */
  readonly inclusive: boolean;
  /** Boxes with at most this score are never chosen; absent: all may be. */
  readonly scoreThreshold?: number;
  /** Boxes are [x, y, width, height] around a centre instead of [y, x] of two opposite corners. */
  readonly centered: boolean;
  /** Gives scores too. */
  readonly scores: boolean;
}

/** Boxes of a class that can be chosen, and rows of the result. */
function sizesOf(boxes: ValueType, scores: ValueType, most: number): { batches: number; classes: number; count: number; rows: number } {
  if (boxes.shape.length === 2) return { batches: 1, classes: 1, count: boxes.shape[0]!, rows: most };
  const [batches, count] = boxes.shape as [number, number];
  const classes = scores.shape[1]!;
  return { batches, classes, count, rows: batches * classes * Math.min(most, count) };
}

function cornersAt(boxes: Buffer, first: Expr, centered: boolean): Corners {
  const [a, b, c, d] = [0, 1, 2, 3].map((i) => boxes.load(first.add(i))) as [Expr, Expr, Expr, Expr];
  if (!centered) return [a, b, c, d];
  const [width, height] = [c.mul(0.5), d.mul(0.5)];
  return [b.sub(height), a.sub(width), b.add(height), a.add(width)];
}

function loops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<NonMaxSuppressionAttributes>(node);
  const [boxes, scores] = [inputOf(node, 0), inputOf(node, 1)];
  if (boxes.dtype !== "float32" || scores.dtype !== "float32") throw unsupportedTypes(node);
  const { batches, classes, count } = sizesOf(boxes, scores, a.most);
  const named = boxes.shape.length === 3;
  const [places, confidence, indices] = [k.input(0, "boxes"), k.input(1, "scores"), k.output(0, "indices")];
  const values = a.scores ? k.output(1, "values") : null;
  const total = k.output(a.scores ? 2 : 1, "total");
  const open = k.scratch("open", "u8", count);
  k.for("i", 0, k.int("length", elementCount(outputOf(node).shape)), (i) => indices.store(i, 0));
  if (values !== null) k.for("v", 0, k.int("rows", outputOf(node, 1).shape[0]!), (i) => values.store(i, 0));
  const [boxCount, classCount] = [k.int("boxes_of_batch", count), k.int("classes", classes)];
  const chosen = k.variable("chosen_so_far", i32(0));
  const take = (row: readonly Expr[], score: Expr): void => {
    const at = k.let("row", chosen.get());
    row.forEach((part, i) => indices.store(at.mul(row.length).add(i), part));
    values?.store(at, score);
    chosen.set(at.add(1));
  };
  k.for("batch", 0, k.int("batches", batches), (batch) =>
    k.for("label", 0, classCount, (label) => {
      const [of, box] = [k.let("of", batch.mul(classCount).add(label).mul(boxCount)), k.let("box", batch.mul(boxCount))];
      k.for("b", 0, boxCount, (b) => {
        const counts =
          a.scoreThreshold === undefined
            ? i32(1)
            : confidence.load(of.add(b)).gt(k.float("score_threshold", a.scoreThreshold)).select(i32(1), i32(0));
        open.store(b, counts);
      });
      const limit = k.float("iou_threshold", a.iouThreshold);
      const candidates = {
        boxes: boxCount,
        open,
        score: (b: Expr) => confidence.load(of.add(b)),
        corners: (b: Expr) => cornersAt(places, k.let("first", box.add(b).mul(4)), a.centered),
        isCovered: (overlap: Expr) => (a.inclusive ? overlap.ge(limit) : overlap.gt(limit)),
      };
      chooseBoxes(k, candidates, k.int("most", Math.min(a.most, count)), (b, score) => take(named ? [batch, label, b] : [b], score));
    }),
  );
  total.store(0, chosen.get());
  return k.finish("non_max_suppression_f32", "Chooses the best boxes that do not overlap too much.");
}

const floats = (...shape: number[]): ValueType => ({ dtype: "float32", shape });
const ints = (...shape: number[]): ValueType => ({ dtype: "int32", shape });
const CORNERS = { most: 3, iouThreshold: 0.2, inclusive: false, centered: false, scores: false } as const;

function example(name: string, inputs: OpCase["inputs"], outputs: ValueType[], attributes: Partial<NonMaxSuppressionAttributes>): OpCase {
  return { name, inputs, outputs, attributes: { ...CORNERS, ...attributes } };
}

/**
 * Non-maximum suppression: the best boxes by their scores, without those that overlap a better one. How many there are depends
 * on contents, so the result is as long as it can become: what is behind the chosen ones is 0, and the last output, [1] or [],
 * counts the chosen ones. For boxes [n, 4] and scores [n] the result is the numbers of boxes [most]; for boxes [batches, n, 4]
 * and scores [batches, classes, n] it is rows of batch, class and box, [batches · classes · min(most, n), 3]. With `scores`, output 1
 * is the score of each row.
 */
export const nonMaxSuppression: OpDef = {
  name: "nonMaxSuppression",
  infer(inputs, attributes) {
    const [boxes, scores] = [typeAt("nonMaxSuppression", inputs, 0), typeAt("nonMaxSuppression", inputs, 1)];
    const a = attributesOf<NonMaxSuppressionAttributes>({ attributes });
    const fits =
      boxes.shape.length === 2
        ? scores.shape.length === 1 && scores.shape[0] === boxes.shape[0]
        : boxes.shape.length === 3 && scores.shape.length === 3 && scores.shape[0] === boxes.shape[0] && scores.shape[2] === boxes.shape[1];
    if (!fits || boxes.shape.at(-1) !== 4)
      refuse("nonMaxSuppression", `boxes [${boxes.shape.join(",")}] do not fit scores [${scores.shape.join(",")}]`);
    if (!(Number.isInteger(a.most) && a.most >= 1)) refuse("nonMaxSuppression", `there are no ${a.most} best boxes`);
    const { rows } = sizesOf(boxes, scores, a.most);
    const named = boxes.shape.length === 3;
    return [ints(...(named ? [rows, 3] : [rows])), ...(a.scores ? [floats(rows)] : []), ints(...(named ? [1] : []))];
  },
  loops,
  cases: [
    example("one class", [floats(7, 4), floats(7)], [ints(5), ints()], { most: 5, inclusive: true, scoreThreshold: -1 }),
    example("one class, with scores", [floats(4, 4), floats(4)], [ints(6), floats(6), ints()], {
      most: 6,
      scores: true,
      inclusive: true,
      scoreThreshold: 0,
    }),
    example("batches and classes", [floats(2, 6, 4), floats(2, 3, 6)], [ints(18, 3), ints(1)], {}),
    example("around centres", [{ ...floats(1, 9, 4), low: 0, high: 3 }, floats(1, 2, 9)], [ints(6, 3), ints(1)], {
      centered: true,
      scoreThreshold: 0.5,
    }),
  ],
};
