import { zipSync } from "fflate";
import { crc32, type DType, type TypedArray } from "../../base/index.ts";
import type { Attribute, Graph, Node, Value } from "../../graph/index.ts";
import { encode } from "./encoding.ts";
import {
  ALIGNMENT,
  FORMAT,
  GRAPH_ENTRY,
  type StoredAttribute,
  type StoredData,
  type StoredGraph,
  type StoredNode,
  type StoredNumber,
  type StoredValue,
  VERSION,
  WEIGHTS_ENTRY,
} from "./schema.ts";

/** Lays constants one after the other; contents that values share are stored once. */
class Weights {
  private readonly pieces: Uint8Array[] = [];
  private length = 0;
  private readonly known = new Map<TypedArray, Map<DType, StoredData>>();

  add(dtype: DType, data: TypedArray): StoredData {
    const before = this.known.get(data)?.get(dtype);
    if (before !== undefined) return before;
    const { encoding, bytes } = encode(dtype, data);
    const stored: StoredData = { offset: this.length, bytes: bytes.length, ...(encoding === "raw" ? {} : { encoding }) };
    const padding = (ALIGNMENT - (bytes.length % ALIGNMENT)) % ALIGNMENT;
    this.pieces.push(bytes, new Uint8Array(padding));
    this.length += bytes.length + padding;
    this.known.set(data, new Map([...(this.known.get(data) ?? []), [dtype, stored]]));
    return stored;
  }

  bytes(): Uint8Array {
    const all = new Uint8Array(this.length);
    let at = 0;
    for (const piece of this.pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    return all;
  }
}

function storeNumber(x: number): StoredNumber {
  if (Number.isNaN(x)) return { number: "NaN" };
  if (Object.is(x, -0)) return { number: "-0" };
  return Number.isFinite(x) ? x : { number: x > 0 ? "Infinity" : "-Infinity" };
}

function storeAttribute(attribute: Attribute): StoredAttribute {
  if (typeof attribute === "number") return storeNumber(attribute);
  return typeof attribute === "object" ? attribute.map(storeNumber) : attribute;
}

function storeNode(node: Node): StoredNode {
  const attributes = Object.fromEntries(Object.entries(node.attributes).map(([key, attribute]) => [key, storeAttribute(attribute)]));
  return {
    op: node.op,
    name: node.name,
    inputs: node.inputs.map((value) => value?.id ?? null),
    outputs: node.outputs.map((value) => value.id),
    attributes,
  };
}

function storeValue(value: Value, weights: Weights): StoredValue {
  const { id, name, dtype, shape, quantization, data, variable, initial } = value;
  return {
    id,
    name,
    dtype,
    shape,
    ...(quantization === undefined ? {} : { quantization }),
    ...(data === undefined ? {} : { data: weights.add(dtype, data) }),
    ...(variable === true ? { variable } : {}),
    ...(initial === undefined ? {} : { initial: weights.add(dtype, initial) }),
  };
}

/** A zip needs a date; one that never changes keeps the same graph the same bytes. */
const DATE = new Date(1980, 0, 1);

/**
 * Writes any graph as a `.kinglet` file: a zip of `graph.json` and `weights.bin`. `readKinglet` gives the same graph
 * back, every bit of it; the same graph gives the same file.
 */
export function writeKinglet(graph: Graph): Uint8Array {
  const weights = new Weights();
  const values = graph.values.map((value) => storeValue(value, weights));
  const bytes = weights.bytes();
  const stored: StoredGraph = {
    format: FORMAT,
    version: VERSION,
    name: graph.name,
    metadata: graph.metadata,
    weights: { bytes: bytes.length, crc32: crc32(bytes) },
    values,
    nodes: graph.nodes.map(storeNode),
    inputs: graph.inputs.map((value) => value.id),
    outputs: graph.outputs.map((value) => value.id),
  };
  const entries = { [GRAPH_ENTRY]: new TextEncoder().encode(JSON.stringify(stored)), [WEIGHTS_ENTRY]: bytes };
  return zipSync(entries, { level: 9, mtime: DATE });
}
