import { KingletError } from "../../base/index.ts";
import { checkGraph, type Graph } from "../../graph/index.ts";
import { withoutClasses } from "./rewrite.ts";
import { tiesOf } from "./rules.ts";
import { type Channel, type ChannelCriterion, type ChannelSet, channelSets, CostModel } from "./sets.ts";

/** Exactly one of `macs`, `parameters` and `layers` says how much is removed. */
export interface PruneOptions {
  /** Share of the multiply-accumulates that may stay. */
  readonly macs?: number;
  /** Share of the parameters that may stay. */
  readonly parameters?: number;
  /** Share of channels to remove, by the names of layers; layers that must agree with one of them follow. */
  readonly layers?: Readonly<Record<string, number>>;
  /** Default "l1". */
  readonly by?: ChannelCriterion;
  /** What stays of a layer is a multiple of this, where kernels like that better. Default 1. */
  readonly multiple?: 1 | 2 | 4;
  /** Share of a layer's channels that always stays, so that none is cut through. Default 0.125. */
  readonly least?: number;
}

/** What was removed of the layers that one set of channels runs through. */
export interface RemovedChannels {
  readonly layers: readonly string[];
  /** Places among the outputs of the first of them, as they were. */
  readonly channels: readonly number[];
  /** Channels that there were. */
  readonly of: number;
}

export interface Pruned {
  readonly graph: Graph;
  readonly removed: readonly RemovedChannels[];
  readonly macs: { readonly before: number; readonly after: number };
  readonly parameters: { readonly before: number; readonly after: number };
}

/** Channels of one set that go together, so that what stays is a multiple. */
interface Unit {
  readonly score: number;
  readonly channels: readonly Channel[];
}

function checkShare(name: string, share: number | undefined): void {
  if (share !== undefined && !(share > 0 && share <= 1)) throw new KingletError("misuse", `${name} is ${share}; it is a share above 0, at most 1`);
}

function checkOptions(graph: Graph, { macs, parameters, layers, least }: PruneOptions): void {
  checkShare("macs", macs);
  checkShare("parameters", parameters);
  checkShare("least", least);
  if ([macs, parameters, layers].filter((each) => each !== undefined).length !== 1)
    throw new KingletError("misuse", "pruning needs one goal: macs, parameters or layers");
  const names = new Set(graph.nodes.map(({ name }) => name));
  for (const [name, share] of Object.entries(layers ?? {})) {
    if (!names.has(name)) throw new KingletError("misuse", `there is no layer "${name}" to prune`);
    if (!(share >= 0 && share < 1)) throw new KingletError("misuse", `of "${name}" a share of ${share} cannot be removed`);
  }
}

/** The fewest channels of a set that stay. */
function leastOf({ channels }: ChannelSet, { least = 0.125, multiple = 1 }: PruneOptions): number {
  return Math.max(multiple, Math.ceil((channels.length * least) / multiple) * multiple);
}

/** Units of a set in the order in which they go: the smallest scores first; the first unit brings the rest to a multiple. */
function unitsOf(set: ChannelSet, options: PruneOptions): Unit[] {
  const { multiple = 1 } = options;
  const sorted = [...set.channels].sort((a, b) => a.score - b.score || a.index - b.index);
  const units: Unit[] = [];
  let at = 0;
  for (let size = sorted.length % multiple || multiple; sorted.length - at - size >= leastOf(set, options); size = multiple) {
    const channels = sorted.slice(at, at + size);
    units.push({ channels, score: channels.reduce((sum, { score }) => sum + score, 0) / size });
    at += size;
  }
  return units;
}

type Cost = (removed: ReadonlySet<number>) => number;

/** Gives back, the largest scores first, what the goal is reached without: the last unit of a wide map may be a large step. */
function giveBack(taken: readonly (Unit & { readonly set: ChannelSet })[], removed: Set<number>, costOf: Cost, goal: number): void {
  const settled = new Set<ChannelSet>();
  for (const { set, channels } of [...taken].reverse()) {
    if (settled.has(set)) continue;
    for (const { id } of channels) removed.delete(id);
    if (costOf(removed) <= goal) continue;
    for (const { id } of channels) removed.add(id);
    settled.add(set);
  }
}

/** Takes the units with the smallest scores of the whole network until the goal is reached. */
function chooseGlobally(sets: readonly ChannelSet[], options: PruneOptions, costOf: Cost, share: number): Set<number> {
  const removed = new Set<number>();
  const whole = costOf(removed);
  const goal = share * whole;
  const queue = sets.flatMap((set) => unitsOf(set, options).map((unit) => ({ ...unit, set }))).sort((a, b) => a.score - b.score);
  let taken = 0;
  for (; taken < queue.length && costOf(removed) > goal; taken++) for (const { id } of queue[taken]!.channels) removed.add(id);
  const reached = costOf(removed);
  if (reached > goal)
    throw new KingletError("does-not-fit", `with at least ${options.least ?? 0.125} of each layer ${((100 * reached) / whole).toFixed(1)} % stay`, {
      hint: "Ask for less, or allow layers to become smaller with `least`.",
    });
  giveBack(queue.slice(0, taken), removed, costOf, goal);
  return removed;
}

function chooseByLayer(sets: readonly ChannelSet[], options: PruneOptions): Set<number> {
  const removed = new Set<number>();
  for (const [name, share] of Object.entries(options.layers!)) {
    const own = sets.filter(({ layers }) => layers.includes(name));
    if (own.length === 0) throw new KingletError("misuse", `"${name}" has no channels that can be removed`);
    for (const set of own) {
      const most = Math.floor(set.channels.length * share);
      let count = 0;
      for (const { channels } of unitsOf(set, options)) {
        if ((count += channels.length) > most) break;
        for (const { id } of channels) removed.add(id);
      }
    }
  }
  return removed;
}

/**
 * Structured pruning: removes the channels that matter least, with every filter, normalization, bias and column of weights that
 * belongs to them, in all layers that must agree. What stays is a smaller float network like any other: it trains on, quantizes and
 * compiles. Accuracy comes back with some epochs of training.
 * @throws KingletError `unsupported` that names an operator whose channels cannot be followed, `misuse` for options that make no
 * sense, `does-not-fit` where the goal is out of reach.
 */
export function pruneChannels(graph: Graph, options: PruneOptions): Pruned {
  checkOptions(graph, options);
  const ties = tiesOf(graph);
  const sets = channelSets(graph, ties, options.by ?? "l1");
  const cost = new CostModel(graph, ties);
  const macs = (removed: ReadonlySet<number>): number => cost.macs(removed);
  const parameters = (removed: ReadonlySet<number>): number => cost.parameterCount(removed);
  const goal = options.macs ?? options.parameters;
  const removed =
    goal === undefined ? chooseByLayer(sets, options) : chooseGlobally(sets, options, options.macs === undefined ? parameters : macs, goal);
  const pruned = withoutClasses(graph, ties, removed);
  checkGraph(pruned);
  const none = new Set<number>();
  return {
    graph: pruned,
    removed: sets.flatMap(({ layers, channels }) => {
      const gone = channels.filter(({ id }) => removed.has(id)).map(({ index }) => index);
      return gone.length === 0 ? [] : [{ layers, channels: gone.sort((a, b) => a - b), of: channels.length }];
    }),
    macs: { before: macs(none), after: macs(removed) },
    parameters: { before: parameters(none), after: parameters(removed) },
  };
}
