import type { TypedArray } from "../base/index.ts";
import type { Graph, Node, Quantization, Value } from "../graph/index.ts";
import { attributesOf, type WindowAttributes } from "../ops/index.ts";
import { Liveness } from "./liveness.ts";
import { type RowForm, rowFormOf } from "./rows.ts";

/** Most channels of a group, and fewest: a depthwise kernel takes four at a time, and a convolution two. */
const LARGEST_GROUP = 8;
const SMALLEST_GROUP = 4;

/** Channels of each of the equal groups that `channels` divide into; undefined where they do not. */
function groupOf(channels: number): number | undefined {
  for (let group = LARGEST_GROUP; group >= SMALLEST_GROUP; group--) if (channels % group === 0) return group;
  return undefined;
}

/**
 * An expansion and the depthwise convolution after it, computed again for every output row from the rows before the
 * expansion, a group of channels at a time: the wide rows between them are never kept. It trades multiply-accumulates
 * for memory (the idea of recomputing at the seams of patches, MCUNetV2, Lin et al. 2021, here along rows only).
 */
export interface Recomputed {
  readonly expand: Node;
  readonly depthwise: Node;
  readonly groups: number;
  readonly groupChannels: number;
  /** Multiply-accumulates beyond those of computing every row once. */
  readonly extraMacs: number;
}

function isExpansion(node: Node): boolean {
  const a = attributesOf<WindowAttributes>(node);
  const w = node.inputs[1]?.data === undefined ? undefined : node.inputs[1].shape;
  if (node.op !== "conv2d" || w === undefined || w[1] !== 1 || w[2] !== 1 || w[3] !== node.inputs[0]!.shape[3]) return false;
  return a.strideH === 1 && a.strideW === 1 && a.padTop + a.padBottom + a.padLeft + a.padRight === 0;
}

/** Rows that the windows of a depthwise convolution cover, each as often as it is covered. */
function coveredRows(form: RowForm): number {
  const need = form.needs[0]!;
  const [height, rows] = [form.node.inputs[0]!.shape[1]!, form.node.outputs[0]!.shape[1]!];
  let covered = 0;
  for (let row = 0; row < rows; row++) {
    const first = row * need.stride - need.padTop;
    covered += Math.min(height, first + need.reach) - Math.max(0, first);
  }
  return covered;
}

/** The recomputing form of two neighbouring nodes, where they are an expansion and a depthwise convolution. */
function formOf(expand: Node, depthwise: Node): RowForm | undefined {
  const form = rowFormOf(depthwise);
  const wide = expand.outputs[0]!;
  const channels = wide.shape[3]!;
  if (
    form === undefined ||
    depthwise.op !== "depthwiseConv2d" ||
    depthwise.inputs[0] !== wide ||
    !isExpansion(expand) ||
    rowFormOf(expand) === undefined
  )
    return undefined;
  const groupChannels = groupOf(channels);
  if (attributesOf<{ depthMultiplier: number }>(depthwise).depthMultiplier !== 1 || groupChannels === undefined) return undefined;
  const [x, y] = [expand.inputs[0]!, depthwise.outputs[0]!];
  const macsOfRow = wide.shape[2]! * channels * x.shape[3]!;
  const extraMacs = Math.max(0, coveredRows(form) - wide.shape[1]!) * macsOfRow;
  const recomputed: Recomputed = { expand, depthwise, groups: channels / groupChannels, groupChannels, extraMacs };
  const node: Node = { ...depthwise, name: `${expand.name} with ${depthwise.name}`, inputs: [x], outputs: [y] };
  return { node, needs: [form.needs[0]!], collects: false, recomputed };
}

/** By index of the expansion: blocks that may be computed again instead of kept. */
export function recomputableBlocks(graph: Graph): Map<number, RowForm> {
  const live = new Liveness(graph);
  const blocks = new Map<number, RowForm>();
  graph.nodes.slice(0, -1).forEach((node, at) => {
    const form = formOf(node, graph.nodes[at + 1]!);
    if (form !== undefined && live.lifeOf(node.outputs[0]!).last === at + 1) blocks.set(at, form);
  });
  return blocks;
}

/** Elements of every `step`-th run of `length` elements, from `start` on. */
function runsOfData(data: TypedArray, start: number, length: number, step: number): TypedArray {
  const runs = Math.ceil((data.length - start) / step);
  const part = data.slice(0, runs * length) as TypedArray;
  for (let run = 0; run < runs; run++) {
    for (let i = 0; i < length; i++) part[run * length + i] = data[start + run * step + i]!;
  }
  return part;
}

function sliceQuantization(q: Quantization | undefined, from: number, count: number): Quantization | undefined {
  if (q === undefined || q.scales.length === 1) return q;
  return { ...q, scales: q.scales.slice(from, from + count), zeroPoints: q.zeroPoints.slice(from, from + count) };
}

/** Ids of slices are negative, so that they meet no value of the graph. */
function sliceId(value: Value, group: number): number {
  return -2 - value.id * 4096 - group;
}

/** Channels [group · count, …) of a constant whose channels run along its first or its last dimension. */
function sliceConstant(value: Value, group: number, count: number, along: "first" | "last"): Value {
  const channels = along === "first" ? value.shape[0]! : value.shape[value.shape.length - 1]!;
  const inner = along === "first" ? value.data!.length / channels : 1;
  const shape = along === "first" ? [count, ...value.shape.slice(1)] : [...value.shape.slice(0, -1), count];
  return {
    ...value,
    id: sliceId(value, group),
    shape,
    data: runsOfData(value.data!, group * count * inner, count * inner, channels * inner),
    quantization: sliceQuantization(value.quantization, group * count, count),
  };
}

function image(value: Value, rows: number, channels: number): Value {
  return { ...value, shape: [1, rows, value.shape[2]!, channels] };
}

/** The two nodes for one group of channels of one output row; rows outside of the image are the depthwise node's padding. */
export function groupNodes(made: Recomputed, group: number, rows: number, above: number, below: number): { expand: Node; depthwise: Node } {
  const { expand, depthwise, groupChannels } = made;
  const constants = (node: Node, along: "first" | "last"): (Value | null)[] =>
    node.inputs.slice(1).map((value, i) => (value === null ? null : sliceConstant(value, group, groupChannels, i === 0 ? along : "first")));
  const x = expand.inputs[0]!;
  const wide = image(expand.outputs[0]!, rows, groupChannels);
  return {
    expand: { ...expand, inputs: [image(x, rows, x.shape[3]!), ...constants(expand, "first")], outputs: [wide] },
    depthwise: {
      ...depthwise,
      inputs: [wide, ...constants(depthwise, "last")],
      outputs: [image(depthwise.outputs[0]!, 1, groupChannels)],
      attributes: { ...depthwise.attributes, padTop: above, padBottom: below, strideH: 1 },
    },
  };
}
