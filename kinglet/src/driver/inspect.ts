import { BOARDS } from "../boards/index.ts";
import { dtypeBytes, elementCount } from "../base/index.ts";
import type { Graph, Value } from "../graph/index.ts";
import { findOp } from "../ops/index.ts";
import { type Compiled, compileGraph } from "./compile.ts";

export interface InspectedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly scale?: number;
  readonly zeroPoint?: number;
}

export interface InspectedNode {
  readonly name: string;
  readonly op: string;
  readonly outputShape: readonly number[];
  readonly outputType: string;
  readonly macs: number;
  /** Constants that this node reads and no earlier node did. */
  readonly weightBytes: number;
  readonly outputBytes: number;
}

export interface InspectedBoard {
  readonly id: string;
  readonly name: string;
  readonly sramBytes: number;
  readonly flashBytes: number;
  readonly fits: boolean;
}

/** What a network is and needs, as plain data: the answer of `kinglet inspect --json`. */
export interface Inspection {
  readonly name: string;
  readonly operators: Readonly<Record<string, number>>;
  readonly inputs: readonly InspectedTensor[];
  readonly outputs: readonly InspectedTensor[];
  readonly parameters: number;
  readonly macs: number;
  readonly arenaBytes: number;
  readonly weightBytes: number;
  readonly nodes: readonly InspectedNode[];
  /** Real boards; a board fits by its arena and tables, the code comes on top. */
  readonly boards: readonly InspectedBoard[];
  readonly metadata: Readonly<Record<string, string>>;
}

function bytesOfValue(value: Value): number {
  return elementCount(value.shape) * dtypeBytes(value.dtype);
}

function tensor(value: Value): InspectedTensor {
  const q = value.quantization;
  const scaled = q === undefined || q.scales.length !== 1 ? {} : { scale: q.scales[0]!, zeroPoint: q.zeroPoints[0]! };
  return { name: value.name, dtype: value.dtype, shape: value.shape, bytes: bytesOfValue(value), ...scaled };
}

function nodesOf(graph: Graph): InspectedNode[] {
  const seen = new Set<Value>();
  return graph.nodes.map((node) => {
    const fresh = new Set(node.inputs.filter((value): value is Value => value?.data !== undefined && !seen.has(value)));
    for (const value of fresh) seen.add(value);
    const first = node.outputs[0];
    return {
      name: node.name,
      op: node.op,
      outputShape: first?.shape ?? [],
      outputType: first?.dtype ?? "",
      macs: findOp(node.op)?.macs?.(node) ?? 0,
      weightBytes: [...fresh].reduce((sum, value) => sum + value.data!.byteLength, 0),
      outputBytes: node.outputs.reduce((sum, value) => sum + bytesOfValue(value), 0),
    };
  });
}

function operatorCounts(graph: Graph): Record<string, number> {
  const counts = new Map<string, number>();
  for (const node of graph.nodes) counts.set(node.op, (counts.get(node.op) ?? 0) + 1);
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1]));
}

/**
 * The facts of a network, with the memory it needs as portable C.
 * @throws KingletError `unsupported` or `bad-graph`.
 */
export function inspectGraph(graph: Graph): { readonly inspection: Inspection; readonly compiled: Compiled } {
  const compiled = compileGraph(graph, { target: "c" });
  const { macs, parameters, weightBytes, plan } = compiled;
  const boards = BOARDS.filter((board) => board.emulated !== true).map(({ id, name, sramBytes, flashBytes }) => ({
    id,
    name,
    sramBytes,
    flashBytes,
    fits: plan.arenaBytes <= sramBytes && weightBytes <= flashBytes,
  }));
  return {
    compiled,
    inspection: {
      name: graph.name,
      operators: operatorCounts(compiled.graph),
      inputs: graph.inputs.map(tensor),
      outputs: graph.outputs.map(tensor),
      parameters,
      macs,
      arenaBytes: plan.arenaBytes,
      weightBytes,
      nodes: nodesOf(compiled.graph),
      boards,
      metadata: graph.metadata,
    },
  };
}
