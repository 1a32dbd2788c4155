import { KingletError } from "../base/index.ts";
import type { Graph, Node } from "../graph/index.ts";

/**
 * Holds a network against a format. `obstacle` says why the format cannot hold a node, or null where it can.
 * @throws KingletError `unsupported` that names every node that it cannot hold, once.
 */
export function checkExpressible(graph: Graph, extension: string, obstacle: (node: Node) => string | null): void {
  const reasons = new Map<string, string[]>();
  for (const node of graph.nodes) {
    const reason = obstacle(node);
    if (reason !== null) reasons.set(reason, [...(reasons.get(reason) ?? []), `${node.op} "${node.name}"`]);
  }
  if (reasons.size === 0) return;
  const list = [...reasons].map(([reason, nodes]) => `${nodes.join(", ")}: ${reason}`).join("; ");
  throw new KingletError("unsupported", `${extension === ".onnx" ? "an" : "a"} ${extension} file cannot hold all of this network: ${list}`, {
    place: graph.name,
    hint: "A .kinglet file holds every network; features and losses can stay outside of what is converted.",
  });
}
