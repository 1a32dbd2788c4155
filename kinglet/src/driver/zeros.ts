import type { CoreId } from "../boards/browser.ts";
import type { Graph, Node } from "../graph/index.ts";
import type { ProgramConstant } from "../loops/index.ts";
import { planTimeline } from "../plan/index.ts";
import { GROUP, isWorthPacking, packZeros, unpackedLength } from "../targets/zeros.ts";
import { idealInstructions } from "./ideal.ts";
import type { Placed } from "./memory.ts";

/** A layer of whose table most is 0, as unstructured pruning leaves it. */
export interface SparseLayer {
  readonly name: string;
  readonly op: string;
  /** Bytes of its table, and without its zeros. */
  readonly tableBytes: number;
  readonly packedBytes: number;
  /** What unpacking adds to the layer's time, at most. */
  readonly time: number;
  /** How it lies in flash, or why it is left as it is: unpacking would take too long, or there is no room in the arena. */
  readonly stored: "packed" | "slow" | "no room";
}

/** Unpacking may add this share to a layer's time. */
const MOST_TIME = 0.1;

/** A core for each kind of C: the one whose kernels are fastest, so that shares of time err to the safe side. */
const FASTEST: Readonly<Record<string, CoreId>> = { c: "cortex-m3", "c-dsp": "cortex-m4", "c-mve": "cortex-m55", "c-riscv": "rv32" };

/** Instructions of unpacking for each group of eight bytes, and for each byte that is not 0, by the table's type: as Cortex-M3 and M4 take. */
const INSTRUCTIONS = { i8: { group: 50, byte: 6 }, i32: { group: 18, byte: 7 } } as const;
/** What the kernel that unpacks takes of flash, once. */
const CODE_BYTES = 160;

function unpackInstructions({ type, data }: ProgramConstant): number {
  const { group, byte } = INSTRUCTIONS[type as keyof typeof INSTRUCTIONS];
  const groups = Math.ceil(data.byteLength / GROUP);
  return groups * group + (packZeros(data).length - groups) * byte;
}

/** From this share of zeros on somebody meant them. */
const LEAST_ZEROS = 0.5;

function isSparse(node: Node): boolean {
  const data = node.inputs[1]?.data;
  if (data === undefined) return false;
  let zeros = 0;
  for (const weight of data) if (Number(weight) === 0) zeros++;
  return zeros >= LEAST_ZEROS * data.length;
}

interface Candidate extends Omit<SparseLayer, "stored"> {
  readonly node: Node;
  readonly unpackedBytes: number;
  /** Bytes of the arena that nobody needs while the layer runs. */
  readonly room: number;
}

/** Layers with tables of many zeros; names that several nodes have are passed over. */
function candidates(graph: Graph, { program, plan }: Placed, core: CoreId): Candidate[] {
  const sparse = graph.nodes.filter(isSparse);
  if (sparse.length === 0) return [];
  const { steps } = planTimeline(program, plan);
  return program.steps.flatMap((step, i) => {
    const named = sparse.filter(({ name, op }) => name === step.name && op === step.op);
    const ideal = named.length === 1 ? idealInstructions(named[0]!, core) : undefined;
    if (ideal === undefined) return [];
    const tables = step.args
      .flatMap((arg) => (arg.kind === "constant" ? [program.constants[arg.index]!] : []))
      .filter(({ type, data }) => isWorthPacking(type, data));
    if (tables.length === 0) return [];
    const sum = (of: (table: ProgramConstant) => number): number => tables.reduce((total, table) => total + of(table), 0);
    return [
      {
        node: named[0]!,
        name: step.name,
        op: step.op,
        tableBytes: sum(({ data }) => data.byteLength),
        packedBytes: sum(({ data }) => packZeros(data).length),
        unpackedBytes: sum(({ data }) => unpackedLength(data) * data.BYTES_PER_ELEMENT),
        time: sum(unpackInstructions) / ideal,
        room: plan.arenaBytes - steps[i]!.liveBytes,
      },
    ];
  });
}

/** Code that unpacks must pay for itself. */
function saves(chosen: readonly Candidate[]): boolean {
  return chosen.reduce((sum, { tableBytes, packedBytes }) => sum + tableBytes - packedBytes, 0) > CODE_BYTES;
}

/** The largest set of layers that can be packed while the arena stays as it is; those that need most working memory are given up first. */
function fitting(
  chosen: readonly Candidate[],
  dense: Placed,
  place: (packed: ReadonlySet<Node>) => Placed,
): { chosen: readonly Candidate[]; placed: Placed } {
  let left = [...chosen].sort((a, b) => a.unpackedBytes - b.unpackedBytes);
  while (saves(left)) {
    const placed = place(new Set(left.map(({ node }) => node)));
    if (placed.plan.arenaBytes <= dense.plan.arenaBytes) return { chosen: left, placed };
    left = left.slice(0, -1);
  }
  return { chosen: [], placed: dense };
}

/**
 * Stores tables without their zeros where that saves flash, adds at most a tenth to the layer's time and nothing to the arena. All layers
 * of which most is 0 are told, with what keeps the others as they are.
 * @param place the network with the tables of these nodes packed
 */
export function packLayers(
  graph: Graph,
  dense: Placed,
  target: string,
  place: (packed: ReadonlySet<Node>) => Placed,
): { readonly placed: Placed; readonly sparse: readonly SparseLayer[] } {
  const core = FASTEST[target];
  const found = core === undefined || (dense.program.stages ?? []).length > 0 ? [] : candidates(graph, dense, core);
  const quick = found.filter(({ time }) => time <= MOST_TIME);
  const { chosen, placed } = fitting(
    quick.filter(({ room, unpackedBytes }) => unpackedBytes <= room),
    dense,
    place,
  );
  const sparse = found.map(({ name, op, tableBytes, packedBytes, time, node }): SparseLayer => {
    const stored = chosen.some((each) => each.node === node) ? "packed" : time > MOST_TIME ? "slow" : "no room";
    return { name, op, tableBytes, packedBytes, time, stored };
  });
  return { placed, sparse };
}
