import { crc32, type DType, dtypeBytes, elementCount, KingletError, type Shape, type TypedArray } from "../../base/index.ts";
import { checkGraph, type Graph, type Node, type Value } from "../../graph/index.ts";
import { type Json, JsonReader } from "../json-reader.ts";
import { unzipWanted } from "../unzip.ts";
import { checkNodes } from "./check-nodes.ts";
import { decode, encodedBytes } from "./encoding.ts";
import { attributesIn, dtypeIn, quantizationIn, shapeIn, storedDataIn } from "./json.ts";
import { FORMAT, GRAPH_ENTRY, VERSION, WEIGHTS_ENTRY } from "./schema.ts";

const LOCAL_HEADER = [0x50, 0x4b, 3, 4];
const NAME_AT = 30;

/** A zip whose first entry is `graph.json`. */
export function isKinglet(bytes: Uint8Array): boolean {
  const name = [...GRAPH_ENTRY].map((letter) => letter.charCodeAt(0));
  return LOCAL_HEADER.every((byte, i) => bytes[i] === byte) && name.every((byte, i) => bytes[NAME_AT + i] === byte);
}

const MAX_GRAPH_BYTES = 2 ** 26;
const MAX_WEIGHT_BYTES = 2 ** 31 - 1;
const MOST_BYTES: ReadonlyMap<string, number> = new Map([
  [GRAPH_ENTRY, MAX_GRAPH_BYTES],
  [WEIGHTS_ENTRY, MAX_WEIGHT_BYTES],
]);

function unpack(reader: JsonReader, bytes: Uint8Array): { graph: Uint8Array; weights: Uint8Array } {
  const entries = unzipWanted(
    bytes,
    (name) => MOST_BYTES.get(name) ?? 0,
    (where, message) => reader.fail(where, message),
  );
  const [graph, weights] = [entries[GRAPH_ENTRY], entries[WEIGHTS_ENTRY]];
  if (graph === undefined || weights === undefined) return reader.fail("", `the zip archive lacks ${GRAPH_ENTRY} or ${WEIGHTS_ENTRY}`);
  return { graph, weights };
}

function checkHeader(reader: JsonReader, json: Json, weights: Uint8Array): void {
  if (reader.field(json, "format", "") !== FORMAT) reader.fail(GRAPH_ENTRY, `it does not carry the format "${FORMAT}"`);
  const version = reader.whole(reader.field(json, "version", ""), "version");
  if (version !== VERSION)
    throw new KingletError("unsupported", `the file has version ${version}; this Kinglet reads version ${VERSION}`, { place: reader.name });
  const stored = reader.field(json, "weights", "");
  const [size, sum] = [reader.field(stored, "bytes", "weights"), reader.field(stored, "crc32", "weights")];
  if (size !== weights.length || sum !== crc32(weights)) reader.fail(WEIGHTS_ENTRY, "its contents are not those that were written");
}

/** Cuts constants out of `weights.bin`; what values share is decoded once. */
class Contents {
  private readonly reader: JsonReader;
  private readonly weights: Uint8Array;
  private readonly known = new Map<string, TypedArray>();
  /** Bytes that decoding may still make: overlapping pieces must not multiply a small file. */
  private budget: number;

  constructor(reader: JsonReader, weights: Uint8Array) {
    this.reader = reader;
    this.weights = weights;
    this.budget = 8 * weights.length + 4096;
  }

  take(json: Json, dtype: DType, shape: Shape, where: string): TypedArray | undefined {
    const stored = storedDataIn(this.reader, json, where);
    if (stored === undefined) return undefined;
    const { offset, bytes, encoding } = stored;
    if (encodedBytes(dtype, shape, encoding) !== bytes) this.reader.fail(where, `${bytes} bytes do not fit ${dtype}[${shape.join(",")}]`);
    if (offset + bytes > this.weights.length) this.reader.fail(where, `its contents lie beyond the end of ${WEIGHTS_ENTRY}`);
    const key = `${offset}:${elementCount(shape)}:${dtype}:${encoding}`;
    const before = this.known.get(key);
    if (before !== undefined) return before;
    this.budget -= elementCount(shape) * dtypeBytes(dtype);
    if (this.budget < 0) this.reader.fail(where, "the values hold far more than the file");
    const data = decode(dtype, shape, encoding, this.weights.subarray(offset, offset + bytes));
    this.known.set(key, data);
    return data;
  }
}

function readValue(reader: JsonReader, json: Json, index: number, contents: Contents): Value {
  const name = reader.text(reader.field(json, "name", `value ${index}`), `value ${index}`);
  const where = `value ${index} "${name.slice(0, 80)}"`;
  const field = (key: string): Json => reader.field(json, key, where);
  const [dtype, shape] = [dtypeIn(reader, field("dtype"), where), shapeIn(reader, field("shape"), where)];
  const quantization = quantizationIn(reader, field("quantization"), where);
  const [data, initial] = [contents.take(field("data"), dtype, shape, where), contents.take(field("initial"), dtype, shape, where)];
  return {
    id: reader.whole(field("id"), where),
    name,
    dtype,
    shape,
    ...(quantization === undefined ? {} : { quantization }),
    ...(data === undefined ? {} : { data }),
    ...(field("variable") === true ? { variable: true } : {}),
    ...(initial === undefined ? {} : { initial }),
  };
}

type Lookup = (json: Json, where: string) => Value;

function lookupIn(reader: JsonReader, values: readonly Value[]): Lookup {
  const byId = new Map(values.map((value) => [value.id, value]));
  if (byId.size !== values.length) reader.fail("values", "two have one id");
  return (json, where) => byId.get(json as number) ?? reader.fail(where, "a value that it names does not exist");
}

function readNode(reader: JsonReader, json: Json, index: number, lookup: Lookup): Node {
  const where = `node ${index}`;
  const field = (key: string): Json => reader.field(json, key, where);
  return {
    op: reader.text(field("op"), where),
    name: reader.text(field("name"), where),
    inputs: reader.list(field("inputs"), where).map((id) => (id === null ? null : lookup(id, where))),
    outputs: reader.list(field("outputs"), where).map((id) => lookup(id, where)),
    attributes: attributesIn(reader, field("attributes"), where),
  };
}

function readGraph(reader: JsonReader, json: Json, weights: Uint8Array): Graph {
  const field = (key: string): Json => reader.field(json, key, "");
  const contents = new Contents(reader, weights);
  const values = reader.list(field("values"), "values").map((each, i) => readValue(reader, each, i, contents));
  const lookup = lookupIn(reader, values);
  const metadata = reader.entries(field("metadata"), "metadata").map(([key, text]) => [key, reader.text(text, "metadata")]);
  return {
    name: reader.text(field("name"), "name"),
    values,
    nodes: reader.list(field("nodes"), "nodes").map((each, i) => readNode(reader, each, i, lookup)),
    inputs: reader.list(field("inputs"), "inputs").map((id) => lookup(id, "inputs")),
    outputs: reader.list(field("outputs"), "outputs").map((id) => lookup(id, "outputs")),
    metadata: Object.fromEntries(metadata),
  };
}

/** The graph's checker speaks of a graph; what broke its rules here is the file. */
function checked(reader: JsonReader, graph: Graph): Graph {
  if (new Set(graph.inputs).size !== graph.inputs.length) reader.fail("inputs", "a value is listed twice");
  if (graph.inputs.some((value) => value.data !== undefined || value.variable === true)) reader.fail("inputs", "a constant or a variable is listed");
  try {
    checkGraph(graph);
  } catch (error) {
    if (error instanceof KingletError && error.code === "bad-graph") reader.fail("", error.message);
    throw error;
  }
  checkNodes(reader, graph);
  return graph;
}

/**
 * Reads a `.kinglet` file. `name` is used in messages; the graph keeps the name that was stored.
 * @throws KingletError `bad-file` for a damaged file; `unsupported` for another version or operators that Kinglet lacks.
 */
export function readKinglet(bytes: Uint8Array, name: string): Graph {
  const reader = new JsonReader(name, "The file is damaged, or something other than Kinglet wrote it.");
  const { graph, weights } = unpack(reader, bytes);
  const json = reader.parse(graph, GRAPH_ENTRY);
  checkHeader(reader, json, weights);
  return checked(reader, readGraph(reader, json, weights));
}
