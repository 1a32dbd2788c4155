import type { Graph } from "../graph/index.ts";
import { LayerWriter, type Precision } from "./layers.ts";

const CHANNELS = 64;
const BLOCKS = 4;
/** Ten words, silence, unknown. */
const WORDS = 12;

/**
 * The depthwise separable network for keywords (Zhang et al., "Hello Edge", arXiv 1711.07128) as the MLPerf Tiny benchmark has
 * it: 49 frames of 10 features [1, 49, 10, 1] to probabilities [1, 12].
 */
export function dsCnn({ precision }: { readonly precision: Precision }): Graph {
  const net = new LayerWriter(precision === "int8" ? "keyword_spotter" : "keyword_spotter_float", precision, 2017);
  let x = net.conv("conv", net.input("features", [1, 49, 10, 1]), CHANNELS, [10, 4], 2, "relu");
  for (let block = 1; block <= BLOCKS; block++) {
    x = net.depthwise(`depthwise_${block}`, x, 1, "relu");
    x = net.conv(`pointwise_${block}`, x, CHANNELS, [1, 1], 1, "relu");
  }
  return net.build(net.classify(x, WORDS), "A keyword spotter of the DS-CNN shape.");
}
