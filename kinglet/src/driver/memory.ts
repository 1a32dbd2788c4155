import { KingletError } from "../base/index.ts";
import { chooseRecomputed, extraMacsOf, type FusedStage, type FusionSearch, searchFusion } from "../fusion/index.ts";
import type { Graph } from "../graph/index.ts";
import type { Program } from "../loops/index.ts";
import { orderSteps, type Plan, placeBuffers } from "../plan/index.ts";

/** How a network may use memory. */
export interface MemoryOptions {
  /** Lets runs of nodes compute row by row where that needs less memory. Also tried where `ram` asks for it. */
  readonly fuse?: boolean;
  /** The first input comes row by row and is never whole in memory. */
  readonly streamInput?: boolean;
  /** The arena may have this many bytes; of all plans that fit, the fastest is taken. */
  readonly ram?: number;
  /** With rows: multiply-accumulates may grow to this many times the network's own where that saves memory (default 1). */
  readonly trade?: number;
  /** False where the target runs whole images only: then `ram` only refuses. */
  readonly rows?: boolean;
  /** Every value keeps its own bytes, so that all of them can be read after a run. */
  readonly pinned?: boolean;
  /** The target's kernels in place can also run from the last pixel to the first. */
  readonly backward?: boolean;
  /** A step's output may overlap its input (default true); threads that share a step must not. */
  readonly overlap?: boolean;
}

/** A program with its place in memory. */
export interface Placed {
  readonly program: Program;
  readonly plan: Plan;
  /** Multiply-accumulates beyond the network's own, where rows are computed again. */
  readonly extraMacs?: number;
}

/** How the graph becomes a program: with what stages, and how kernels in place walk. */
export type LowerWith = (stages: readonly FusedStage[], walks: "forward" | "alternate") => Program;

/** The better of the given order and the one with the lowest peak: overlap may favour either. */
function place(given: Program, pinned: boolean, overlap = true): Placed {
  if (pinned) return { program: given, plan: placeBuffers(given, { pinned }) };
  const reordered = orderSteps(given);
  const plan = placeBuffers(reordered, { overlap });
  const same = given.steps.every((step, i) => step === reordered.steps[i]);
  if (same) return { program: reordered, plan };
  const before = placeBuffers(given, { overlap });
  return before.arenaBytes <= plan.arenaBytes ? { program: given, plan: before } : { program: reordered, plan };
}

/** The choice with the smallest arena; one that meets its lower bound ends the search. */
function smallest(choices: readonly (() => Placed)[]): Placed {
  let best = choices[0]!();
  for (const choice of choices.slice(1)) {
    if (best.plan.arenaBytes === best.plan.lowerBoundBytes) break;
    const next = choice();
    if (next.plan.arenaBytes < best.plan.arenaBytes) best = next;
  }
  return best;
}

function wholeImages(graph: Graph, lowerWith: LowerWith, { pinned = false, backward = true, overlap = true }: MemoryOptions): Placed {
  const walks =
    pinned || !backward || !graph.nodes.some((node) => node.op === "depthwiseConv2d") ? (["forward"] as const) : (["forward", "alternate"] as const);
  return smallest(walks.map((walk) => () => place(lowerWith([], walk), pinned, overlap)));
}

/** Divisions tried, as multiples of the least bytes that the search counts: it does not see the kernels' working memory. */
const SLACKS = [1, 1.02, 1.05, 1.1, 1.2];
/** The same as shares of a limit. */
const SHARES = [1, 0.96, 0.92, 0.86, 0.78, 0.7];

/** Places each division once, however often it is asked for. */
class Divisions {
  private readonly searches: readonly FusionSearch[];
  private readonly lowerWith: LowerWith;
  private readonly known = new Map<string, Placed>();

  constructor(graph: Graph, streamInput: boolean, extraMacs: number, lowerWith: LowerWith) {
    const blocks = extraMacs > 0 ? chooseRecomputed(graph, streamInput, extraMacs) : undefined;
    this.searches = [true, false].map((moveEarly) => searchFusion(graph, streamInput, moveEarly, blocks));
    this.lowerWith = lowerWith;
  }

  private placed(limit: number): Placed[] {
    return this.searches.flatMap((search, at) => {
      const choice = search.within(limit);
      if (choice === undefined || choice.stages.length === 0) return [];
      const key = `${at}: ${choice.stages.map(({ first, count }) => `${first}+${count}`).join(" ")}`;
      const known = this.known.get(key) ?? { ...place(this.lowerWith(choice.stages, "forward"), false), extraMacs: extraMacsOf(choice) };
      this.known.set(key, known);
      return [known];
    });
  }

  private get leastBytes(): number {
    return Math.min(...this.searches.map(({ leastBytes }) => leastBytes));
  }

  /** The first that fits, from the least effort to the least bytes. */
  fitting(ram: number): Placed | undefined {
    const limits = [...SHARES.map((share) => share * ram), ...[...SLACKS].reverse().map((slack) => slack * this.leastBytes)];
    for (const limit of limits) {
      const fits = this.placed(limit).find(({ plan }) => plan.arenaBytes <= ram);
      if (fits !== undefined) return fits;
    }
    return undefined;
  }

  /** The smallest; of several as small the one with the least effort, which comes first. */
  least(): Placed | undefined {
    const all = [...SLACKS].reverse().flatMap((slack) => this.placed(slack * this.leastBytes));
    return all.sort((a, b) => a.plan.arenaBytes - b.plan.arenaBytes)[0];
  }
}

function better(a: Placed, b: Placed | undefined): Placed {
  return b !== undefined && b.plan.arenaBytes < a.plan.arenaBytes ? b : a;
}

interface RowOptions {
  readonly streamInput: boolean;
  readonly ram?: number | undefined;
  readonly extraMacs: number;
}

/** By rows with the usual kernels or, where those do not meet a limit, with thriftier ones. */
function byRowsFor(graph: Graph, options: RowOptions, lowerings: readonly LowerWith[]): Placed | undefined {
  let best: Placed | undefined;
  for (const lowerWith of lowerings) {
    const next = byRowsWith(graph, options, lowerWith);
    best = best === undefined ? next : better(best, next);
    if (options.ram === undefined || (best !== undefined && best.plan.arenaBytes <= options.ram)) break;
  }
  return best;
}

function byRowsWith(graph: Graph, { streamInput, ram, extraMacs }: RowOptions, lowerWith: LowerWith): Placed | undefined {
  const divisions = new Divisions(graph, streamInput, 0, lowerWith);
  const plain = (ram === undefined ? undefined : divisions.fitting(ram)) ?? divisions.least();
  if (extraMacs <= 0 || (ram !== undefined && plain !== undefined && plain.plan.arenaBytes <= ram)) return plain;
  // Computing rows again is the last resort, as it costs time.
  const again = new Divisions(graph, streamInput, extraMacs, lowerWith);
  const traded = (ram === undefined ? undefined : again.fitting(ram)) ?? again.least();
  return plain === undefined ? traded : better(plain, traded);
}

/** Bytes by each way of using memory, for a person whose limit none of them meets. */
function menu(graph: Graph, options: MemoryOptions, lowerings: readonly LowerWith[], images: Placed | undefined, rows: Placed | undefined): string {
  const lines = [
    ...(images === undefined ? [] : [`${images.plan.arenaBytes} bytes by whole images`]),
    ...(rows === undefined ? [] : [`${rows.plan.arenaBytes} by rows${options.streamInput === true ? " with a streamed input" : ""}`]),
  ];
  if (options.streamInput !== true) {
    const streamed = streamedIfAny(graph, lowerings);
    if (streamed !== undefined) lines.push(`${streamed.plan.arenaBytes} by rows with a streamed input (--stream-input)`);
  }
  return `it would need ${lines.join("; ")}${options.trade === undefined ? "; --trade macs=1.2 lets rows be computed again" : ""}`;
}

function streamedIfAny(graph: Graph, lowerings: readonly LowerWith[]): Placed | undefined {
  try {
    return byRowsFor(graph, { streamInput: true, ram: 0, extraMacs: 0 }, lowerings);
  } catch (error) {
    if (error instanceof KingletError && error.code === "unsupported") return undefined;
    throw error;
  }
}

/**
 * Chooses how the network uses memory, and places it.
 * @param lowerings with the fastest kernels first, then with ones that need less working memory.
 * @throws KingletError `does-not-fit` with what each way would need; `unsupported` where the input cannot stream.
 */
export function chooseMemory(graph: Graph, options: MemoryOptions, macs: number, lowerings: readonly LowerWith[]): Placed {
  const extraMacs = Math.floor(((options.trade ?? 1) - 1) * macs);
  const { ram, streamInput = false, pinned = false } = options;
  const images = streamInput ? undefined : wholeImages(graph, lowerings[0]!, options);
  const fits = (placed: Placed | undefined): boolean => placed !== undefined && (ram === undefined || placed.plan.arenaBytes <= ram);
  if (pinned || (images !== undefined && options.fuse !== true && fits(images))) return images!;
  // With a limit the fastest plan that meets it; without one the smallest with the usual kernels.
  const rows = options.rows === false ? undefined : byRowsFor(graph, { streamInput, ram, extraMacs }, lowerings);
  const best = images === undefined ? rows! : better(images, rows);
  if (fits(best)) return best;
  if (options.rows === false)
    throw new KingletError("does-not-fit", `the network needs an arena of ${best.plan.arenaBytes} bytes and may use ${ram}`, { place: graph.name });
  throw new KingletError("does-not-fit", `the network needs an arena of ${best.plan.arenaBytes} bytes and may use ${ram}`, {
    place: graph.name,
    hint: menu(graph, options, lowerings, images, rows),
  });
}
