import { type Buffer, constant, type Expr, i32, type Images, type KernelBuilder, type Layout, LANES, type VectorType } from "../../loops/index.ts";

/** The vector of a memory type's elements. */
export function vectorOf(type: Layout["type"]): VectorType {
  if (type === "i16") return "i16x8";
  return type === "f32" ? "f32x4" : "i8x16";
}

/** Stores `value` `count` times from element `from`. */
function storeAll(k: KernelBuilder, buffer: Buffer, value: number, from: Expr, count: number): void {
  const type = vectorOf(buffer.type);
  const lanes = LANES[type];
  const one = (at: Expr): void => k.emit({ kind: "vectorStore", buffer, index: at, value: constant(value, type), form: "full" });
  if (count < lanes) for (let i = 0; i < count; i++) buffer.store(from.add(i), constant(value, buffer.type === "f32" ? "f32" : "i32"));
  else {
    if (count > lanes) k.for("z", 0, count - lanes, (z) => one(from.add(z)), lanes);
    one(from.add(count - lanes));
  }
}

/** Writes what stands around and after a tensor, which its own elements leave out. */
export function clearBorder(k: KernelBuilder, buffer: Buffer, layout: Layout, images: Images): void {
  const { top, bottom, left, right } = layout.border;
  const { batches, height, width, channels, row, image } = images;
  const side = (left + right) * channels;
  // The right border of a row and the left one of the next are neighbours, and so are those of the first and the last row to what lies above and below.
  const before = top * row + left * channels;
  const after = bottom * row + right * channels;
  const each = (n: Expr): void => {
    const start = n.mul(image);
    if (before > 0) storeAll(k, buffer, layout.padding, start, before);
    if (side > 0 && height > 1) {
      k.for("line", 0, height - 1, (line) => storeAll(k, buffer, layout.padding, start.add(line.mul(row)).add(before + width * channels), side));
    }
    if (after > 0) storeAll(k, buffer, layout.padding, start.add(image - after), after);
  };
  if (before + side + after > 0) {
    if (batches === 1) each(i32(0));
    else k.parallelFor("n", 0, batches, each);
  }
  if (layout.tail > 0) storeAll(k, buffer, layout.padding, i32(batches * image), layout.tail);
}
