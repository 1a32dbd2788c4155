import { dtypeBytes, elementCount } from "../base/index.ts";
import type { Graph, Value } from "../graph/index.ts";
import { findOp } from "../ops/index.ts";

/** Bytes of a value that lies whole in memory, in whole words. */
export function valueBytes(value: Value): number {
  return Math.ceil((elementCount(value.shape) * dtypeBytes(value.dtype)) / 4) * 4;
}

/** When a value's bytes are needed, in nodes: from the one that makes it to the last that reads it. */
export interface Life {
  readonly value: Value;
  readonly first: number;
  readonly last: number;
}

/** Where each value lives while the nodes run in their order. A value under a second name (reshape) is one value. */
export class Liveness {
  readonly lives: readonly Life[];
  private readonly roots = new Map<number, number>();
  private readonly byRoot: ReadonlyMap<number, Life>;

  constructor(graph: Graph) {
    const first = new Map<number, number>();
    const last = new Map<number, number>();
    const values = new Map<number, Value>();
    const touch = (value: Value, at: number): void => {
      if (value.data !== undefined || value.variable === true) return;
      const root = this.rootOf(value);
      if (!values.has(root)) values.set(root, value);
      if (!first.has(root)) first.set(root, at);
      last.set(root, at);
    };
    for (const value of graph.inputs) touch(value, 0);
    graph.nodes.forEach((node, at) => {
      if (findOp(node.op)?.alias === true) this.roots.set(node.outputs[0]!.id, this.rootOf(node.inputs[0]!));
      for (const value of [...node.inputs, ...node.outputs]) if (value !== null) touch(value, at);
    });
    for (const value of graph.outputs) touch(value, graph.nodes.length);
    this.lives = [...values].map(([root, value]) => ({ value, first: first.get(root)!, last: last.get(root)! }));
    this.byRoot = new Map([...values.keys()].map((root, i) => [root, this.lives[i]!]));
  }

  rootOf(value: Value): number {
    return this.roots.get(value.id) ?? value.id;
  }

  lifeOf(value: Value): Life {
    return this.byRoot.get(this.rootOf(value))!;
  }
}
