import { type Expr, intrinsic, type KernelBuilder, loadWord, type Variable } from "../../loops/index.ts";
import type { DepthwiseKernel, InsideWindow } from "./depthwise.ts";
import { requantizeLayer } from "./layer.ts";

/** sums[0…3] += products of the four bytes of two words; the compiler has one instruction for each half product. */
function addProducts(k: KernelBuilder, sums: readonly Variable[], xWord: Expr, wWord: Expr, name: string): void {
  const x = k.let(`x${name}`, xWord);
  const w = k.let(`w${name}`, wWord);
  const halves = (["sxtb16", "sxtb16High"] as const).map((half) => [k.let(`x${name}_${half}`, intrinsic(half, x)), k.let(`w${name}_${half}`, intrinsic(half, w))] as const);
  sums.forEach((sum, c) => {
    const [a, b] = halves[c % 2]!;
    const product = c < 2 ? a.shl(16).shr(16).mul(b.shl(16).shr(16)) : a.shr(16).mul(b.shr(16));
    sum.set(sum.get().add(product));
  });
}

/** Four channels at a time; the number of channels is a multiple of four. */
export const fourChannels: InsideWindow = (k, d: DepthwiseKernel, corner, to) => {
  const rowStride = k.let("row_stride", d.sizes.inW.mul(d.sizes.inC));
  const tapStride = k.let("tap_stride", d.sizes.inC.mul(d.filterW));
  k.for("c", 0, d.sizes.inC, (c) => {
    const sums = Array.from({ length: 4 }, (_, j) => k.variable(`acc${j}`, d.layer.bias.load(c.add(j))));
    k.for("ky", 0, d.sizes.filterH, (ky) => {
      const row = k.let("row", corner.add(c).add(ky.mul(rowStride)));
      const taps = k.let("taps", c.add(ky.mul(tapStride)));
      for (let kx = 0; kx < d.filterW; kx++) {
        addProducts(k, sums, loadWord(d.input, row.add(d.sizes.inC.mul(kx))), loadWord(d.weights, taps.add(d.sizes.inC.mul(kx))), `${kx}`);
      }
    });
    sums.forEach((sum, j) => d.output.store(to.add(c).add(j), requantizeLayer(k, d.layer, k.let(`sum${j}`, sum.get()), c.add(j))));
  }, 4);
};
