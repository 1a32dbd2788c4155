import { KingletError } from "../../base/index.ts";
import type { Graph, Node, Value } from "../../graph/index.ts";
import { runPasses } from "../pipeline.ts";
import { type DomainOptions, nodeDomains } from "./domains.ts";
import { Groups } from "./groups.ts";
import { Rewriter } from "./rewrite.ts";
import type { Domain } from "./rules.ts";
import type { Range } from "./scale.ts";
import type { LayerOverride, WeightOptions } from "./weights.ts";

export interface QuantizeOptions extends DomainOptions, WeightOptions {
  /** Calibrated ranges by value id; constants need none. */
  readonly ranges: ReadonlyMap<number, Range>;
  /** Element type of the network's own inputs and outputs (default float: the border converts). */
  readonly io?: Domain;
  /** What remedies worked out, by node number. */
  readonly overrides?: ReadonlyMap<number, LayerOverride>;
  /**
   * Give every integer layer its inputs from the floating-point network: then its error is its own. The network's
   * outputs stay in floating point.
   */
  readonly isolate?: boolean;
}

/** A node of the floating-point graph that became an integer one. */
export interface QuantizedNode {
  /** Its number in the floating-point graph. */
  readonly index: number;
  readonly source: Node;
  readonly node: Node;
  readonly domain: Domain;
}

export interface QuantizedModel {
  readonly graph: Graph;
  /** The floating-point graph that the ranges, numbers and ids speak of. */
  readonly source: Graph;
  readonly layers: readonly QuantizedNode[];
  /** For every value of a node in the source, the value that now stands for it, by id. With `isolate`, the integer one. */
  readonly values: ReadonlyMap<number, Value>;
  /** Nodes that stayed in floating point, and why. */
  readonly kept: readonly { readonly index: number; readonly source: Node; readonly why: string }[];
  /** Weights have this many bits of information; they are stored in bytes in any case, for want of a packed kernel. */
  readonly weightBits: 8 | 4;
}

/**
 * The graph that calibration runs and `quantizeGraph` takes: its passes done, its batch norms folded. One that does not fold
 * has no integer rule, so it stays in floating point and is listed.
 */
export function prepareForQuantization(graph: Graph): Graph {
  return runPasses(graph);
}

/**
 * Post-training quantization after the TensorFlow Lite int8 specification, or 16x8 with `activations: "int16"`:
 * symmetric weights of 8 or 4 bits, per output channel or per tensor; activations by their calibrated ranges; fixed
 * scales for softmax, logistic, tanh and L2 normalization; one scale across what only moves numbers. Nodes without an
 * integer rule stay in floating point between dequantize and quantize nodes, and are listed in `kept`.
 * @param source from `prepareForQuantization`
 * @throws KingletError `bad-input` where a range is missing or a constant is not finite; `unsupported` where no node
 *   can be quantized.
 */
export function quantizeGraph(source: Graph, options: QuantizeOptions): QuantizedModel {
  const domains = nodeDomains(source, options);
  const reasons = new Set(domains.map(({ why }) => why));
  if (domains.every(({ domain }) => domain === "float"))
    throw new KingletError("unsupported", `no node of the network can be quantized: ${[...reasons].join("; ")}`, { place: source.name });
  const rewriter = new Rewriter(source, domains, new Groups(source, domains, options.ranges), options);
  const { graph, layers, values } = rewriter.run();
  const kept = domains.flatMap(({ domain, why }, index) => (domain === "float" ? [{ index, source: source.nodes[index]!, why: why ?? "" }] : []));
  return { graph, source, layers, values, kept, weightBits: options.bits ?? 8 };
}
