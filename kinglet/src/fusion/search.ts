import { KingletError } from "../base/index.ts";
import type { Graph, Value } from "../graph/index.ts";
import { findOp } from "../ops/index.ts";
import { stageBytes, windowBytes } from "./cost.ts";
import { Liveness, valueBytes } from "./liveness.ts";
import { type RowForm, rowFormOf } from "./rows.ts";
import { type Sequence, sequenceOf } from "./sequence.ts";
import type { FusedStage } from "./stage.ts";

/** Nodes [first, first + count) as one unit: whole images where `stage` is absent. */
interface Interval {
  readonly first: number;
  readonly count: number;
  readonly bytes: number;
  /** What running by rows costs: times that a row has to be moved or a kernel called. */
  readonly effort: number;
  readonly stage?: FusedStage;
}

/** A way to divide a network into stages. */
export interface FusionChoice {
  readonly stages: readonly FusedStage[];
  /** Bytes at the fullest moment, were memory divisible as water. */
  readonly bytes: number;
}

export interface FusionSearch {
  /** The smallest number of bytes that any division reaches, were memory divisible as water. */
  readonly leastBytes: number;
  /** The division with the least effort that stays within `limit`, or undefined where none does. */
  within(limit: number): FusionChoice | undefined;
  /** Limits at which the choice changes, ascending. */
  readonly limits: readonly number[];
}

/** Every interval that can be a unit. */
class Intervals {
  readonly list: Interval[] = [];
  private readonly graph: Graph;
  private readonly live: Liveness;
  private readonly forms: readonly (RowForm | undefined)[];
  private readonly streamed: Value | undefined;
  /** More than this many bytes no division needs: everything by whole images. */
  private readonly most: number;

  constructor(graph: Graph, streamed: Value | undefined) {
    this.graph = graph;
    this.live = new Liveness(graph);
    this.forms = graph.nodes.map(rowFormOf);
    this.streamed = streamed;
    const singles = graph.nodes.map((_, at) => this.whole(at));
    this.most = Math.max(0, ...singles.map(({ bytes }) => bytes));
    graph.nodes.forEach((_, at) => {
      const single = singles[at]!;
      if (!this.needsStream(at)) this.list.push(single);
      this.stagesFrom(at);
    });
  }

  /** Nodes that read the streamed input must be in a stage that starts the network. */
  private needsStream(at: number): boolean {
    return this.streamed !== undefined && this.graph.nodes[at]!.inputs.includes(this.streamed);
  }

  private whole(at: number): Interval {
    const form = this.forms[at];
    const node = this.graph.nodes[at]!;
    const streams = this.needsStream(at);
    if (form !== undefined && !form.collects && !streams) {
      const bytes = stageBytes([form], sequenceOf([form], undefined), this.live, at);
      return { first: at, count: 1, bytes, effort: 0 };
    }
    const bytes = this.live.lives.reduce((sum, { value, first, last }) => sum + (first <= at && at <= last ? valueBytes(value) : 0), 0);
    return { first: at, count: 1, bytes: findOp(node.op)?.alias === true ? 0 : bytes, effort: 0 };
  }

  /** What a stage makes stays inside, but for what its last node makes. */
  private closed(first: number, end: number): boolean {
    for (let at = first; at < end - 1; at++) if (this.live.lifeOf(this.graph.nodes[at]!.outputs[0]!).last >= end) return false;
    return true;
  }

  private stagesFrom(first: number): void {
    const forms: RowForm[] = [];
    const streamed = first === 0 ? this.streamed : undefined;
    for (let at = first; at < this.graph.nodes.length; at++) {
      const form = this.forms[at];
      if (form === undefined || forms.some(({ collects }) => collects)) return;
      if (this.needsStream(at) && first !== 0) return;
      forms.push(form);
      if ((forms.length === 1 && streamed === undefined) || !this.closed(first, at + 1)) continue;
      if (streamed !== undefined && this.live.lifeOf(streamed).last > at) continue;
      const sequence = sequenceIfAny(forms, streamed);
      if (sequence === undefined) continue;
      if (windowBytes(sequence) > this.most) return;
      const stage: FusedStage = { first, forms: [...forms], sequence, streamed };
      this.list.push({ first, count: forms.length, bytes: stageBytes(forms, sequence, this.live, first), effort: sequence.acts.length, stage });
    }
  }
}

function sequenceIfAny(forms: readonly RowForm[], streamed: Value | undefined): Sequence | undefined {
  try {
    return sequenceOf(forms, streamed);
  } catch (error) {
    if (error instanceof KingletError) return undefined;
    throw error;
  }
}

/** The cheapest division whose intervals all stay within `limit`: a shortest path through the chain of nodes. */
function divide(list: readonly Interval[], nodes: number, limit: number): FusionChoice | undefined {
  const best: ({ effort: number; through: Interval | undefined } | undefined)[] = new Array(nodes + 1).fill(undefined);
  best[0] = { effort: 0, through: undefined };
  for (const interval of list) {
    const before = best[interval.first];
    if (before === undefined || interval.bytes > limit) continue;
    const effort = before.effort + interval.effort;
    const end = interval.first + interval.count;
    if (best[end] === undefined || effort < best[end].effort) best[end] = { effort, through: interval };
  }
  const stages: FusedStage[] = [];
  let bytes = 0;
  for (let at = nodes; at > 0; ) {
    const through = best[at]?.through;
    if (through === undefined) return undefined;
    if (through.stage !== undefined) stages.unshift(through.stage);
    bytes = Math.max(bytes, through.bytes);
    at = through.first;
  }
  return { stages, bytes };
}

/**
 * Divides a network into stages that compute row by row and nodes that compute whole images. Over the chain of
 * nodes in their order the answer is the optimum of the bytes that the search counts.
 * @throws KingletError `unsupported` where the input cannot stream.
 */
export function searchFusion(graph: Graph, streamInput: boolean): FusionSearch {
  const streamed = streamInput ? graph.inputs[0] : undefined;
  // Intervals come ordered by their first node, so every path to a node is known before it is left.
  const { list } = new Intervals(graph, streamed);
  const limits = [...new Set(list.map(({ bytes }) => bytes))].sort((a, b) => a - b);
  let [low, high] = [0, limits.length - 1];
  if (high < 0 || divide(list, graph.nodes.length, limits[high]!) === undefined)
    throw new KingletError("unsupported", "the input cannot come row by row: the nodes that read it need it whole", { place: graph.name });
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (divide(list, graph.nodes.length, limits[middle]!) === undefined) low = middle + 1;
    else high = middle;
  }
  return {
    leastBytes: limits[low]!,
    limits: limits.slice(low),
    within: (limit) => divide(list, graph.nodes.length, limit),
  };
}
