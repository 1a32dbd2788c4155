import { KingletError } from "../../base/index.ts";
import type { Graph, Node } from "../../graph/index.ts";
import { checkExpressible } from "../expressible.ts";
import { elementCode } from "./elements.ts";
import { emptyModel, encodeModel } from "./schema.ts";
import { makersOf, readersOf } from "./tidy.ts";
import { CONVERSION } from "./writer/conversion.ts";
import { ELEMENTWISE } from "./writer/elementwise.ts";
import { LAYERS } from "./writer/layers.ts";
import { MOVEMENT } from "./writer/movement.ts";
import { NodeWriter, type Writing } from "./writer/node-writer.ts";
import { Parts, type Tensor } from "./writer/parts.ts";
import { REDUCTION } from "./writer/reduction.ts";
import type { WriteRules } from "./writer/rule.ts";
import { isQuantized, NARROW_AND_WIDE, Values } from "./writer/values.ts";

export interface OnnxWriteOptions {
  /** The operator set to write, from 13 to 21; the first that suffices where absent. */
  readonly opset?: number;
}

const OLDEST = 13;
const NEWEST = 21;
/** The version of the file format that came with an operator set. */
const IR_VERSIONS: Readonly<Record<number, number>> = { 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10 };

const RULES: WriteRules = { ...LAYERS, ...ELEMENTWISE, ...MOVEMENT, ...REDUCTION, ...CONVERSION };

/** The first operator set that can say what a node does, with the types that it has. */
function needed(node: Node): number {
  const since = RULES[node.op]?.since ?? OLDEST;
  const values = [...node.inputs, ...node.outputs].filter((value) => value !== null);
  const isWide = values.some((value) => isQuantized(value) && value.dtype === "int16");
  return Math.max(typeof since === "number" ? since : since(node), isWide ? NARROW_AND_WIDE : OLDEST);
}

/** Why the file cannot hold a node, or null where it can. */
function obstacle(node: Node, opset: number | undefined): string | null {
  const values = [...node.inputs, ...node.outputs];
  if (values.some((value) => value?.variable === true)) return "it keeps state from one inference to the next, and ONNX has none";
  if (node.op === "transpose") return null;
  const rule = RULES[node.op];
  if (rule === undefined) return "ONNX has no such operator";
  const reason = rule.obstacle?.(node);
  if (reason !== undefined) return reason;
  return opset !== undefined && needed(node) > opset ? `it needs operator set ${needed(node)}` : null;
}

/** Images with channels last, and with channels first. */
const TO_LAST = "0,2,3,1";
const TO_FIRST = "0,3,1,2";

/** Transposes that only turn images for Kinglet's operators and back: in ONNX there is nothing to turn. */
function imageTransposes(graph: Graph): Set<Node> {
  const [makers, readers] = [makersOf(graph), readersOf(graph)];
  const isImages = (node: Node | undefined): boolean => RULES[node?.op ?? ""]?.isImages === true;
  const outputs = new Set(graph.outputs);
  return new Set(
    graph.nodes.filter((node) => {
      if (node.op !== "transpose") return false;
      const order = String(node.attributes["permutation"]);
      const [x, y] = [node.inputs[0]!, node.outputs[0]!];
      if (order === TO_FIRST) return isImages(makers.get(x));
      return order === TO_LAST && !outputs.has(y) && (readers.get(y) ?? []).every((reader) => isImages(reader) && reader.inputs[0] === y);
    }),
  );
}

/** Tensors of the network's outputs: each one of its own, made by a node. */
function outputTensors(graph: Graph, { parts, values }: Writing, inputs: readonly Tensor[]): Tensor[] {
  const taken = new Set(inputs);
  return graph.outputs.map((value) => {
    const found = values.stored(value);
    const isFree = !taken.has(found) && found.isConstant !== true;
    const tensor = isFree ? found : parts.node("Identity", `${value.name}_copy`, [found], [found])[0]!;
    tensor.wish = value.name;
    taken.add(tensor);
    return tensor;
  });
}

/**
 * The graph in a file's parts. With `carries`, whatever does not care about the order of dimensions is computed in the order of its
 * inputs, so that a network of images is turned once where it begins; without, every transpose stays where it is.
 */
function written(graph: Graph, opset: number, carries: boolean): { parts: Parts; inputs: Tensor[]; outputs: Tensor[] } {
  const parts = new Parts();
  const values = new Values(graph, parts, opset);
  const writing: Writing = { parts, values, opset, carries, makers: makersOf(graph) };
  const inputs = graph.inputs.map((value) => {
    const tensor: Tensor = { wish: value.name, element: elementCode(value.dtype), shape: value.shape };
    values.set(
      value,
      value.shape.map((_, d) => d),
      "stored",
      tensor,
    );
    return tensor;
  });
  const views = imageTransposes(graph);
  for (const node of graph.nodes) {
    if (node.op !== "transpose") RULES[node.op]!.write(new NodeWriter(node, writing));
    else if (!carries && !views.has(node)) values.stored(node.outputs[0]!);
  }
  return { parts, inputs, outputs: outputTensors(graph, writing, inputs) };
}

function checkedOpset(opset: number | undefined): void {
  if (opset === undefined || (Number.isInteger(opset) && opset >= OLDEST && opset <= NEWEST)) return;
  throw new KingletError("misuse", `the operator sets that Kinglet writes are ${OLDEST} to ${NEWEST}, not ${opset}`);
}

/**
 * Writes a network as an ONNX model: float operators as they are, integers as QuantizeLinear and DequantizeLinear around float
 * operators. Images are channels first inside; the network's inputs and outputs keep their shapes, and no two transposes follow each other.
 * @throws KingletError `unsupported` that names every node that the format cannot express; `misuse` for an unknown operator set
 */
export function writeOnnx(graph: Graph, options: OnnxWriteOptions = {}): Uint8Array {
  checkedOpset(options.opset);
  checkExpressible(graph, ".onnx", (node) => obstacle(node, options.opset));
  const opset = options.opset ?? Math.max(OLDEST, ...graph.nodes.map(needed));
  const [kept, carried] = [written(graph, opset, false), written(graph, opset, true)];
  const { parts, inputs, outputs } = carried.parts.movingTransposes() < kept.parts.movingTransposes() ? carried : kept;
  const { description = "", ...notes } = graph.metadata;
  return encodeModel({
    ...emptyModel(),
    irVersion: IR_VERSIONS[opset]!,
    producer: "kinglet",
    doc: description,
    opsets: new Map([["", opset]]),
    graph: parts.graph(graph.name, inputs, outputs),
    notes: new Map(Object.entries(notes)),
  });
}
