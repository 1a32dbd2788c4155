import type { Graph, Node } from "../../graph/index.ts";
import { type Domain, type IntegerDomain, obstacle, ruleOf } from "./rules.ts";

/** What is to be computed in what. */
export interface DomainOptions {
  /** For every node that has a rule. The default is int8. */
  readonly activations?: IntegerDomain;
  /** Nodes, by their number in the graph, that take int16 where the others take int8, if they have a kernel for it. */
  readonly wide?: ReadonlySet<number>;
  /** Nodes, by their number, that stay in floating point whatever their rule. */
  readonly keep?: ReadonlySet<number>;
}

export interface NodeDomain {
  readonly domain: Domain;
  /** Why a node stays in floating point. */
  readonly why?: string;
}

function preferred(node: Node, index: number, options: DomainOptions): NodeDomain {
  if (options.keep?.has(index) === true) return { domain: "float", why: "it was asked to stay" };
  const first = options.activations ?? "int8";
  const wanted = options.wide?.has(index) === true && obstacle(node, "int16") === undefined ? "int16" : first;
  const why = obstacle(node, wanted);
  return why === undefined ? { domain: wanted } : { domain: "float", why };
}

/** Nodes that produce and consume each value, by number. */
function neighbours(graph: Graph): (index: number) => number[] {
  const producers = new Map<number, number>();
  const consumers = new Map<number, number[]>();
  graph.nodes.forEach((node, i) => {
    for (const value of node.outputs) producers.set(value.id, i);
    for (const value of node.inputs) if (value !== null) consumers.set(value.id, [...(consumers.get(value.id) ?? []), i]);
  });
  return (index) => {
    const node = graph.nodes[index]!;
    const before = node.inputs.flatMap((value) => (value === null ? [] : (producers.get(value.id) ?? [])));
    return [...before, ...node.outputs.flatMap((value) => consumers.get(value.id) ?? [])];
  };
}

/**
 * The domain of every node. What only moves numbers is quantized where a neighbour is: between two floating-point
 * layers it would gain nothing and cost two conversions.
 */
export function nodeDomains(graph: Graph, options: DomainOptions): NodeDomain[] {
  const wanted = graph.nodes.map((node, i) => preferred(node, i, options));
  const moves = (i: number): boolean => ["same", "reads"].includes(ruleOf(graph.nodes[i]!)?.kind ?? "");
  const near = neighbours(graph);
  const taken = new Set(wanted.flatMap(({ domain }, i) => (domain !== "float" && !moves(i) ? [i] : [])));
  const queue = [...taken];
  for (let i = queue.pop(); i !== undefined; i = queue.pop()) {
    for (const next of near(i)) {
      if (taken.has(next) || wanted[next]!.domain === "float") continue;
      taken.add(next);
      queue.push(next);
    }
  }
  return wanted.map((each, i) =>
    each.domain === "float" || taken.has(i) ? each : { domain: "float", why: "it lies between floating-point layers" },
  );
}
