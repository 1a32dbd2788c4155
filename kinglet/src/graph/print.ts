import { shapeText } from "../base/index.ts";
import type { Graph, Value } from "./graph.ts";

function valueText(value: Value | null): string {
  if (value === null) return "-";
  const kind = value.data ? "const " : value.variable ? "var " : "";
  return `${kind}%${value.id} ${value.dtype}${shapeText(value.shape)}`;
}

/** The whole graph as readable text, one node a line. */
export function printGraph(graph: Graph): string {
  const lines = [`graph ${graph.name}(${graph.inputs.map(valueText).join(", ")})`];
  for (const node of graph.nodes) {
    const attributes = JSON.stringify(node.attributes);
    lines.push(
      `  ${node.outputs.map(valueText).join(", ")} = ${node.op}(${node.inputs.map(valueText).join(", ")}) ${attributes === "{}" ? "" : attributes}`.trimEnd(),
    );
  }
  lines.push(`  return ${graph.outputs.map(valueText).join(", ")}`);
  return `${lines.join("\n")}\n`;
}
