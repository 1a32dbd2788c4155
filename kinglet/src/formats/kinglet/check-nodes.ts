import { KingletError, sameShape } from "../../base/index.ts";
import type { Attribute, Graph, Node } from "../../graph/index.ts";
import { findOp, type OpDef } from "../../ops/index.ts";
import type { JsonReader } from "../json-reader.ts";

function kindOf(attribute: Attribute): string {
  return typeof attribute === "object" ? "list" : typeof attribute;
}

/** What an operator's example cases say of its attributes: the kinds each may have, and which are always there. */
function attributeRules(op: OpDef): { readonly kinds: Map<string, Set<string>>; readonly always: readonly string[] } {
  const kinds = new Map<string, Set<string>>();
  for (const { attributes } of op.cases) {
    for (const [key, attribute] of Object.entries(attributes)) kinds.set(key, (kinds.get(key) ?? new Set()).add(kindOf(attribute)));
  }
  const always = [...kinds.keys()].filter((key) => op.cases.every(({ attributes }) => Object.hasOwn(attributes, key)));
  return { kinds, always };
}

const ACTIVATIONS: ReadonlySet<unknown> = new Set(["none", "relu", "relu6", "reluN1To1", "tanh"]);

function checkAttributes(reader: JsonReader, node: Node, op: OpDef, where: string): void {
  const { kinds, always } = attributeRules(op);
  for (const key of always) if (!Object.hasOwn(node.attributes, key)) reader.fail(where, `the attribute "${key}" is missing`);
  for (const [key, attribute] of Object.entries(node.attributes)) {
    const allowed = kinds.get(key);
    if (allowed !== undefined && !allowed.has(kindOf(attribute))) reader.fail(where, `the attribute "${key}" is a ${kindOf(attribute)}`);
  }
  const activation = node.attributes["activation"];
  if (activation !== undefined && !ACTIVATIONS.has(activation)) reader.fail(where, "the activation is not known");
}

function checkTypes(reader: JsonReader, node: Node, op: OpDef, where: string): void {
  const inferred = op.infer(node.inputs, node.attributes);
  if (inferred.length !== node.outputs.length) reader.fail(where, `it has ${node.outputs.length} outputs, and should have ${inferred.length}`);
  inferred.forEach((type, i) => {
    const output = node.outputs[i]!;
    // What an output's element type may be is its operator's business, when its loops are made.
    if (!sameShape(output.shape, type.shape)) reader.fail(where, `its output "${output.name}" has another shape than the operator gives`);
  });
}

/**
 * A stored node may say anything. Its attributes are held against the operator's own examples and its shapes against
 * the operator's rule, so that nothing behind the reader meets a node that no reader would have made.
 */
export function checkNodes(reader: JsonReader, graph: Graph): void {
  const unknown = new Set(graph.nodes.filter((node) => findOp(node.op) === undefined).map((node) => node.op.slice(0, 40)));
  if (unknown.size > 0)
    throw new KingletError("unsupported", `the model uses operators that Kinglet does not have: ${[...unknown].slice(0, 20).join(", ")}`, {
      place: reader.name,
    });
  graph.nodes.forEach((node, i) => {
    const where = `node ${i} "${node.name.slice(0, 80)}" (${node.op})`;
    const op = findOp(node.op)!;
    checkAttributes(reader, node, op, where);
    try {
      checkTypes(reader, node, op, where);
    } catch (error) {
      if (error instanceof KingletError && error.code === "bad-file") throw error;
      reader.fail(where, error instanceof KingletError ? error.message : "its inputs do not fit the operator");
    }
  });
}
