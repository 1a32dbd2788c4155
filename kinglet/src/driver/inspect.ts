import { type Board, BOARDS, ramNeeded } from "../boards/index.ts";
import { dtypeBytes, elementCount } from "../base/index.ts";
import type { Graph, Value } from "../graph/index.ts";
import { type Compiled, compileGraph } from "./compile.ts";
import { type Layer, layersOf } from "./layers.ts";

export interface InspectedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly scale?: number;
  readonly zeroPoint?: number;
}

export interface InspectedBoard {
  readonly id: string;
  readonly name: string;
  readonly sramBytes: number;
  readonly flashBytes: number;
  /** What the network needs here: cores with the DSP extension run other kernels than portable C. */
  readonly arenaBytes: number;
  readonly weightBytes: number;
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
  /** As portable C; the other pair is for cores with the DSP extension. */
  readonly arenaBytes: number;
  readonly arenaBytesDsp: number;
  readonly weightBytes: number;
  readonly weightBytesDsp: number;
  /** In the order they run as portable C; their tables add up to `weightBytes`. */
  readonly nodes: readonly Layer[];
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

function operatorCounts(graph: Graph): Record<string, number> {
  const counts = new Map<string, number>();
  for (const node of graph.nodes) counts.set(node.op, (counts.get(node.op) ?? 0) + 1);
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1]));
}

function boardNeed(board: Board, { plan: { arenaBytes }, weightBytes }: Compiled): InspectedBoard {
  const { id, name, sramBytes, flashBytes } = board;
  const fits = ramNeeded(board, arenaBytes, weightBytes) <= sramBytes && weightBytes <= flashBytes;
  return { id, name, sramBytes, flashBytes, arenaBytes, weightBytes, fits };
}

/**
 * The facts of a network, with the memory it needs as C: portable, and for cores with the DSP extension.
 * `compiled` is the portable one.
 * @throws KingletError `unsupported` or `bad-graph`.
 */
export function inspectGraph(graph: Graph): { readonly inspection: Inspection; readonly compiled: Compiled } {
  const compiled = compileGraph(graph, { target: "c" });
  const dsp = compileGraph(graph, { target: "c-dsp" });
  const { macs, parameters, weightBytes, plan } = compiled;
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
      arenaBytesDsp: dsp.plan.arenaBytes,
      weightBytes,
      weightBytesDsp: dsp.weightBytes,
      nodes: layersOf(compiled),
      boards: BOARDS.filter((board) => board.emulated !== true).map((board) => boardNeed(board, board.dsp ? dsp : compiled)),
      metadata: graph.metadata,
    },
  };
}
