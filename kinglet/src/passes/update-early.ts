import type { Graph, Node } from "../graph/index.ts";

/** A node whose work is the new contents of its first input. */
function isUpdate({ outputs, inputs }: Node): boolean {
  return outputs.length === 0 && inputs[0]?.variable === true;
}

/** The last node before the update that makes one of its inputs, or needs a variable as it was. */
function lastNeeded(nodes: readonly Node[], update: Node): number {
  const { inputs } = update;
  const uses = (node: Node): boolean =>
    node.outputs.some((value) => inputs.includes(value)) || node.inputs.some((value) => value?.variable === true && inputs.includes(value));
  return nodes.slice(0, nodes.indexOf(update)).findLastIndex(uses);
}

/**
 * Moves every update of a variable behind the last node that it has to wait for. A training step that keeps all gradients until its end
 * becomes one in which each lives for a moment: its weights are updated as soon as it exists (Lin et al., NeurIPS 2022).
 */
export function updateEarly(graph: Graph): Graph {
  const { nodes } = graph;
  const behind = new Map<number, Node[]>();
  for (const update of nodes.filter(isUpdate)) {
    const at = lastNeeded(nodes, update);
    behind.set(at, [...(behind.get(at) ?? []), update]);
  }
  const moved = nodes.flatMap((node, i) => [...(isUpdate(node) ? [] : [node]), ...(behind.get(i) ?? [])]);
  return { ...graph, nodes: [...(behind.get(-1) ?? []), ...moved] };
}
