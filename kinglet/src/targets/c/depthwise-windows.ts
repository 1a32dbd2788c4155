import { eachTap, type WindowKernel } from "./depthwise.ts";
import { channelBias, requantizeLayer } from "./layer.ts";

/** One channel at a time: any machine, any number of channels. */
export const eachChannel: WindowKernel = (k, d, window, whole) => {
  k.for("c", 0, d.sizes.inC, (c) => {
    const acc = k.variable("acc", channelBias(d.layer, c));
    eachTap(k, d, window, whole, c, (x, w) => acc.set(acc.get().add(d.input.load(x).add(d.offset).mul(d.weights.load(w)))));
    d.output.store(window.to.add(c), requantizeLayer(k, d.layer, k.let("sum", acc.get()), c));
  });
};
