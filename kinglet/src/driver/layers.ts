import { dtypeBytes, elementCount } from "../base/index.ts";
import { isCoreId } from "../boards/index.ts";
import type { Node } from "../graph/index.ts";
import { MEMORY_BYTES, type Program, type Step } from "../loops/index.ts";
import { findOp } from "../ops/index.ts";
import type { Compiled } from "./compile.ts";
import type { Execution } from "./execute.ts";
import { idealInstructions } from "./ideal.ts";

/** One operation of the network as the program has it. */
export interface Layer {
  readonly name: string;
  readonly op: string;
  /** Its place in the program; absent where the operation only renames a tensor and needs no code. */
  readonly step?: number;
  readonly outputShape: readonly number[];
  readonly outputType: string;
  readonly macs: number;
  /** Tables (weights, biases, multipliers) that no earlier layer uses; so the layers add up. */
  readonly weightBytes: number;
  readonly outputBytes: number;
  readonly instructions?: number;
  /** With `instructions`: the fewest that the best known kernels could do with on that core; see ideal.ts. */
  readonly idealInstructions?: number;
}

/** Takes out the next value kept under a name; networks may give one name to several nodes. */
function takeFrom<T>(lists: Map<string, T[]>, key: string): T | undefined {
  return lists.get(key)?.shift();
}

function listsBy<T>(items: readonly T[], keyOf: (item: T, at: number) => string): Map<string, T[]> {
  const lists = new Map<string, T[]>();
  items.forEach((item, at) => {
    const key = keyOf(item, at);
    const list = lists.get(key);
    if (list === undefined) lists.set(key, [item]);
    else list.push(item);
  });
  return lists;
}

function keyOf(step: { readonly op: string; readonly name: string }): string {
  return `${step.op}\n${step.name}`;
}

/** The tables that a step reads: its arguments, and what a variable among them starts from. */
function tablesOf(program: Program, step: Step): number[] {
  return step.args.flatMap((arg) => {
    if (arg.kind === "constant") return [arg.index];
    const initial = arg.kind === "buffer" ? program.buffers[arg.index]!.initial : undefined;
    return initial?.kind === "constant" ? [initial.index] : [];
  });
}

/** Bytes of the tables that a step is the first to use. */
function newTableBytes(program: Program, step: Step, seen: Set<number>): number {
  let bytes = 0;
  for (const index of tablesOf(program, step)) {
    if (seen.has(index)) continue;
    seen.add(index);
    bytes += program.constants[index]!.data.byteLength;
  }
  return bytes;
}

/** What a step writes when no node of the graph stands behind it (a copy to an output). */
function stepOutput(program: Program, step: Step): Pick<Layer, "outputShape" | "outputType" | "outputBytes"> {
  const arg = step.args.findLast((each) => each.kind === "buffer");
  const buffer = arg === undefined ? undefined : program.buffers[(arg as { index: number }).index];
  if (buffer === undefined) return { outputShape: [], outputType: "", outputBytes: 0 };
  return { outputShape: [buffer.length], outputType: buffer.type, outputBytes: buffer.length * MEMORY_BYTES[buffer.type] };
}

function nodeOutput(node: Node): Pick<Layer, "outputShape" | "outputType" | "outputBytes"> {
  const first = node.outputs[0];
  const outputBytes = node.outputs.reduce((sum, value) => sum + elementCount(value.shape) * dtypeBytes(value.dtype), 0);
  return { outputShape: first?.shape ?? [], outputType: first?.dtype ?? "", outputBytes };
}

/** Instructions of every step by its key, from a run that counted them (its steps may stand in another order). */
function countedSteps(run: Execution | undefined): Map<string, number[]> {
  const counts = run?.core?.stepInstructions;
  if (run === undefined || counts === undefined) return new Map();
  const steps = run.compiled.program.steps;
  return listsBy(counts.slice(0, steps.length), (_, at) => keyOf(steps[at]!));
}

interface PlacedLayer {
  readonly at: number;
  readonly layer: Layer;
}

/** In a stage a node may have several steps (rows at the image's edges have kernels of their own): they are one layer. */
function mergeRows(program: Program, placed: readonly PlacedLayer[]): PlacedLayer[] {
  const merged: PlacedLayer[] = [];
  const known = new Map<string, number>();
  placed.forEach((each, step) => {
    const stage = (program.stages ?? []).findIndex(({ first, count }) => first <= step && step < first + count);
    const key = `${stage}\n${keyOf(each.layer)}`;
    const before = stage < 0 ? undefined : known.get(key);
    if (before === undefined) {
      known.set(key, merged.push(each) - 1);
      return;
    }
    const { at, layer } = merged[before]!;
    const instructions = layer.instructions === undefined ? {} : { instructions: layer.instructions + (each.layer.instructions ?? 0) };
    merged[before] = { at: Math.min(at, each.at), layer: { ...layer, weightBytes: layer.weightBytes + each.layer.weightBytes, ...instructions } };
  });
  return merged;
}

function idealOf(node: Node | undefined, via: string): Pick<Layer, "idealInstructions"> {
  const ideal = node === undefined || !isCoreId(via) ? undefined : idealInstructions(node, via);
  return ideal === undefined ? {} : { idealInstructions: Math.round(ideal) };
}

/**
 * A layer for each step in the order they run; nodes without code stand after the node they follow in the graph.
 * With a run that counted them, each has its instructions.
 */
export function layersOf(compiled: Compiled, profiled?: Execution): Layer[] {
  const { program, graph } = compiled;
  const nodes = listsBy(
    graph.nodes.map((node, at) => ({ node, at })),
    ({ node }) => keyOf(node),
  );
  const counted = countedSteps(profiled);
  const seen = new Set<number>();
  const placed: PlacedLayer[] = program.steps.map((step, index) => {
    const found = takeFrom(nodes, keyOf(step));
    const instructions = takeFrom(counted, keyOf(step));
    const layer: Layer = {
      name: step.name,
      op: step.op,
      step: index,
      ...(found === undefined ? stepOutput(program, step) : nodeOutput(found.node)),
      macs: found === undefined ? 0 : (findOp(found.node.op)?.macs?.(found.node) ?? 0),
      weightBytes: newTableBytes(program, step, seen),
      ...(instructions === undefined ? {} : { instructions, ...idealOf(found?.node, profiled!.via) }),
    };
    return { at: found?.at ?? graph.nodes.length, layer };
  });
  const layers = mergeRows(program, placed);
  const silent = [...nodes.values()].flat().sort((a, b) => a.at - b.at);
  for (const { node, at } of silent) {
    const after = layers.findLastIndex((each) => each.at < at);
    layers.splice(after + 1, 0, { at, layer: { name: node.name, op: node.op, ...nodeOutput(node), macs: 0, weightBytes: 0 } });
  }
  return layers.map(({ layer }) => layer);
}
