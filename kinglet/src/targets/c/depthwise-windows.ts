import { type Expr, intrinsic, type KernelBuilder, loadWord, type Variable } from "../../loops/index.ts";
import { type DepthwiseKernel, eachTap, type WindowKernel } from "./depthwise.ts";
import { channelBias, requantizeLayer } from "./layer.ts";

/** One channel at a time: any machine, any number of channels. */
export const eachChannel: WindowKernel = (k, d, window, whole) => {
  k.for("c", 0, d.sizes.inC, (c) => {
    const acc = k.variable("acc", channelBias(d.layer, c));
    eachTap(k, d, window, whole, c, (x, w) => acc.set(acc.get().add(d.input.load(x).add(d.offset).mul(d.weights.load(w)))));
    d.output.store(window.to.add(c), requantizeLayer(k, d.layer, k.let("sum", acc.get()), c));
  });
};

/** sums[0…3] += products of the four bytes of two words; each half product is one instruction. */
function addProducts(k: KernelBuilder, d: DepthwiseKernel, sums: readonly Variable[], xAt: Expr, wAt: Expr, name: string): void {
  const x = k.let(`x${name}`, loadWord(d.input, xAt));
  const w = k.let(`w${name}`, loadWord(d.weights, wAt));
  const even = [k.let(`x${name}_even`, intrinsic("sxtab16", x, d.offsetPair)), k.let(`w${name}_even`, intrinsic("sxtb16", w))] as const;
  const odd = [k.let(`x${name}_odd`, intrinsic("sxtab16High", x, d.offsetPair)), k.let(`w${name}_odd`, intrinsic("sxtb16High", w))] as const;
  sums.forEach((sum, c) => {
    const [a, b] = c % 2 === 0 ? even : odd;
    const product = c < 2 ? a.shl(16).shr(16).mul(b.shl(16).shr(16)) : a.shr(16).mul(b.shr(16));
    sum.set(sum.get().add(product));
  });
}

/** Four channels at a time on cores with the DSP extension; the number of channels is a multiple of four. */
export const fourChannels: WindowKernel = (k, d, window, whole) => {
  k.for(
    "c",
    0,
    d.sizes.inC,
    (c) => {
      const sums = Array.from({ length: 4 }, (_, j) => k.variable(`acc${j}`, channelBias(d.layer, c.add(j))));
      eachTap(k, d, window, whole, c, (x, w, name) => addProducts(k, d, sums, x, w, name));
      sums.forEach((sum, j) => d.output.store(window.to.add(c).add(j), requantizeLayer(k, d.layer, k.let(`sum${j}`, sum.get()), c.add(j))));
    },
    4,
  );
};
