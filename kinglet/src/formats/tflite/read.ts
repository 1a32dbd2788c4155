import { elementCount, KingletError, type TypedArray } from "../../base/index.ts";
import { checkGraph, type Graph, GraphBuilder, type Value } from "../../graph/index.ts";
import { refusedList } from "../refusals.ts";
import { DENSIFY, isKnown } from "./catalogue.ts";
import { foldShapes } from "./fold.ts";
import { Model, type StoredOperator, type Subgraph } from "./model.ts";
import { readNotes } from "./notes.ts";
import { openShape } from "./open-shapes.ts";
import { rowOf } from "./operators.ts";
import { operatorCode } from "./schema.ts";
import type { OperatorRow } from "./row.ts";
import { Site } from "./site.ts";
import { type Tensor, tensorType, widenFloat16 } from "./tensor.ts";
import { isBookkeeping, readVariables, type Variable } from "./variables.ts";

const DEQUANTIZE = operatorCode("DEQUANTIZE");

/** One error that names every operator Kinglet lacks, with how often each occurs. */
function refuseUnknown(model: Model, subgraph: Subgraph): void {
  const counts = new Map<string, number>();
  for (const { kind } of subgraph.operators) {
    if (!isKnown(kind)) counts.set(kind.name, (counts.get(kind.name) ?? 0) + 1);
  }
  if (counts.size === 0) return;
  model.file.unsupported(
    "",
    `the model uses operators that Kinglet does not have: ${refusedList(counts)}`,
    "Export the model without them, or compute these parts outside the model.",
  );
}

/** Turns one subgraph into a graph: values are made when something first needs them. */
class Translation {
  private readonly model: Model;
  private readonly subgraph: Subgraph;
  private readonly builder: GraphBuilder;
  /** As in the file, but with open shapes settled. */
  private readonly tensors: Tensor[];
  private readonly values = new Map<number, Value>();
  private readonly variables: ReadonlyMap<number, Variable>;
  private readonly variableValues = new Map<Variable, Value>();
  /** Constants that the file computes: shapes, widened half precision, dense forms of sparse weights. */
  private readonly folded = new Map<number, TypedArray>();

  constructor(model: Model, subgraph: Subgraph) {
    this.model = model;
    this.subgraph = subgraph;
    this.tensors = [...subgraph.tensors];
    this.builder = new GraphBuilder(model.file.name);
    this.variables = readVariables(model, subgraph);
  }

  run(): Graph {
    for (const index of this.subgraph.inputs) this.addInput(this.tensor(index, this.subgraph.where));
    for (const operator of this.subgraph.operators) this.addOperator(operator);
    for (const index of this.subgraph.outputs) this.builder.output(this.value(this.tensor(index, this.subgraph.where), this.subgraph.where));
    for (const [key, text] of readNotes(this.model, this.subgraph)) this.builder.note(key, text);
    return this.builder.build();
  }

  private tensor(index: number, where: string): Tensor {
    return this.tensors[index] ?? this.model.file.fail(where, `tensor ${index} does not exist`);
  }

  /** Tensors by number, −1 meaning absent. */
  private optionalTensors(indices: readonly number[], where: string): (Tensor | null)[] {
    return indices.map((index) => (index === -1 ? null : this.tensor(index, where)));
  }

  private addInput(tensor: Tensor): void {
    if (this.values.has(tensor.index)) this.model.file.fail(tensor.where, "the tensor is listed twice among the inputs");
    this.values.set(tensor.index, this.builder.input(tensor.name, tensorType(this.model.file, tensor)));
  }

  /** Contents of a constant tensor, whether the file stores or computes it. */
  private constantData(tensor: Tensor): TypedArray | null {
    const folded = this.folded.get(tensor.index);
    if (folded !== undefined) return folded;
    const value = this.values.get(tensor.index);
    if (value !== undefined) return value.data ?? null;
    if (tensor.isVariable) return null;
    return this.storedConstant(tensor);
  }

  /** A constant without elements (no axes, a scalar's shape) may come without a buffer. */
  private storedConstant(tensor: Tensor): TypedArray | null {
    const stored = this.model.constant(tensor);
    return stored === null && elementCount(tensor.shape) === 0 && tensor.stored === "int32" ? new Int32Array(0) : stored;
  }

  private value(tensor: Tensor, where: string): Value {
    const known = this.values.get(tensor.index);
    if (known !== undefined) return known;
    const made = this.makeValue(tensor, where);
    this.values.set(tensor.index, made);
    return made;
  }

  private makeValue(tensor: Tensor, where: string): Value {
    const variable = this.variables.get(tensor.index);
    if (variable !== undefined) return this.variableValue(variable);
    const type = tensorType(this.model.file, tensor);
    if (tensor.isVariable) return this.builder.variable(tensor.name, type, this.model.constant(tensor) ?? undefined);
    const data = this.constantData(tensor);
    if (data === null) return this.model.file.fail(where, `the operator reads ${tensor.where} before anything has produced it`);
    return this.builder.constant(tensor.name, type, data);
  }

  private variableValue(variable: Variable): Value {
    const known = this.variableValues.get(variable);
    if (known !== undefined) return known;
    const made = this.builder.variable(variable.name, tensorType(this.model.file, variable.type), variable.initial);
    this.variableValues.set(variable, made);
    return made;
  }

  private addOperator(operator: StoredOperator): void {
    if (isBookkeeping(operator.kind.code)) return;
    const site = this.settledSite(operator);
    if (this.fold(operator, site)) return;
    const row = rowOf(operator.kind);
    if (row === undefined)
      return this.model.file.unsupported(
        operator.where,
        "the operator works on something other than a constant",
        "Export the model with fixed shapes and dense weights.",
      );
    const inputs = this.nodeInputs(operator, row, site);
    if (row.state !== undefined) inputs.push(this.builder.variable(`${site.output(0).name}_state`, row.state(site)));
    const attributes = row.read(site);
    const outputs = site.outputs.map((tensor) => this.produce(tensor, operator.where));
    this.builder.node(row.op, inputs, outputs, attributes);
  }

  private settledSite(operator: StoredOperator): Site {
    const site = this.site(operator);
    const shape = openShape(operator.kind.code, site);
    if (shape === null) return site;
    const output = site.output(0);
    this.tensors[output.index] = { ...output, shape };
    return this.site(operator);
  }

  private site(operator: StoredOperator): Site {
    const where = operator.where;
    return new Site(
      this.model.file,
      {
        where,
        options: operator.options,
        customOptions: operator.customOptions,
        inputs: this.optionalTensors(operator.inputs, where),
        outputs: operator.outputs.map((index) => this.tensor(index, where)),
        intermediates: this.optionalTensors(operator.intermediates, where),
      },
      (tensor) => this.numbers(tensor),
    );
  }

  private numbers(tensor: Tensor): readonly number[] | null {
    const data = this.constantData(tensor);
    if (data === null) return null;
    this.model.file.spend(data.length, tensor.where); // one constant may serve many operators
    return Array.from<number | bigint, number>(data, Number);
  }

  /** Values of the inputs that the node keeps, null where an optional one is absent. */
  private nodeInputs(operator: StoredOperator, row: OperatorRow, site: Site): (Value | null)[] {
    if (row.inputs === "*") {
      if (site.inputs.length === 0) site.fail("the operator has no inputs");
      return site.inputs.map((_, i) => this.value(site.input(i), operator.where));
    }
    if (site.inputs.length > row.inputs.length) site.fail(`the operator has ${site.inputs.length} inputs; it can have ${row.inputs.length}`);
    const kept: (Value | null)[] = [];
    [...row.inputs].forEach((kind, i) => {
      if (kind === "x") kept.push(this.value(site.input(i), operator.where));
      if (kind === "?") kept.push(site.inputs[i] ? this.value(site.input(i), operator.where) : null);
    });
    return row.order === undefined ? kept : row.order.map((position) => kept[position] ?? null);
  }

  private produce(tensor: Tensor, where: string): Value {
    if (this.values.has(tensor.index) || this.folded.has(tensor.index))
      this.model.file.fail(where, `the operator produces ${tensor.where} a second time`);
    const value = this.builder.value(tensor.name, tensorType(this.model.file, tensor));
    this.values.set(tensor.index, value);
    return value;
  }

  /** Carries out an operator on constants that only prepares other operators; true where it did. */
  private fold(operator: StoredOperator, site: Site): boolean {
    const result = this.foldedWeights(operator.kind.code, site) ?? this.foldedShape(operator.kind.code, site);
    if (result === null) return false;
    const output = site.output(0);
    if (this.values.has(output.index) || this.folded.has(output.index)) site.fail(`the operator produces ${output.where} a second time`);
    if (result.length !== elementCount(output.shape)) site.fail(`${result.length} elements do not fit the output ${output.where}`);
    this.folded.set(output.index, result);
    return true;
  }

  /** Weights in half precision are widened, sparse ones were made dense when they were read. */
  private foldedWeights(code: number, site: Site): TypedArray | null {
    if (code !== DEQUANTIZE && code !== DENSIFY) return null;
    const [input, output] = [site.input(0), site.output(0)];
    if (code === DEQUANTIZE && (input.stored !== "float16" || output.stored !== "float32")) return null;
    if (code === DENSIFY && input.stored !== output.stored) return null;
    const data = this.constantData(input);
    if (data === null || code === DENSIFY) return data;
    this.model.file.spend(data.length, site.where);
    return widenFloat16(data);
  }

  private foldedShape(code: number, site: Site): TypedArray | null {
    if (site.outputs.length !== 1) return null;
    const result = foldShapes(code, site, (input) => this.numbers(site.input(input)));
    if (result === null) return null;
    return site.output(0).stored === "int64" ? BigInt64Array.from(result, BigInt) : Int32Array.from(result);
  }
}

/** The graph's checker speaks of a graph; what broke its rules here is the file. */
function checked(model: Model, graph: Graph): Graph {
  try {
    checkGraph(graph);
  } catch (error) {
    if (error instanceof KingletError && error.code === "bad-graph") model.file.fail("", error.message);
    throw error;
  }
  return graph;
}

/**
 * Reads a TensorFlow Lite model (FlatBuffer schema version 3). Its first subgraph becomes the graph;
 * others and the signatures are named in the metadata. `name` is used in messages.
 * @throws KingletError `bad-file` for a damaged file; `unsupported` that names every operator Kinglet lacks.
 */
export function readTflite(bytes: Uint8Array, name: string): Graph {
  const model = new Model(bytes, name);
  const subgraph = model.subgraph(0);
  refuseUnknown(model, subgraph);
  return checked(model, new Translation(model, subgraph).run());
}
