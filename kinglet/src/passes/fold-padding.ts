import type { Attributes, Graph, Node, Value } from "../graph/index.ts";
import { attributesOf } from "../ops/index.ts";

const WINDOWS = new Set(["conv2d", "depthwiseConv2d"]);

interface PadAttributes {
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly value?: number;
}

/** True where the padding adds real zeros, to rows and columns only. */
function padsZeros(node: Node): boolean {
  const a = attributesOf<PadAttributes>(node);
  const [x, y] = [node.inputs[0]!, node.outputs[0]!];
  if (x.shape.length !== 4 || [0, 3].some((axis) => a.before[axis] !== 0 || a.after[axis] !== 0)) return false;
  const zero = x.quantization?.zeroPoints[0] ?? 0;
  const same = (x.quantization?.scales[0] ?? 0) === (y.quantization?.scales[0] ?? 0) && zero === (y.quantization?.zeroPoints[0] ?? 0);
  return same && (a.value ?? zero) === zero;
}

function withPadding(node: Node, x: Value, pad: PadAttributes): Node {
  const old = node.attributes as Record<string, number>;
  const attributes: Attributes = {
    ...node.attributes,
    padTop: old["padTop"]! + pad.before[1]!,
    padBottom: old["padBottom"]! + pad.after[1]!,
    padLeft: old["padLeft"]! + pad.before[2]!,
    padRight: old["padRight"]! + pad.after[2]!,
  };
  return { ...node, attributes, inputs: [x, ...node.inputs.slice(1)] };
}

/** Moves padding by zeros into the convolution that follows: the padded map is then never stored. */
export function foldPadding(graph: Graph): Graph {
  const pads = new Map<number, Node>();
  for (const node of graph.nodes) if (node.op === "pad" && padsZeros(node)) pads.set(node.outputs[0]!.id, node);
  const nodes = graph.nodes.map((node) => {
    const pad = WINDOWS.has(node.op) && node.inputs[0] ? pads.get(node.inputs[0].id) : undefined;
    return pad === undefined ? node : withPadding(node, pad.inputs[0]!, attributesOf<PadAttributes>(pad));
  });
  return { ...graph, nodes };
}
