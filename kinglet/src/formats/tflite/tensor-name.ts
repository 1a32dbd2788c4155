import type { Tensor } from "./tensor.ts";

/** The element type an attribute names; what cannot be computed with is refused where the value is made. */
export function tensorTypeName(tensor: Tensor): string {
  return tensor.stored === "int4" ? "int8" : tensor.stored;
}
