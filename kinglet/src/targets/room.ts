import { dtypeBytes, elementCount } from "../base/index.ts";
import type { Graph, Value } from "../graph/index.ts";
import type { Optimize } from "./share.ts";

/** By how much of the least arena a kernel's working memory may raise the arena. */
const SHARE: Readonly<Record<Optimize, number>> = { size: 0, balanced: 1 / 50, speed: 1 / 8 };

function bytesOf(value: Value): number {
  return value.data === undefined ? elementCount(value.shape) * dtypeBytes(value.dtype) : 0;
}

/** The node after which each value is no longer needed. */
function lastUses(graph: Graph): Map<Value, number> {
  const last = new Map<Value, number>();
  graph.nodes.forEach((node, i) => {
    for (const value of [...node.inputs, ...node.outputs]) if (value !== null) last.set(value, i);
  });
  for (const value of graph.outputs) last.set(value, graph.nodes.length);
  return last;
}

/** Bytes that each node needs beside its working memory, if its output lies over an input that dies there. */
function needs(graph: Graph): number[] {
  const last = lastUses(graph);
  const live = new Set<Value>(graph.inputs);
  const sum = (values: Iterable<Value>): number => [...values].reduce((total, value) => total + bytesOf(value), 0);
  return graph.nodes.map((node, i) => {
    for (const value of node.outputs) live.add(value);
    const dying = node.inputs.filter((value): value is Value => value !== null && live.has(value) && last.get(value) === i);
    const need = sum(live) - Math.min(sum(new Set(dying)), sum(node.outputs));
    for (const value of [...live]) if ((last.get(value) ?? -1) <= i) live.delete(value);
    return need;
  });
}

/**
 * Bytes that working memory may add to what a node needs at least: a small share of what the largest layer needs, so
 * that layers far from the peak of RAM do not make it higher where outputs cannot lie where they are supposed to.
 */
export function workingRoom(graph: Graph, optimize: Optimize): number {
  return Math.floor(Math.max(0, ...needs(graph)) * SHARE[optimize]);
}
