import type { TypedArray } from "../base/index.ts";
import type { Attributes, Graph, Node, Value, ValueType } from "./graph.ts";

/** Builds a graph value by value; knows nothing about operators (ops/ adds shape inference on top). */
export class GraphBuilder {
  private readonly values: Value[] = [];
  private readonly nodes: Node[] = [];
  private readonly inputs: Value[] = [];
  private readonly outputs: Value[] = [];
  private readonly metadata: Record<string, string> = {};

  private readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  /** Goes on with a graph: its values keep their identity. */
  static from(graph: Graph, name = graph.name): GraphBuilder {
    const builder = new GraphBuilder(name);
    builder.values.push(...graph.values);
    builder.nodes.push(...graph.nodes);
    builder.inputs.push(...graph.inputs);
    builder.outputs.push(...graph.outputs);
    Object.assign(builder.metadata, graph.metadata);
    return builder;
  }

  /** The nodes so far, in order. */
  get written(): readonly Node[] {
    return this.nodes;
  }

  private add(value: Omit<Value, "id">): Value {
    const added: Value = { ...value, id: this.values.length };
    this.values.push(added);
    return added;
  }

  input(name: string, type: ValueType): Value {
    const value = this.add({ name, ...type });
    this.inputs.push(value);
    return value;
  }

  constant(name: string, type: ValueType, data: TypedArray): Value {
    return this.add({ name, ...type, data });
  }

  variable(name: string, type: ValueType, initial?: TypedArray): Value {
    return this.add({ name, ...type, variable: true, initial });
  }

  /** A value that some later `node` call will produce. */
  value(name: string, type: ValueType): Value {
    return this.add({ name, ...type });
  }

  node(op: string, inputs: readonly (Value | null)[], outputs: readonly Value[], attributes: Attributes = {}, name?: string): Node {
    const node: Node = { op, name: name ?? `${op}_${this.nodes.length}`, inputs, outputs, attributes };
    this.nodes.push(node);
    return node;
  }

  output(value: Value): void {
    this.outputs.push(value);
  }

  note(key: string, text: string): void {
    this.metadata[key] = text;
  }

  build(): Graph {
    return {
      name: this.name,
      values: this.values,
      nodes: this.nodes,
      inputs: this.inputs,
      outputs: this.outputs,
      metadata: this.metadata,
    };
  }
}
