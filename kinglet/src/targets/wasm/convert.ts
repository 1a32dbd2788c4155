import type { Shape } from "../../base/index.ts";
import {
  type Buffer,
  type Expr,
  type Images,
  imagesOf,
  type KernelBuilder,
  type KernelInstance,
  type Layout,
  LANES,
  vector,
  vectorLoad,
} from "../../loops/index.ts";
import { clearBorder, vectorOf } from "./border.ts";

/** Eight elements from one layout to the other. */
function convertVector(k: KernelBuilder, from: Buffer, to: Buffer, at: { from: Expr; to: Expr }, move: number): void {
  const narrow = to.type === "u8" ? "i8x16.narrow_i16x8_u" : "i8x16.narrow_i16x8_s";
  if (from.type === to.type) {
    k.emit({ kind: "vectorStore", buffer: to, index: at.to, value: vectorLoad(vectorOf(to.type), from, at.from), form: "full" });
  } else if (to.type === "i16") {
    const wide = vectorLoad("i16x8", from, at.from, from.type === "u8" ? "widen8u" : "widen8s");
    k.emit({ kind: "vectorStore", buffer: to, index: at.to, value: vector("i16x8.add", [wide, vector("i16x8.splat", [k.int("offset", move)])]), form: "full" });
  } else {
    const moved = k.let("moved", vector("i16x8.add", [vectorLoad("i16x8", from, at.from), vector("i16x8.splat", [k.int("offset", move)])]));
    k.emit({ kind: "vectorStore", buffer: to, index: at.to, value: vector(narrow, [moved, moved]), form: "low8" });
  }
}

/** A run of elements that lie side by side in both; the last vector moves back to end with the last element. */
function convertRun(k: KernelBuilder, from: Buffer, to: Buffer, at: { from: Expr; to: Expr }, count: number, move: number): void {
  const lanes = from.type === to.type ? LANES[vectorOf(to.type)] : 8;
  if (count < lanes) {
    k.for("i", 0, k.int("count", count), (i) => {
      const value = from.load(at.from.add(i));
      to.store(at.to.add(i), move === 0 ? value : value.add(k.int("offset", move)));
    });
    return;
  }
  const last = count - lanes;
  const step = (i: Expr): void => convertVector(k, from, to, { from: at.from.add(i), to: at.to.add(i) }, move);
  k.for("i", 0, k.int("count", Math.max(1, last)), step, lanes);
  if (last > 0) step(k.int("last", last));
}

function isDense(images: Images): boolean {
  return images.row === images.width * images.channels && images.image === images.height * images.row;
}

/** Copies a tensor from one layout to another, zeros of the new border included. */
export function convertLayout(k: KernelBuilder, shape: Shape, fromLayout: Layout, toLayout: Layout): KernelInstance {
  const [from, to] = [imagesOf(shape, fromLayout), imagesOf(shape, toLayout)];
  const [x, y] = [k.input(0, "x"), k.output(0, "y")];
  const move = fromLayout.zeroPoint - toLayout.zeroPoint;
  const joined = isDense(from) && isDense(to);
  const [batches, lines, run] = joined ? [1, 1, from.batches * from.image] : [from.batches, from.height, from.width * from.channels];
  k.for("n", 0, k.int("batches", batches), (n) =>
    k.for("line", 0, k.int("lines", lines), (line) => {
      const place = (images: Images, name: string): Expr =>
        k.let(
          name,
          n
            .mul(k.int(`${name}_image`, images.image))
            .add(line.mul(k.int(`${name}_row`, images.row)))
            .add(k.int(`${name}_first`, images.first)),
        );
      convertRun(k, x, y, { from: place(from, "from"), to: place(to, "to") }, run, move);
    }),
  );
  clearBorder(k, y, toLayout, to);
  return k.finish(`layout_${fromLayout.type}_${toLayout.type}`, "Brings a tensor into another layout.");
}
