import type { Attributes, Graph, Node } from "../../graph/index.ts";

/** What frameworks do differently around the same weights. */
export interface Conventions {
  /** What batch normalization adds to a variance. */
  readonly epsilon: number;
  /** Zeros around a window that moves by more than one pixel: the larger half behind the map, or as many before it as behind. */
  readonly padding: "same" | "symmetric";
}

/** Half a window on each side; null where the map would have another size then, or the window no middle. */
function symmetric(size: number, dilation: number, stride: number, length: number, positions: number): number | null {
  const reach = (size - 1) * dilation;
  return reach % 2 === 0 && Math.floor((length - 1) / stride) + 1 === positions ? reach / 2 : null;
}

/** Rows and columns of a node's window, or null where it has none. */
function windowOf({ op, inputs, attributes }: Node): readonly [number, number] | null {
  if (op === "maxPool2d" || op === "averagePool2d") return [Number(attributes["filterH"]), Number(attributes["filterW"])];
  const weights = inputs[1];
  return (op === "conv2d" || op === "depthwiseConv2d") && weights ? [weights.shape[1]!, weights.shape[2]!] : null;
}

function padded(node: Node): Attributes {
  const { attributes, inputs, outputs } = node;
  const window = windowOf(node);
  if (window === null) return attributes;
  const along = (axis: 0 | 1, suffix: "H" | "W"): number | null => {
    const [dilation, stride] = [Number(attributes[`dilation${suffix}`] ?? 1), Number(attributes[`stride${suffix}`])];
    return symmetric(window[axis], dilation, stride, inputs[0]!.shape[axis + 1]!, outputs[0]!.shape[axis + 1]!);
  };
  const [rows, columns] = [along(0, "H"), along(1, "W")];
  return {
    ...attributes,
    ...(rows === null ? {} : { padTop: rows, padBottom: rows }),
    ...(columns === null ? {} : { padLeft: columns, padRight: columns }),
  };
}

/** The network with a framework's epsilons and paddings; maps keep their sizes. */
export function withConventions(graph: Graph, { epsilon, padding }: Conventions): Graph {
  const nodes = graph.nodes.map((node): Node => {
    if (node.op === "batchNorm") return { ...node, attributes: { ...node.attributes, epsilon } };
    return padding === "symmetric" ? { ...node, attributes: padded(node) } : node;
  });
  return { ...graph, nodes };
}
