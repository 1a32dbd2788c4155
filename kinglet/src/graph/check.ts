import { allocate, bytesOf, elementCount, KingletError } from "../base/index.ts";
import type { Graph, Node, Value } from "./graph.ts";

function fail(graph: Graph, message: string): never {
  throw new KingletError("bad-graph", message, { place: graph.name });
}

function checkValue(graph: Graph, value: Value): void {
  const bad = value.shape.find((dim) => !Number.isInteger(dim) || dim < 1);
  if (bad !== undefined) fail(graph, `value "${value.name}" has the dimension ${bad}; every dimension must be a whole number of at least 1`);
  const length = elementCount(value.shape);
  if (!Number.isSafeInteger(length) || length > 2 ** 31) fail(graph, `value "${value.name}" has ${length} elements, more than any target can hold`);
  for (const data of [value.data, value.initial]) {
    if (data === undefined) continue;
    if (data.length !== length) fail(graph, `value "${value.name}" holds ${data.length} elements but its shape needs ${length}`);
    if (data.constructor !== allocate(value.dtype, 0).constructor)
      fail(graph, `value "${value.name}" of ${value.dtype} holds ${bytesOf(data).byteLength} bytes in a ${data.constructor.name}`);
  }
  const quantization = value.quantization;
  if (quantization === undefined) return;
  const entries = quantization.scales.length;
  if (entries === 0 || entries !== quantization.zeroPoints.length)
    fail(graph, `value "${value.name}" has ${entries} scales and ${quantization.zeroPoints.length} zero points`);
  if (entries > 1 && value.shape[quantization.axis] !== entries)
    fail(graph, `value "${value.name}" has ${entries} scales along axis ${quantization.axis} of ${value.shape[quantization.axis] ?? "none"}`);
  if (quantization.scales.some((scale) => !(scale > 0) || !Number.isFinite(scale)))
    fail(graph, `value "${value.name}" has a scale that is not a positive number`);
}

function checkNode(graph: Graph, node: Node, ready: Set<number>): void {
  for (const input of node.inputs) {
    if (input !== null && !ready.has(input.id)) fail(graph, `node "${node.name}" (${node.op}) reads "${input.name}" before anything has produced it`);
  }
  for (const output of node.outputs) {
    if (ready.has(output.id)) fail(graph, `node "${node.name}" (${node.op}) produces "${output.name}" a second time`);
    ready.add(output.id);
  }
}

/**
 * Checks what every graph must be: whole positive shapes, constants of the right size and type,
 * quantization that fits, nodes in an executable order, each value produced once.
 * @throws KingletError `bad-graph` that names the value or node.
 */
export function checkGraph(graph: Graph): void {
  const ready = new Set<number>();
  for (const value of graph.values) {
    checkValue(graph, value);
    if (value.data !== undefined || value.variable === true) ready.add(value.id);
  }
  for (const input of graph.inputs) ready.add(input.id);
  for (const node of graph.nodes) checkNode(graph, node, ready);
  for (const output of graph.outputs) {
    if (!ready.has(output.id)) fail(graph, `output "${output.name}" is never produced`);
  }
}
