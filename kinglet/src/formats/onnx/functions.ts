import { KingletError } from "../../base/index.ts";
import type { AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto } from "./proto.ts";

export type FunctionTable = ReadonlyMap<string, FunctionProto>;

/** By what a node's function body is found: domain, name and overload. */
export function bodyOf({ domain, op, overload }: Pick<NodeProto, "domain" | "op" | "overload">): string {
  return `${domain === "ai.onnx" ? "" : domain} ${op} ${overload}`;
}

export function functionTable(model: ModelProto): FunctionTable {
  return new Map(model.functions.map((body) => [bodyOf({ ...body, op: body.name }), body]));
}

/** What the attributes of a call are, for nodes of the body that refer to them. */
function callAttributes(body: FunctionProto, call: NodeProto): Map<string, AttributeProto> {
  return new Map([...body.defaults, ...call.attributes].map((attribute) => [attribute.name, attribute]));
}

function bindNode(node: NodeProto, given: ReadonlyMap<string, AttributeProto>): NodeProto {
  const attributes = node.attributes.flatMap((attribute) => {
    if (attribute.graph !== null) return [{ ...attribute, graph: bindGraph(attribute.graph, given) }];
    if (attribute.reference === "") return [attribute];
    const value = given.get(attribute.reference);
    return value === undefined ? [] : [{ ...value, name: attribute.name }];
  });
  return { ...node, attributes };
}

function bindGraph(graph: GraphProto, given: ReadonlyMap<string, AttributeProto>): GraphProto {
  return { ...graph, nodes: graph.nodes.map((node) => bindNode(node, given)) };
}

/** The nodes of a function's body for one call: attributes filled in, inputs that the call leaves out left out. */
export function bindFunction(body: FunctionProto, call: NodeProto, present: (name: string) => boolean): NodeProto[] {
  if (call.inputs.length > body.inputs.length)
    throw new KingletError("bad-file", `the function ${body.name} is called with ${call.inputs.length} inputs and has ${body.inputs.length}`);
  const given = callAttributes(body, call);
  const absent = new Set(body.inputs.filter((name) => !present(name)));
  return body.nodes.map((node) => {
    const bound = bindNode(node, given);
    return { ...bound, inputs: bound.inputs.map((name) => (absent.has(name) ? "" : name)) };
  });
}
