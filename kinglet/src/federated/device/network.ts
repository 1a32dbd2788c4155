import { KingletError } from "../../base/index.ts";
import { type Graph, withoutUnused } from "../../graph/index.ts";
import { prepareForQuantization } from "../../passes/index.ts";

/** Whether what is learned of a network has running statistics in it, which a device does not learn. */
export function hasBatchNorm(network: Graph): boolean {
  return network.nodes.some(({ op }) => op === "batchNorm");
}

/**
 * The network of a federation in which microcontrollers take part: each batch normalization is folded into the layer before, for all clients
 * alike. With another one a device's parameters would not be the others'.
 * @throws KingletError `unsupported` for a normalization without a layer before it.
 */
export function networkForDevices(network: Graph): Graph {
  const folded = prepareForQuantization(network);
  if (hasBatchNorm(folded))
    throw new KingletError("unsupported", "a batch normalization has no layer before it to be folded into, and a device learns none", {
      place: network.name,
      hint: "Choose a network without it, such as mlp.",
    });
  return withoutUnused(folded);
}
