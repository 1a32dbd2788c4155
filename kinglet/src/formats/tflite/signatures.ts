import type { Graph } from "../../graph/index.ts";
import type { Table } from "./flatfile.ts";
import type { Fields } from "./flatwriter.ts";
import type { Model, Subgraph } from "./model.ts";
import { SIGNATURE, TENSOR_MAP } from "./schema.ts";
import { uniqueNames } from "./unique-names.ts";

/** Notes of signatures have keys that begin so. */
const NOTE = "signature ";
const DEFAULT_KEY = "serving_default";

/** A signature as a note tells it: positions among the graph's inputs and outputs by name. */
interface SignatureNote {
  readonly inputs: Readonly<Record<string, number>>;
  readonly outputs: Readonly<Record<string, number>>;
}

/** Every position by its value's name; a name that several have is numbered. */
function positionsByName(names: readonly string[]): Record<string, number> {
  return Object.fromEntries(uniqueNames(names).map((name, i) => [name, i]));
}

function defaultSignature(inputs: readonly string[], outputs: readonly string[]): SignatureNote {
  return { inputs: positionsByName(inputs), outputs: positionsByName(outputs) };
}

function readPositions(entries: readonly Table[], tensors: readonly number[]): Record<string, number> {
  const found = entries.map((entry): [string, number] => [entry.text(TENSOR_MAP.name), tensors.indexOf(entry.uint(TENSOR_MAP.tensor))]);
  return Object.fromEntries(found.filter(([, position]) => position >= 0));
}

/** Notes of the signatures of the first subgraph; the one that only repeats the tensors' names says nothing new. */
export function* readSignatures(model: Model, subgraph: Subgraph): Iterable<[string, string]> {
  const names = (tensors: readonly number[]): string[] => tensors.map((index) => subgraph.tensors[index]?.name ?? "");
  const plain = JSON.stringify(defaultSignature(names(subgraph.inputs), names(subgraph.outputs)));
  for (const signature of model.signatures) {
    if (signature.uint(SIGNATURE.subgraph) !== 0) continue;
    const key = signature.text(SIGNATURE.key);
    const [inputs, outputs] = [SIGNATURE.inputs, SIGNATURE.outputs].map((field) => signature.tables(field, signature.where));
    const text = JSON.stringify({ inputs: readPositions(inputs!, subgraph.inputs), outputs: readPositions(outputs!, subgraph.outputs) });
    if (key !== DEFAULT_KEY || text !== plain) yield [NOTE + key, text];
  }
}

export function isSignatureNote(key: string): boolean {
  return key.startsWith(NOTE);
}

/** Null for a text that something else than the reader has written. */
function parseNote(text: string): SignatureNote | null {
  try {
    const note = JSON.parse(text) as SignatureNote;
    const all = [...Object.values(note.inputs), ...Object.values(note.outputs)];
    return all.every((position) => Number.isInteger(position)) ? note : null;
  } catch {
    return null;
  }
}

function mapFields(positions: Readonly<Record<string, number>>, tensors: readonly number[]): Fields[] {
  return Object.entries(positions).flatMap(([name, position]) =>
    tensors[position] === undefined ? [] : [{ [TENSOR_MAP.name]: { text: name }, [TENSOR_MAP.tensor]: { int: tensors[position] } }],
  );
}

/** The signatures that the notes tell of, or one with the names of the graph's inputs and outputs. */
export function signatureFields(graph: Graph, inputs: readonly number[], outputs: readonly number[]): Fields[] {
  const told = Object.entries(graph.metadata).flatMap(([key, text]): [string, SignatureNote][] => {
    const note = isSignatureNote(key) ? parseNote(text) : null;
    return note === null ? [] : [[key.slice(NOTE.length), note]];
  });
  const names = (values: Graph["inputs"]): string[] => values.map(({ name }) => name);
  const all = told.length > 0 ? told : [[DEFAULT_KEY, defaultSignature(names(graph.inputs), names(graph.outputs))] as const];
  return all.map(([key, note]) => ({
    [SIGNATURE.inputs]: { tables: mapFields(note.inputs, inputs) },
    [SIGNATURE.outputs]: { tables: mapFields(note.outputs, outputs) },
    [SIGNATURE.key]: { text: key },
    [SIGNATURE.subgraph]: { int: 0 },
  }));
}
