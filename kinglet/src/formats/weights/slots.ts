import type { Shape } from "../../base/index.ts";
import type { Graph, Node, Value } from "../../graph/index.ts";
import { findOp } from "../../ops/index.ts";

/** What a parameter is in its layer. Mean and variance are a normalization's running statistics. */
export type Role = "weights" | "bias" | "scale" | "offset" | "mean" | "variance" | "other";

/** A place in a network that a tensor of a file can fill. */
export interface Slot {
  /** The parameter's name; of a bias that the network lacks, the one that it would have. */
  readonly name: string;
  readonly role: Role;
  readonly op: string;
  readonly shape: Shape;
  /** The constant; of a bias that the network lacks, the mean that it is subtracted from. */
  readonly value: Value;
  /** A layer before a normalization needs no bias: where a file has one, it moves the normalization's mean. */
  readonly absorbed: boolean;
}

/** A layer's slots: sums with weights, or a normalization. */
export interface SlotLayer {
  readonly kind: "sums" | "norm" | "other";
  readonly slots: readonly Slot[];
}

const SUMS = new Set(["conv2d", "depthwiseConv2d", "fullyConnected"]);
const SUM_ROLES: readonly Role[] = ["weights", "bias"];
const NORM_ROLES: readonly Role[] = ["scale", "offset", "mean", "variance"];

const isParameter = (value: Value | null | undefined): value is Value => value?.data instanceof Float32Array;

/** The means that normalizations subtract from the sums of each layer, by the sums' id; null where somebody else reads the sums, too. */
function meansBehind(graph: Graph): Map<number, Value | null> {
  const means = new Map<number, Value | null>();
  for (const { op, inputs } of graph.nodes)
    for (const value of inputs) {
      if (value === null) continue;
      const mean = op === "batchNorm" && value === inputs[0] && isParameter(inputs[3]) ? inputs[3] : null;
      means.set(value.id, means.has(value.id) ? null : mean);
    }
  for (const { id } of graph.outputs) means.set(id, null);
  return means;
}

function slotOf(value: Value, role: Role, op: string): Slot {
  return { name: value.name, role, op, shape: value.shape, value, absorbed: false };
}

function layerOf(node: Node, means: ReadonlyMap<number, Value | null>): SlotLayer {
  const { op, inputs } = node;
  const kind = SUMS.has(op) ? "sums" : op === "batchNorm" ? "norm" : "other";
  const roles = kind === "sums" ? SUM_ROLES : kind === "norm" ? NORM_ROLES : [];
  const indices = kind === "other" ? (findOp(op)?.parameters ?? []) : roles.map((_, i) => i + 1);
  const slots = indices.flatMap((index, i) => {
    const value = inputs[index];
    return isParameter(value) ? [slotOf(value, roles[i] ?? "other", op)] : [];
  });
  const mean = means.get(node.outputs[0]!.id);
  const [weights] = slots;
  if (kind !== "sums" || weights === undefined || inputs[2] || !mean || node.attributes["activation"] !== "none") return { kind, slots };
  const name = `${weights.name.replace(/_weights$/, "")}_bias`;
  return { kind, slots: [weights, { name, role: "bias", op, shape: mean.shape, value: mean, absorbed: true }] };
}

/** The layers of a network with parameters in floating point, in its order; a parameter that several share is its first one's. */
export function slotLayers(graph: Graph): SlotLayer[] {
  const means = meansBehind(graph);
  const seen = new Set<string>();
  return graph.nodes
    .map((node) => layerOf(node, means))
    .map(({ kind, slots }) => ({
      kind,
      slots: slots.filter(({ value, role }) => !seen.has(`${value.id} ${role}`) && seen.add(`${value.id} ${role}`)),
    }))
    .filter(({ slots }) => slots.length > 0);
}
