import { KingletError } from "../base/index.ts";
import type { Graph, Value } from "../graph/index.ts";
import { findOp } from "../ops/index.ts";
import { stageBytes, windowBytes } from "./cost.ts";
import { Liveness, valueBytes } from "./liveness.ts";
import { nodesIn, type RowForm, rowFormOf } from "./rows.ts";
import { recomputableBlocks } from "./recompute.ts";
import { sequenceOf } from "./sequence.ts";
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
  private readonly moveEarly: boolean;
  /** By index of its first node: a block that is computed again for every row. */
  private readonly blocks: ReadonlyMap<number, RowForm>;

  constructor(graph: Graph, streamed: Value | undefined, moveEarly: boolean, blocks: ReadonlyMap<number, RowForm>) {
    this.graph = graph;
    this.moveEarly = moveEarly;
    this.blocks = blocks;
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
      const bytes = stageBytes([form], sequenceOf([form]), this.live, at);
      return { first: at, count: 1, bytes, effort: 0 };
    }
    const bytes = this.live.lives.reduce((sum, { value, first, last }) => sum + (first <= at && at <= last ? valueBytes(value) : 0), 0);
    return { first: at, count: 1, bytes: findOp(node.op)?.alias === true ? 0 : bytes, effort: 0 };
  }

  /** Values that the stage makes on its way and later nodes read. */
  private keptIn(first: number, end: number): Set<number> {
    const made = this.graph.nodes.slice(first, end - 1).map((node) => node.outputs[0]!);
    return new Set(made.filter((value) => this.live.lifeOf(value).last >= end).map(({ id }) => id));
  }

  /** Factors for whole channels must be there before the first row. */
  private waits(forms: readonly RowForm[]): boolean {
    const made = new Set(forms.map(({ node }) => node.outputs[0]!.id));
    return forms.some(({ node, needs }) => node.inputs.some((value, i) => value !== null && needs[i] === null && made.has(value.id)));
  }

  private stagesFrom(first: number): void {
    const forms: RowForm[] = [];
    const streamed = first === 0 ? this.streamed : undefined;
    for (let at = first; at < this.graph.nodes.length; ) {
      const form = this.blocks.get(at) ?? this.forms[at];
      if (form === undefined || forms.some(({ collects }) => collects)) return;
      if (this.needsStream(at) && first !== 0) return;
      forms.push(form);
      at += nodesIn(form);
      if (this.waits(forms)) return;
      if (at - first === 1 && streamed === undefined) continue;
      if (streamed !== undefined && this.live.lifeOf(streamed).last >= at) continue;
      const sequence = sequenceOf(forms, { streamed, kept: this.keptIn(first, at), moveEarly: this.moveEarly });
      if (windowBytes(sequence) > this.most) return;
      const stage: FusedStage = { first, count: at - first, forms: [...forms], sequence, streamed };
      this.list.push({ first, count: at - first, bytes: stageBytes(forms, sequence, this.live, first), effort: sequence.acts.length, stage });
    }
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

/** Multiply-accumulates that a division computes beyond the network's own. */
export function extraMacsOf(choice: FusionChoice): number {
  return choice.stages.reduce((sum, { forms }) => sum + forms.reduce((more, { recomputed }) => more + (recomputed?.extraMacs ?? 0), 0), 0);
}

/**
 * Chooses blocks to compute again, one after the other: each time the one in the fullest stage that saves most, as
 * long as the extra multiply-accumulates stay within `budget` and the least bytes fall. Greedy, so not proved optimal.
 */
export function chooseRecomputed(graph: Graph, streamInput: boolean, budget: number): Map<number, RowForm> {
  const possible = recomputableBlocks(graph);
  let chosen = new Map<number, RowForm>();
  let search = searchFusion(graph, streamInput, true, chosen);
  for (;;) {
    const choice = search.within(search.leastBytes)!;
    const left = budget - [...chosen.values()].reduce((sum, { recomputed }) => sum + recomputed!.extraMacs, 0);
    const fullest = fullestStage(graph, choice);
    const candidates = [...possible].filter(([at, form]) => !chosen.has(at) && form.recomputed!.extraMacs <= left && fullest(at));
    let better: { blocks: Map<number, RowForm>; search: FusionSearch } | undefined;
    for (const [at, form] of candidates) {
      const blocks = new Map([...chosen, [at, form]]);
      const next = searchFusion(graph, streamInput, true, blocks);
      if (next.leastBytes < (better?.search ?? search).leastBytes) better = { blocks, search: next };
    }
    if (better === undefined) return chosen;
    ({ blocks: chosen, search } = better);
  }
}

/** Whether a node lies in a stage with the most bytes. */
function fullestStage(graph: Graph, choice: FusionChoice): (at: number) => boolean {
  const live = new Liveness(graph);
  const bytes = choice.stages.map(({ forms, sequence, first }) => stageBytes(forms, sequence, live, first));
  const most = Math.max(0, ...bytes);
  return (at) => choice.stages.some(({ first, count }, i) => bytes[i]! === most && first <= at && at < first + count);
}

/**
 * Divides a network into stages that compute row by row and nodes that compute whole images. Over the chain of
 * nodes in their order the answer is the optimum of the bytes that the search counts.
 * @throws KingletError `unsupported` where the input cannot stream.
 */
export function searchFusion(graph: Graph, streamInput: boolean, moveEarly = false, blocks: ReadonlyMap<number, RowForm> = new Map()): FusionSearch {
  const streamed = streamInput ? graph.inputs[0] : undefined;
  // Intervals come ordered by their first node, so every path to a node is known before it is left.
  const { list } = new Intervals(graph, streamed, moveEarly, blocks);
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
