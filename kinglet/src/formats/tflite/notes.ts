import type { Graph } from "../../graph/index.ts";
import type { Fields } from "./flatwriter.ts";
import { METADATA_NAME, readMetadata, writeMetadata } from "./metadata.ts";
import type { Model, Subgraph } from "./model.ts";
import { METADATA, MODEL, SUBGRAPH } from "./schema.ts";
import { isSignatureNote, readSignatures } from "./signatures.ts";
import { initializersOf } from "./variables.ts";

const DESCRIPTION = "description";
const OTHERS = "other subgraphs";

/** Longer attachments are no texts for people. */
const MAX_NOTE_BYTES = 4096;

/** Free of control characters and of bytes that were not UTF-8. */
function isReadable(text: string): boolean {
  return [...text].every((letter) => (letter >= " " ? letter !== "\ufffd" : "\n\r\t".includes(letter)));
}

/** The text of a metadata buffer, or null for binary attachments. */
function textIn(model: Model, bytes: Uint8Array, where: string): string | null {
  if (bytes.length > MAX_NOTE_BYTES) return null;
  model.file.spend(bytes.length, where);
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  const text = new TextDecoder().decode(bytes.subarray(0, end));
  return text !== "" && isReadable(text) ? text : null;
}

/** What came with the model beside its numbers, by key: texts, labels, normalization, signatures, names of what was left out. */
export function* readNotes(model: Model, subgraph: Subgraph): Iterable<[string, string]> {
  const description = model.root.text(MODEL.description);
  if (description !== "") yield [DESCRIPTION, description];
  for (const entry of model.root.tables(MODEL.metadata, "metadata")) {
    const [name, bytes] = [entry.text(METADATA.name), model.bufferBytes(entry.uint(METADATA.buffer), entry.where)];
    if (name === "" || bytes === null) continue;
    if (name === METADATA_NAME) {
      yield* readMetadata(bytes, model.file);
      continue;
    }
    const text = textIn(model, bytes, entry.where);
    if (text !== null) yield [name, text];
  }
  yield* readSignatures(model, subgraph);
  const kept = initializersOf(model, subgraph).add(0);
  const others = model.subgraphTables.filter((_, i) => !kept.has(i));
  if (others.length > 0) yield [OTHERS, others.map((table) => table.text(SUBGRAPH.name) || table.where).join(", ")];
}

/** Where the notes go: fields of the model, and files behind it. */
export interface WrittenNotes {
  readonly fields: Fields;
  readonly attachments: Readonly<Record<string, string>>;
}

/** @param buffer stores bytes and gives the number of their buffer */
export function writeNotes(graph: Graph, buffer: (bytes: Uint8Array) => number): WrittenNotes {
  const written = writeMetadata(graph);
  const isPlain = (key: string): boolean => key !== DESCRIPTION && key !== OTHERS && !isSignatureNote(key) && written?.told.has(key) !== true;
  const plain = Object.entries(graph.metadata).filter(([key]) => isPlain(key));
  const contents: [string, Uint8Array][] = plain.map(([key, text]) => [key, new TextEncoder().encode(text)]);
  if (written !== null) contents.push([METADATA_NAME, written.bytes]);
  const entries = contents.map(([name, bytes]) => ({ [METADATA.name]: { text: name }, [METADATA.buffer]: { int: buffer(bytes) } }));
  return {
    fields: {
      [MODEL.description]: { text: graph.metadata[DESCRIPTION] ?? "" },
      ...(entries.length === 0 ? {} : { [MODEL.metadata]: { tables: entries } }),
    },
    attachments: written?.attachments ?? {},
  };
}
