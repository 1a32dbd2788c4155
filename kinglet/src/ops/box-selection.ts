import { type Buffer, defineFunction, type Expr, f32, type Func, type FunctionBuilder, i32, type KernelBuilder } from "../loops/index.ts";

/** A box as [y, x] of one corner and [y, x] of the opposite one. */
export type Corners = readonly [Expr, Expr, Expr, Expr];

const CORNERS = { a_y0: "f32", a_x0: "f32", a_y1: "f32", a_x1: "f32", b_y0: "f32", b_x0: "f32", b_y1: "f32", b_x1: "f32" } as const;

/** The sides of a box, whichever corner comes first. */
function sidesOf(f: FunctionBuilder, [y0, x0, y1, x1]: Corners): Record<"top" | "left" | "bottom" | "right", Expr> {
  return { top: f.let("top", y0.min(y1)), left: f.let("left", x0.min(x1)), bottom: f.let("bottom", y0.max(y1)), right: f.let("right", x0.max(x1)) };
}

const boxOverlap: Func = defineFunction(
  "box_overlap_f32",
  "Intersection over union of two boxes; 0 where one has no area.",
  CORNERS,
  "f32",
  (f, ...corners) => {
    const [a, b] = [sidesOf(f, corners.slice(0, 4) as unknown as Corners), sidesOf(f, corners.slice(4) as unknown as Corners)];
    const [areaA, areaB] = [a, b].map(({ top, left, bottom, right }) => f.let("area", bottom.sub(top).mul(right.sub(left)))) as [Expr, Expr];
    const height = f.let("height", a.bottom.min(b.bottom).sub(a.top.max(b.top)).max(0));
    const width = f.let("width", a.right.min(b.right).sub(a.left.max(b.left)).max(0));
    const shared = f.let("shared", height.mul(width));
    f.return(
      areaA
        .gt(0)
        .and(areaB.gt(0))
        .select(shared.div(areaA.add(areaB).sub(shared)), f32(0)),
    );
  },
);

/** Boxes of one class from which the best are chosen. */
export interface Candidates {
  readonly boxes: Expr;
  /** 1 for every box that may be chosen; all are 0 or of no interest afterwards. */
  readonly open: Buffer;
  score(box: Expr): Expr;
  corners(box: Expr): Corners;
  /** Whether a box that overlaps a chosen one so far is given up. */
  isCovered(overlap: Expr): Expr;
}

/**
 * Chooses box after box, at most `most`, always the first of those with the highest score, and gives up what overlaps it.
 * `take` is written once, for the box that was chosen.
 */
export function chooseBoxes(k: KernelBuilder, c: Candidates, most: Expr, take: (box: Expr, score: Expr) => void): void {
  const going = k.variable("going", i32(1));
  k.for("turn", 0, most, () =>
    k.if(going.get().ne(0), () => {
      const [best, highest] = [k.variable("best", i32(-1)), k.variable("highest", f32(0))];
      k.for("candidate", 0, c.boxes, (box) =>
        k.if(c.open.load(box).ne(0), () => {
          const score = k.let("score", c.score(box));
          k.if(best.get().lt(0).or(score.gt(highest.get())), () => {
            best.set(box);
            highest.set(score);
          });
        }),
      );
      k.if(
        best.get().lt(0),
        () => going.set(0),
        () => {
          const chosen = k.let("chosen", best.get());
          take(chosen, highest.get());
          c.open.store(chosen, 0);
          const corners = c.corners(chosen).map((side, i) => k.let(`side${i}`, side)) as unknown as Corners;
          k.for("other", 0, c.boxes, (box) =>
            k.if(c.open.load(box).ne(0), () => {
              const overlap = k.let("overlap", k.call(boxOverlap, ...corners, ...c.corners(box)));
              k.if(c.isCovered(overlap), () => c.open.store(box, 0));
            }),
          );
        },
      );
    }),
  );
}
