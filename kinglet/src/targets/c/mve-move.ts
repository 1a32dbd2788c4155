import { type Buffer, type Expr, type KernelBuilder, vectorLoad } from "../../loops/index.ts";
import { VECTOR } from "./mve-layer.ts";

/** Places of vectors that cover `length` bytes; the last one moves back to end with them. Short runs go byte by byte. */
function eachPlace(k: KernelBuilder, length: Expr, bytes: number, vectors: (i: Expr) => void, single: (i: Expr) => void): void {
  if (bytes < VECTOR) k.for("i", 0, length, single);
  else k.for("i", 0, length, (i) => vectors(bytes % VECTOR === 0 ? i : k.let("at", i.min(length.sub(VECTOR)))), VECTOR);
}

/** Copies bytes between buffers that do not overlap. `bytes` is the value of `length`. */
export function copyBytes(k: KernelBuilder, to: Buffer, toAt: Expr, from: Buffer, fromAt: Expr, length: Expr, bytes: number): void {
  eachPlace(
    k,
    length,
    bytes,
    (i) => k.storeVector(to, toAt.add(i), vectorLoad("i8x16", from, fromAt.add(i))),
    (i) => to.store(toAt.add(i), from.load(fromAt.add(i))),
  );
}

/** Stores the bytes of `value`, which are all alike. */
export function fillBytes(k: KernelBuilder, to: Buffer, toAt: Expr, value: Expr, length: Expr, bytes: number): void {
  // A run shorter than a vector is followed by bytes that are written later.
  if (bytes < VECTOR) k.storeVector(to, toAt, value);
  else
    eachPlace(
      k,
      length,
      bytes,
      (i) => k.storeVector(to, toAt.add(i), value),
      () => undefined,
    );
}
