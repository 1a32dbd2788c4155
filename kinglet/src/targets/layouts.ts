import type { Shape } from "../base/index.ts";
import type { Graph, Node, Value } from "../graph/index.ts";
import {
  type Border,
  type KernelBuilder,
  type KernelInstance,
  type Layout,
  type MemoryType,
  memoryTypeOf,
  NO_BORDER,
  plainLayout,
  sameLayout,
} from "../loops/index.ts";
import type { Kernel, LayoutWish, NodeLayouts } from "../ops/index.ts";

/** Writes the kernel that brings a tensor from one layout (input 0) to another (output 0). */
export type ConvertLayout = (k: KernelBuilder, shape: Shape, from: Layout, to: Layout) => KernelInstance;

/** True where a value lies as its element type says, one element after another. */
export function isPlain(value: Value, layout: Layout): boolean {
  const type = memoryTypeOf(value.dtype);
  return type !== undefined && sameLayout(layout, plainLayout(type));
}

function largerBorder(a: Border, b: Border): Border {
  return {
    top: Math.max(a.top, b.top),
    bottom: Math.max(a.bottom, b.bottom),
    left: Math.max(a.left, b.left),
    right: Math.max(a.right, b.right),
  };
}

type Elements = Pick<Layout, "type" | "zeroPoint" | "padding">;

/**
 * Bytes are widened to 16 bits with the zero point taken off, which every difference of two bytes fits, or become unsigned
 * where kernels multiply bytes; floats stay as they are.
 */
function elementsOf(value: Value, unsigned: boolean): Elements {
  const type = memoryTypeOf(value.dtype)!;
  if (type !== "i8" && type !== "u8") return { type, zeroPoint: 0, padding: 0 };
  const zero = value.quantization?.zeroPoints[0] ?? 0;
  if (!unsigned) return { type: "i16", zeroPoint: zero, padding: 0 };
  const lowest = type === "i8" ? -128 : 0;
  return { type: "u8", zeroPoint: lowest, padding: zero - lowest };
}

function wishedLayout(value: Value, wishes: readonly LayoutWish[]): Layout {
  return {
    ...elementsOf(
      value,
      wishes.some((wish) => wish.unsigned === true),
    ),
    border: wishes.map((wish) => wish.border).reduce(largerBorder, NO_BORDER),
    tail: Math.max(...wishes.map((wish) => wish.tail)),
  };
}

/** Which layout each node reads and writes. */
export class ValueLayouts {
  /** The layout of values for which some kernel has a wish, by value id: large enough for all of them. */
  private readonly wished: ReadonlyMap<number, Layout>;
  private readonly kernels: ReadonlyMap<Node, Kernel>;

  constructor(wished: ReadonlyMap<number, Layout>, kernels: ReadonlyMap<Node, Kernel>) {
    this.wished = wished;
    this.kernels = kernels;
  }

  /** @param typeOf the memory type of a value's elements; it may throw. */
  ofNode(node: Node, typeOf: (value: Value) => MemoryType): NodeLayouts {
    const kernel = this.kernels.get(node);
    const read = (value: Value, wish: LayoutWish | undefined): Layout => {
      if (wish === undefined) return plainLayout(typeOf(value));
      return wish.exact === true ? wishedLayout(value, [wish]) : this.wished.get(value.id)!;
    };
    const written = (value: Value, i: number): Layout => {
      const wished = i === 0 && kernel?.writesAny === true ? this.wished.get(value.id) : undefined;
      return wished ?? plainLayout(typeOf(value));
    };
    return {
      inputs: node.inputs.map((value, i) => (value === null ? null : read(value, kernel?.reads?.[i]))),
      outputs: node.outputs.map(written),
    };
  }
}

/**
 * Gives every value that some kernel wants to read in a layout of its own one for all of them. Its producer writes that
 * layout where it can; elsewhere, and where a kernel needs the plain elements, lowering puts a conversion.
 */
export function assignLayouts(graph: Graph, kernels: ReadonlyMap<Node, Kernel>): ValueLayouts {
  const wishes = new Map<Value, LayoutWish[]>();
  for (const node of graph.nodes) {
    kernels.get(node)?.reads?.forEach((wish, i) => {
      const value = node.inputs[i];
      if (wish === undefined || value === undefined || value === null) return;
      wishes.set(value, [...(wishes.get(value) ?? []), wish]);
    });
  }
  const wished = new Map(
    [...wishes].map(([value, list]) => {
      const flexible = list.filter((wish) => wish.exact !== true);
      return [value.id, wishedLayout(value, flexible.length > 0 ? flexible : list.slice(0, 1))];
    }),
  );
  return new ValueLayouts(wished, kernels);
}
