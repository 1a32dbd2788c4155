import { KingletError, sameShape, shapeText } from "../base/index.ts";
import type { Graph, Node } from "../graph/index.ts";
import { findOp } from "../ops/index.ts";

function checkNode(node: Node): void {
  const inferred = findOp(node.op)!.infer(node.inputs, node.attributes);
  if (inferred.length !== node.outputs.length)
    throw new KingletError("bad-graph", `the ${node.op} node "${node.name}" should have ${inferred.length} outputs, not ${node.outputs.length}`);
  inferred.forEach((type, i) => {
    const output = node.outputs[i]!;
    if (output.dtype === type.dtype && sameShape(output.shape, type.shape)) return;
    const [is, should] = [`${output.dtype}${shapeText(output.shape)}`, `${type.dtype}${shapeText(type.shape)}`];
    throw new KingletError("bad-graph", `the ${node.op} node "${node.name}" gives ${should}, but its output "${output.name}" is declared as ${is}`);
  });
}

/**
 * Compares every declared type with what the operator's shape rule gives.
 * @throws KingletError `unsupported` that names all unknown operators at once, or `bad-graph` for the first wrong node.
 */
export function checkTypes(graph: Graph): Graph {
  const unknown = new Set(graph.nodes.filter((node) => findOp(node.op) === undefined).map((node) => node.op));
  if (unknown.size > 0)
    throw new KingletError("unsupported", `the model uses operators that Kinglet does not have: ${[...unknown].join(", ")}`, { place: graph.name });
  for (const node of graph.nodes) {
    try {
      checkNode(node);
    } catch (error) {
      if (!(error instanceof KingletError) || error.place !== undefined) throw error;
      throw new KingletError(error.code, `${error.message} (node "${node.name}")`, { place: graph.name });
    }
  }
  return graph;
}
