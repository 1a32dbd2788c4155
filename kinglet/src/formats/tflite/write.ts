import { allocate, elementCount } from "../../base/index.ts";
import type { Graph, Node, Value, ValueType } from "../../graph/index.ts";
import { checkExpressible } from "../expressible.ts";
import { withAttachments } from "./attachments.ts";
import { SharedParts, SubgraphParts } from "./file-parts.ts";
import { flatBuffer } from "./flatwriter.ts";
import { halfWeights } from "./half-weights.ts";
import { writeNotes } from "./notes.ts";
import { type NamedRow, rowsFor } from "./operators.ts";
import { CALL_ONCE, optionFields, VAR_HANDLE } from "./options.ts";
import { respell } from "./respell.ts";
import type { ConstantInput, OperatorRow, Spelling } from "./row.ts";
import { IDENTIFIER, MODEL, OPERATOR } from "./schema.ts";
import { signatureFields } from "./signatures.ts";
import { uniqueNames } from "./unique-names.ts";
import { operatorVersion } from "./versions.ts";

/** A node with the operator that stands for it. */
interface Spelled extends NamedRow {
  readonly spelling: Spelling;
}

function spell(node: Node): Spelled | null {
  for (const { name, row } of rowsFor(node.op)) {
    const spelling = row.write(node);
    if (spelling !== null) return { name, row, spelling };
  }
  return null;
}

/** Operators whose variable has a name of its own in the file; others keep theirs in a tensor. */
const NAMES_VARIABLE = new Set(["readVariable", "assignVariable"]);

/** Variables by id that operators name. */
function namedVariables(graph: Graph): Set<number> {
  return new Set(graph.nodes.flatMap(({ op, inputs }) => (NAMES_VARIABLE.has(op) ? [inputs[0]!.id] : [])));
}

/** Why the file cannot hold a node, or null where it can. */
function obstacle(node: Node, named: ReadonlySet<number>): string | null {
  if (rowsFor(node.op).length === 0) return "TensorFlow Lite has no such operator";
  if (spell(node) === null) return "TensorFlow Lite's operator cannot do this";
  if (NAMES_VARIABLE.has(node.op)) return null;
  const states = node.inputs.filter((value): value is Value => value?.variable === true);
  if (states.some(({ id }) => named.has(id))) return "it shares its state with an operator that names it";
  return states.some(({ initial }) => initial !== undefined) ? "its state starts with other numbers than zeros" : null;
}

/** Writes one graph into the parts of a file. */
class GraphWriter {
  readonly main: SubgraphParts;
  private readonly shared: SharedParts;
  private readonly graph: Graph;
  private readonly named: ReadonlySet<number>;
  private readonly halves: ReadonlyMap<number, Uint16Array>;
  private readonly indices = new Map<number, number>();
  private readonly constants = new Map<string, number>();

  constructor(graph: Graph, named: ReadonlySet<number>, shared: SharedParts) {
    this.graph = graph;
    this.named = named;
    this.halves = halfWeights(graph);
    this.shared = shared;
    this.main = new SubgraphParts("main", shared);
  }

  /** Gives the subgraph that sets variables up where there are any, which the main one calls. */
  write(): SubgraphParts | null {
    const { nodes, inputs, outputs, values } = this.graph;
    const used = new Set([...inputs, ...nodes.flatMap((node) => [...node.inputs, ...node.outputs]), ...outputs].map((value) => value?.id));
    for (const value of values) if (used.has(value.id)) this.indices.set(value.id, this.tensorFor(value));
    const variables = values.filter(({ id }) => this.named.has(id));
    const initializer = this.initialize(variables);
    for (const node of nodes) this.node(node, spell(node)!);
    return initializer;
  }

  tensorsOf(values: readonly Value[]): number[] {
    return values.map(({ id }) => this.indices.get(id)!);
  }

  private tensorFor(value: Value): number {
    const { id, name, dtype, shape, quantization, data, variable = false } = value;
    if (this.named.has(id)) return this.main.tensor({ name, type: "resource", shape: [] });
    const half = this.halves.get(id);
    if (half !== undefined) return this.widened(value, half);
    return this.main.tensor({ name, type: dtype, shape, quantization, data, variable });
  }

  /** Half-precision numbers become single ones when the model is loaded. */
  private widened({ name, shape }: Value, half: Uint16Array): number {
    const [input, output] = [{ dtype: "float16", shape } as const, { dtype: "float32", shape } as const];
    const stored = this.main.tensor({ name: `${name}_float16`, type: input.dtype, shape, data: half });
    const wide = this.main.tensor({ name, type: output.dtype, shape });
    const version = operatorVersion("DEQUANTIZE", { inputs: [input], outputs: [output], options: {} });
    this.main.operator("DEQUANTIZE", version, [stored], [wide]);
    return wide;
  }

  private initialize(variables: readonly Value[]): SubgraphParts | null {
    if (variables.length === 0) return null;
    const initializer = new SubgraphParts("initialize", this.shared);
    const names = uniqueNames(variables.map(({ name }) => name));
    this.main.operator("CALL_ONCE", 1, [], [], optionFields(CALL_ONCE, { subgraph: 1 }));
    for (const [i, value] of variables.entries()) {
      const options = optionFields(VAR_HANDLE, { container: "", sharedName: names[i]! });
      this.main.operator("VAR_HANDLE", 1, [], this.tensorsOf([value]), options);
      const handle = initializer.tensor({ name: value.name, type: "resource", shape: [] });
      const { name, dtype, shape, quantization } = value;
      const start = initializer.tensor({ name: `${name}_start`, type: dtype, shape, quantization, data: value.initial ?? zeros(value) });
      initializer.operator("VAR_HANDLE", 1, [], [handle], options);
      initializer.operator("ASSIGN_VARIABLE", 1, [handle, start], []);
    }
    return initializer;
  }

  private node(node: Node, { name, row, spelling }: Spelled): void {
    const { inputs, types } = this.inputsOf(node, row, spelling);
    const version = operatorVersion(name, { inputs: types, outputs: node.outputs, options: spelling.stated });
    const intermediates = spelling.intermediates.map(({ dtype, shape, quantization }, i) =>
      this.main.tensor({ name: `${node.name}_intermediate_${i}`, type: dtype, shape, quantization }),
    );
    this.main.operator(name, version, inputs, this.tensorsOf(node.outputs), {
      ...spelling.options,
      ...(intermediates.length === 0 ? {} : { [OPERATOR.intermediates]: { ints: intermediates } }),
    });
  }

  /** Numbers and types of the tensors that the file's operator reads: the node's values, and constants between them. */
  private inputsOf(
    node: Node,
    { inputs: letters, order, least = 0 }: OperatorRow,
    spelling: Spelling,
  ): { inputs: number[]; types: (ValueType | null)[] } {
    const values = order === undefined ? node.inputs : order.map((_, kept) => node.inputs[order.indexOf(kept)] ?? null);
    const [kept, constants] = [values.values(), spelling.constants.values()];
    const types: (ValueType | null)[] = [];
    const inputs: number[] = [];
    for (const letter of letters === "*" ? "x".repeat(values.length) : letters) {
      if (letter === "c" || letter === "o") {
        const constant = constants.next().value!;
        types.push(constant);
        inputs.push(this.constant(node, constant));
      } else {
        const value = kept.next().value ?? null;
        types.push(value);
        inputs.push(value === null ? -1 : this.indices.get(value.id)!);
      }
    }
    const end = Math.max(inputs.findLastIndex((index) => index !== -1) + 1, least);
    // An operator has its least number of inputs or all of them.
    const length = least > 0 && end > least ? inputs.length : end;
    return { inputs: inputs.slice(0, length), types: types.slice(0, length) };
  }

  /** A tensor of constant numbers; equal ones are one tensor. */
  private constant(node: Node, { dtype, shape, data, quantization }: ConstantInput): number {
    const key = JSON.stringify([dtype, shape, quantization, Array.from<number | bigint, string>(data, String)]);
    const known = this.constants.get(key);
    if (known !== undefined) return known;
    const made = this.main.tensor({ name: `${node.name}_constant_${this.constants.size}`, type: dtype, shape, quantization, data });
    this.constants.set(key, made);
    return made;
  }
}

/** What a variable starts with that says nothing else: real zeros. */
function zeros({ dtype, shape, quantization }: Value): Value["data"] {
  const data = allocate(dtype, elementCount(shape));
  const zero = quantization?.zeroPoints[0] ?? 0;
  return data.fill((data instanceof BigInt64Array || data instanceof BigUint64Array ? BigInt(zero) : zero) as never);
}

const SCHEMA_VERSION = 3;

/**
 * Writes a network as a TensorFlow Lite model (FlatBuffer schema version 3). `readTflite` gives the same graph back: the same
 * values, nodes and notes, but for scales in single precision. Contents are aligned and stored once; the same graph gives the
 * same bytes. A batch normalization and paddings that the format has no word for become several operators.
 * @throws KingletError `unsupported` that names every node that the format cannot express
 */
export function writeTflite(graph: Graph): Uint8Array {
  const spelled = respell(graph, (node) => spell(node) !== null);
  const named = namedVariables(spelled);
  checkExpressible(spelled, ".tflite", (node) => obstacle(node, named));
  const shared = new SharedParts();
  const writer = new GraphWriter(spelled, named, shared);
  const initializer = writer.write();
  const [inputs, outputs] = [writer.tensorsOf(spelled.inputs), writer.tensorsOf(spelled.outputs)];
  const notes = writeNotes(graph, (bytes) => shared.buffer(bytes));
  const bytes = flatBuffer(
    {
      [MODEL.version]: { int: SCHEMA_VERSION },
      [MODEL.operatorCodes]: { tables: shared.kinds },
      [MODEL.subgraphs]: { tables: [writer.main.fields(inputs, outputs), ...(initializer === null ? [] : [initializer.fields([], [])])] },
      [MODEL.buffers]: { tables: shared.buffers },
      ...notes.fields,
      [MODEL.signatures]: { tables: signatureFields(graph, inputs, outputs) },
    },
    IDENTIFIER,
  );
  return Object.keys(notes.attachments).length === 0 ? bytes : withAttachments(bytes, notes.attachments);
}
