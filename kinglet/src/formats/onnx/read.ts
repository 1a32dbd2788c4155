import { allocate, elementCount, KingletError, type Shape, type TypedArray } from "../../base/index.ts";
import { checkGraph, type Graph, type Value } from "../../graph/index.ts";
import { refusedList } from "../refusals.ts";
import { carryCounts } from "./counted.ts";
import { Importer } from "./importer.ts";
import { removeUnused, scaleInputs } from "./tidy.ts";
import { fuseActivations, fuseBiases } from "./fuse.ts";
import { bindFunction, bodyOf, type FunctionTable, functionTable } from "./functions.ts";
import { STRING } from "./elements.ts";
import { calledBy, ruleOf } from "./operators.ts";
import { pairMoved } from "./quantized-forms.ts";
import type { DimProto, GraphProto, ModelProto, NodeProto, ValueInfoProto } from "./proto.ts";
import { parseModel } from "./schema.ts";
import { resultList, type Results, Site } from "./site.ts";
import { decodeSparse, decodeTensor, elementType, type ExternalFiles, isStrings, type Tensor, textsOf } from "./tensor.ts";

export interface OnnxOptions {
  /** The shape of an input, by its name or number, where the file leaves it open. */
  readonly shapeOf?: (input: string, index: number) => Shape | undefined;
  /** Bytes of a file beside the model, where tensors lie outside of it. */
  readonly files?: ExternalFiles;
  /** Contents of an input where an operator needs them before the network runs (shapes, axes, tables). */
  readonly contents?: (index: number) => TypedArray | undefined;
}

/** Version 6 differs only in how it says that operands broadcast. */
const OLDEST_OPSET = 6;
/** What may be done with strings in input 0: they go somewhere else, or stay what they are. */
const MOVING: ReadonlySet<string> = new Set(["Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Gather", "ArrayFeatureExtractor", "Cast"]);

/** Calls of functions inside of functions; a function that calls itself ends here. */
const MAX_DEPTH = 32;
/** Nodes of functions' bodies in all: functions that call each other twice double with every level. */
const MAX_CALLED = 30_000;

/** What names mean: each graph sees the names of those around it. */
class Scope {
  private readonly values = new Map<string, Value>();
  private readonly outer: Scope | null;

  constructor(outer: Scope | null) {
    this.outer = outer;
  }

  get(name: string): Value | undefined {
    return this.values.get(name) ?? this.outer?.get(name);
  }

  set(name: string, value: Value): void {
    this.values.set(name, value);
  }

  hasOwn(name: string): boolean {
    return this.values.has(name);
  }
}

/** What the output is called that counts the rows of another, where contents decide how many there are. */
export const countName = (output: string): string => `${output}.count`;

const isKnown = (dim: DimProto): boolean => typeof dim === "number" && dim >= 0;

const noFiles: ExternalFiles = (location, place) => {
  throw new KingletError("bad-file", `the tensor lies in the file "${location}", which is not at hand`, {
    place,
    hint: "Give the model's own path, with that file beside it.",
  });
};

class Translation {
  private readonly importer: Importer;
  private readonly model: ModelProto;
  private readonly functions: FunctionTable;
  private readonly options: OnnxOptions;
  private readonly files: ExternalFiles;
  private readonly name: string;
  /** What the file calls the results of its nodes. */
  private readonly names = new Map<Value, string>();
  private called = 0;

  constructor(model: ModelProto, name: string, options: OnnxOptions) {
    this.model = model;
    this.name = name;
    this.options = options;
    this.files = options.files ?? noFiles;
    this.functions = functionTable(model);
    this.importer = new Importer(name, options.contents ?? (() => undefined));
  }

  run(graph: GraphProto): Graph {
    this.refuseUnknown(graph);
    const scope = new Scope(null);
    this.addInitializers(graph, scope);
    // Older files list initializers among the inputs: they are constants all the same.
    const open = graph.inputs.filter((input) => !scope.hasOwn(input.name));
    open.forEach((input, i) => this.addInput(input, i, scope));
    this.addNodes(graph.nodes, scope, this.model.opsets, 0);
    for (const output of graph.outputs) this.addOutput(output, scope);
    for (const { name } of graph.outputs) {
      const count = this.importer.countOf(scope.get(name)!);
      if (count !== undefined) this.deliver(count, countName(name));
    }
    this.addNotes();
    const read = removeUnused(this.importer.builder.build(), this.names);
    return removeUnused(fuseActivations(fuseBiases(scaleInputs(read))));
  }

  private addNotes(): void {
    const { producer, producerVersion, doc, notes } = this.model;
    const { builder } = this.importer;
    builder.note("producer", `${producer} ${producerVersion}`.trim());
    if (doc !== "") builder.note("description", doc);
    for (const [name, text] of notes) builder.note(name, text);
  }

  /** One error that names every operator Kinglet lacks, with how often each occurs. */
  private refuseUnknown(graph: GraphProto): void {
    const counts = new Map<string, number>();
    const visit = (nodes: readonly NodeProto[], depth: number): void => {
      for (const node of nodes) {
        for (const attribute of node.attributes) if (attribute.graph !== null && depth < MAX_DEPTH) visit(attribute.graph.nodes, depth + 1);
        if (ruleOf(node) !== undefined || this.functions.has(bodyOf(node)) || node.op === "If") continue;
        const called = calledBy(node);
        counts.set(called, (counts.get(called) ?? 0) + 1);
      }
    };
    visit(graph.nodes, 0);
    for (const { nodes } of this.functions.values()) visit(nodes, 0);
    if (counts.size === 0) return;
    throw new KingletError("unsupported", `the model uses operators that Kinglet does not have: ${refusedList(counts)}`, {
      place: this.name,
      hint: "Export the model without them, or compute these parts outside the model.",
    });
  }

  private addTensor(name: string, { element, shape, data }: Tensor, scope: Scope): void {
    scope.set(name, this.importer.mark(this.importer.constant(data, element.dtype, shape, name), element));
  }

  private addInitializers(graph: GraphProto, scope: Scope): void {
    const names = new Set<string>();
    for (const { name } of [...graph.initializers, ...graph.sparse.map(({ values }) => ({ name: values?.name ?? "" }))]) {
      if (name !== "" && names.has(name)) throw new KingletError("bad-file", `the tensor "${name}" is stored twice`, { place: this.name });
      names.add(name);
    }
    for (const tensor of graph.initializers) {
      if (isStrings(tensor)) scope.set(tensor.name, this.importer.texts(textsOf(tensor, this.name), tensor.dims, tensor.name));
      else this.addTensor(tensor.name, decodeTensor(tensor, this.name, this.files), scope);
    }
    for (const sparse of graph.sparse) {
      const budget = (bytes: number): void => this.importer.spend(bytes, this.name);
      this.addTensor(sparse.values?.name ?? "", decodeSparse(sparse, this.name, this.files, budget), scope);
    }
  }

  private inputShape(input: ValueInfoProto, index: number): Shape {
    const given = this.options.shapeOf?.(input.name, index);
    const place = `${this.name}, input "${input.name}"`;
    const open = input.shape === null || !input.shape.every(isKnown);
    if (given === undefined) {
      if (!open) return input.shape as number[];
      const [samples, features] = input.shape ?? [];
      // Classical models take a matrix of any number of samples: one, if nobody says otherwise.
      if (input.shape?.length === 2 && typeof features === "number" && features > 0 && !isKnown(samples!)) return [1, features];
      const text = input.shape?.map((dim) => (dim === "" ? "?" : dim)).join("x") ?? "of any rank";
      throw new KingletError("unsupported", `the shape of input "${input.name}" is open: ${text}`, {
        place,
        hint: `Say what it is, for example --shape ${input.name}=${input.shape?.map((dim) => (typeof dim === "number" && dim > 0 ? dim : 1)).join("x") ?? "1x10"}`,
      });
    }
    const fits = (dim: DimProto, i: number): boolean => typeof dim !== "number" || dim < 1 || dim === given[i];
    if (input.shape !== null && (given.length !== input.shape.length || !input.shape.every(fits)))
      throw new KingletError("bad-input", `the shape ${given.join("x")} does not fit ${input.shape.join("x")}`, { place });
    return given;
  }

  private addInput(input: ValueInfoProto, index: number, scope: Scope): void {
    const place = `${this.name}, input "${input.name}"`;
    if (input.kind !== "tensor")
      throw new KingletError("unsupported", `the input is a ${input.kind}, and Kinglet's networks have tensors only`, { place });
    if (scope.hasOwn(input.name)) throw new KingletError("bad-file", `the input "${input.name}" is listed twice`, { place });
    const element = elementType(input.elementType, place);
    const shape = this.inputShape(input, index);
    // An input without elements carries nothing: it is known already.
    const value =
      elementCount(shape) === 0
        ? this.importer.constant(allocate(element.dtype, 0), element.dtype, shape, input.name)
        : this.importer.input(input.name, element, shape, index);
    scope.set(input.name, this.importer.mark(value, element));
  }

  private addOutput(output: ValueInfoProto, scope: Scope): void {
    const { builder } = this.importer;
    const value = scope.get(output.name);
    if (value === undefined) throw new KingletError("bad-file", `the output "${output.name}" is never produced`, { place: this.name });
    if (elementCount(value.shape) === 0) throw new KingletError("unsupported", `the output "${output.name}" has no elements`, { place: this.name });
    const labels = this.importer.labelsOf(value);
    if (labels !== undefined) builder.note("labels", labels.map((label) => label.replace(/\s+/g, " ")).join("\n"));
    this.deliver(value, output.name);
  }

  private deliver(value: Value, name: string): void {
    const { builder } = this.importer;
    const taken = value.data !== undefined || builder.build().inputs.includes(value) || builder.build().outputs.includes(value);
    if (!taken) this.names.set(value, name);
    builder.output(taken ? this.importer.copy(value, name) : value);
  }

  private addNodes(nodes: readonly NodeProto[], scope: Scope, opsets: ReadonlyMap<string, number>, depth: number): void {
    if (depth > MAX_DEPTH) throw new KingletError("bad-file", "functions or branches lie too deep in each other", { place: this.name });
    for (const node of nodes) this.addNode(node, scope, opsets, depth);
  }

  private addNode(node: NodeProto, scope: Scope, opsets: ReadonlyMap<string, number>, depth: number): void {
    const domain = node.domain === "ai.onnx" ? "" : node.domain;
    const version = opsets.get(domain) ?? 1;
    const inputs = node.inputs.map((name) => {
      if (name === "") return null;
      const value = scope.get(name);
      if (value === undefined)
        throw new KingletError("bad-file", `the node "${node.name}" (${node.op}) reads "${name}" before anything has produced it`, {
          place: this.name,
        });
      return value;
    });
    const site = new Site(node, this.importer, version, inputs, this.files);
    if (domain === "" && version < OLDEST_OPSET)
      site.unsupported(`the operator set ${version} is older than ${OLDEST_OPSET}`, "Convert the model to a newer operator set.");
    this.bindOutputs(node, this.carryOut(site, scope, opsets, depth), site, scope);
  }

  private carryOut(site: Site, scope: Scope, opsets: ReadonlyMap<string, number>, depth: number): Results {
    const { node } = site;
    if (node.op === "If" && node.domain === "") return this.branch(site, scope, opsets, depth);
    const body = this.functions.get(bodyOf(node));
    if (body !== undefined) {
      const inner = new Scope(null);
      body.inputs.forEach((name, i) => {
        const value = site.optional(i);
        if (value !== null) inner.set(name, value);
      });
      this.called += body.nodes.length;
      if (this.called > MAX_CALLED) site.fail(`the calls of functions come to more than ${MAX_CALLED} nodes`);
      const bound = bindFunction(body, node, (name) => name === "" || inner.hasOwn(name));
      this.addNodes(bound, inner, new Map([...opsets, ...body.opsets]), depth + 1);
      return body.outputs.map((name) => inner.get(name) ?? null);
    }
    const rule = ruleOf(node)!;
    const strings = site.inputs.find((value) => value !== null && this.importer.elementOf(value) === STRING);
    if (strings && (strings !== site.inputs[0] || !MOVING.has(node.op))) site.unsupported("computing with strings is not supported");
    const results = this.guarded(site, () => rule(site));
    const made = resultList(results);
    if (strings) for (const result of made) this.importer.strings(result!, this.importer.labelsOf(strings)!);
    for (const value of made) if (value !== null && !site.inputs.includes(value)) this.importer.remember(value, { site, rule });
    carryCounts(site, made);
    pairMoved(site, rule, made);
    return results;
  }

  /** Shape rules speak of a graph; what broke them here is the file. */
  private guarded(site: Site, work: () => Results): Results {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof KingletError) || error.place !== undefined) throw error;
      throw new KingletError(error.code === "bad-graph" ? "bad-file" : error.code, error.message, {
        place: site.place,
        ...(error.hint === undefined ? {} : { hint: error.hint }),
      });
    }
  }

  /** An If whose condition is known is its branch. */
  private branch(site: Site, scope: Scope, opsets: ReadonlyMap<string, number>, depth: number): Results {
    const graph = site.graph(Number(site.known(0)[0]) !== 0 ? "then_branch" : "else_branch");
    const inner = new Scope(scope);
    this.addInitializers(graph, inner);
    this.addNodes(graph.nodes, inner, opsets, depth + 1);
    return graph.outputs.map((output) => inner.get(output.name) ?? site.fail(`the branch does not produce "${output.name}"`));
  }

  private bindOutputs(node: NodeProto, results: Results, site: Site, scope: Scope): void {
    const list = resultList(results);
    // Half precision in, half precision out, unless the rule says otherwise.
    const narrow = site.inputs
      .map((input) => (input === null ? undefined : this.importer.elementOf(input)))
      .find((element) => element?.dtype === "float32");
    node.outputs.forEach((name, i) => {
      if (name === "") return;
      const value = list[i] ?? site.unsupported(`its output ${i} is not supported`);
      if (scope.hasOwn(name)) site.fail(`it produces "${name}" a second time`);
      if (value.dtype === "float32" && narrow !== undefined && !this.importer.isMarked(value)) this.importer.mark(value, narrow);
      scope.set(name, value);
      if (value.data === undefined && !site.inputs.includes(value) && !this.names.has(value)) this.names.set(value, name);
    });
  }
}

/** The graph's checker speaks of a graph; what broke its rules here is the file. */
function checked(graph: Graph, name: string): Graph {
  try {
    checkGraph(graph);
  } catch (error) {
    if (error instanceof KingletError && error.code === "bad-graph") throw new KingletError("bad-file", error.message, { place: name });
    throw error;
  }
  return graph;
}

/**
 * Reads an ONNX model (operator sets from 7 on). `name` is used in messages. Outputs whose rows depend on contents (boxes that were
 * chosen) are as long as they can become; behind the file's own outputs, one named as `countName` says counts each one's rows.
 * @throws KingletError `bad-file` for a damaged file; `unsupported` that names what Kinglet lacks.
 */
export function readOnnx(bytes: Uint8Array, name: string, options: OnnxOptions = {}): Graph {
  const model = parseModel(bytes, name);
  if (model.graph === null || model.opsets.size === 0)
    throw new KingletError("bad-file", "the file holds no ONNX graph", { place: name, hint: "Export or download the model again." });
  try {
    return checked(new Translation(model, name, options).run(model.graph), name);
  } catch (error) {
    // Rules take attributes and ranks as the standard has them; a file that breaks it may stumble anywhere.
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    throw new KingletError("bad-file", `the parts of the file do not fit together: ${error.message}`, {
      place: name,
      hint: "Export the model again.",
    });
  }
}

/** Whether a file begins as ONNX models do: the version of the format, a number below 128, then another small field. */
export function isOnnx(bytes: Uint8Array): boolean {
  return bytes.length > 4 && bytes[0] === 8 && bytes[1]! > 0 && bytes[1]! < 128 && [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42].includes(bytes[2]!);
}
