import type { Shape } from "../../base/index.ts";
import {
  type Buffer,
  type Expr,
  imagesOf,
  type KernelBuilder,
  type KernelInstance,
  type Layout,
  LANES,
  vector,
  vectorLoad,
} from "../../loops/index.ts";
import { clearBorder, vectorOf } from "./border.ts";
import { eachRun, eachVector } from "./vectors.ts";

/** One vector of elements from one layout to the other. */
function convertVector(k: KernelBuilder, from: Buffer, to: Buffer, at: { from: Expr; to: Expr }, move: number): void {
  const moved = (x: Expr): Expr => vector("i16x8.add", [x, vector("i16x8.splat", [k.int("offset", move)])]);
  if (from.type === to.type) {
    k.emit({ kind: "vectorStore", buffer: to, index: at.to, value: vectorLoad(vectorOf(to.type), from, at.from), form: "full" });
    return;
  }
  const wide = vectorLoad("i16x8", from, at.from, from.type === "u8" ? "widen8u" : from.type === "i8" ? "widen8s" : "full");
  if (to.type === "i16") k.emit({ kind: "vectorStore", buffer: to, index: at.to, value: moved(wide), form: "full" });
  else {
    const narrow = to.type === "u8" ? "i8x16.narrow_i16x8_u" : "i8x16.narrow_i16x8_s";
    const value = k.let("moved", moved(wide));
    k.emit({ kind: "vectorStore", buffer: to, index: at.to, value: vector(narrow, [value, value]), form: "low8" });
  }
}

function convertRun(k: KernelBuilder, from: Buffer, to: Buffer, at: { from: Expr; to: Expr }, count: number, move: number): void {
  const lanes = from.type === to.type ? LANES[vectorOf(to.type)] : 8;
  if (count >= lanes) {
    eachVector(k, count, lanes, (i) => convertVector(k, from, to, { from: at.from.add(i), to: at.to.add(i) }, move));
    return;
  }
  k.for("i", 0, k.int("count", count), (i) => {
    const value = from.load(at.from.add(i));
    to.store(at.to.add(i), move === 0 ? value : value.add(k.int("offset", move)));
  });
}

/** Copies a tensor from one layout to another, zeros of the new border included. */
export function convertLayout(k: KernelBuilder, shape: Shape, fromLayout: Layout, toLayout: Layout): KernelInstance {
  const [from, to] = [imagesOf(shape, fromLayout), imagesOf(shape, toLayout)];
  const [x, y] = [k.input(0, "x"), k.output(0, "y")];
  const move = fromLayout.zeroPoint - toLayout.zeroPoint;
  eachRun(k, [from, to], (at, count) => convertRun(k, x, y, { from: at[0]!, to: at[1]! }, count, move));
  clearBorder(k, y, toLayout, to);
  return k.finish(`layout_${fromLayout.type}_${toLayout.type}`, "Brings a tensor into another layout.");
}
