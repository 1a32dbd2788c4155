import type { Graph, Value } from "../../graph/index.ts";
import { readAttachment } from "./attachments.ts";
import { FlatFile, type Table } from "./flatfile.ts";
import { type Fields, flatBuffer } from "./flatwriter.ts";

/**
 * TensorFlow Lite Metadata: a FlatBuffer of its own inside a model's metadata that says what inputs and outputs mean. Labels lie
 * in a file of a zip archive behind the model. Field numbers of its schema, and what of it becomes a note.
 */
export const METADATA_NAME = "TFLITE_METADATA";
const IDENTIFIER = "M001";
const MODEL = { name: 0, description: 1, version: 2, subgraphs: 3, author: 4, license: 5, minParserVersion: 7 } as const;
const SUBGRAPH = { inputs: 2, outputs: 3 } as const;
const TENSOR = { name: 0, content: 3, processUnits: 4, files: 6 } as const;
const CONTENT = { propertiesType: 0, properties: 1 } as const;
const FILE = { name: 0, type: 2 } as const;
const UNIT = { optionsType: 0, options: 1 } as const;
const NORMALIZATION = { mean: 0, std: 1 } as const;

const FEATURE_PROPERTIES = 1;
const NORMALIZATION_OPTIONS = 1;
/** Types of a file that names the entries of a tensor's last axis, or its possible values. */
const [AXIS_LABELS, VALUE_LABELS] = [2, 3];
const LABELS_FILE = "labels.txt";
/** The first parser of this schema understands all that is written. */
const MIN_PARSER_VERSION = "1.0.0";

/** Notes that are texts of the model's table. */
const TEXTS = [
  ["model name", MODEL.name],
  ["model description", MODEL.description],
  ["model version", MODEL.version],
  ["author", MODEL.author],
  ["license", MODEL.license],
] as const;

/** Mean and deviation by which a sample is normalized before it becomes the input, one or one for each channel. */
interface Normalization {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

function readNormalization(input: Table): Normalization | null {
  const unit = input.tables(TENSOR.processUnits, "process unit").find((each) => each.byte(UNIT.optionsType) === NORMALIZATION_OPTIONS);
  const options = unit?.table(UNIT.options, "normalization");
  return options ? { mean: options.floats(NORMALIZATION.mean), std: options.floats(NORMALIZATION.std) } : null;
}

function readLabels(output: Table, file: Uint8Array): string | null {
  const labels = output.tables(TENSOR.files, "file").find((each) => [AXIS_LABELS, VALUE_LABELS].includes(each.byte(FILE.type)));
  const text = labels === undefined ? null : readAttachment(file, labels.text(FILE.name));
  return text?.replaceAll("\r\n", "\n").trimEnd() || null;
}

/** The notes that a model's TensorFlow Lite Metadata holds. @param file the whole model file  @throws KingletError `bad-file` */
export function* readMetadata(bytes: Uint8Array, file: FlatFile): Iterable<[string, string]> {
  const root = new FlatFile(bytes, `${file.name}, ${METADATA_NAME}`).root();
  for (const [key, field] of TEXTS) {
    const text = root.text(field);
    if (text !== "") yield [key, text];
  }
  const subgraph = root.tables(MODEL.subgraphs, "subgraph")[0];
  const input = subgraph?.tables(SUBGRAPH.inputs, "input")[0];
  const output = subgraph?.tables(SUBGRAPH.outputs, "output")[0];
  const normalization = input === undefined ? null : readNormalization(input);
  const labels = output === undefined ? null : readLabels(output, file.bytes);
  if (labels !== null) yield ["labels", labels];
  if (normalization !== null) yield ["normalization", JSON.stringify(normalization)];
}

/** Null where the graph normalizes its samples itself: whoever runs it must not do so again. */
function normalizationOf({ metadata, inputs }: Graph): Normalization | null {
  if (metadata["normalization"] === undefined || metadata["features"] !== undefined || inputs.length === 0) return null;
  try {
    const { mean, std } = JSON.parse(metadata["normalization"]) as Normalization;
    return [mean, std].every((numbers) => Array.isArray(numbers) && numbers.every(Number.isFinite)) ? { mean, std } : null;
  } catch {
    return null;
  }
}

function tensorFields({ name }: Value, more: Fields): Fields {
  const content = { [CONTENT.propertiesType]: { byte: FEATURE_PROPERTIES }, [CONTENT.properties]: { table: {} } };
  return { [TENSOR.name]: { text: name }, [TENSOR.content]: { table: content }, ...more };
}

function normalizationFields({ mean, std }: Normalization): Fields {
  const options = { [NORMALIZATION.mean]: { floats: mean }, [NORMALIZATION.std]: { floats: std } };
  return { [TENSOR.processUnits]: { tables: [{ [UNIT.optionsType]: { byte: NORMALIZATION_OPTIONS }, [UNIT.options]: { table: options } }] } };
}

const LABEL_FIELDS: Fields = { [TENSOR.files]: { tables: [{ [FILE.name]: { text: LABELS_FILE }, [FILE.type]: { byte: AXIS_LABELS } }] } };

/** What of a graph's notes goes into TensorFlow Lite Metadata. */
export interface WrittenMetadata {
  /** Contents of the buffer called `TFLITE_METADATA`. */
  readonly bytes: Uint8Array;
  /** Files that belong behind the model. */
  readonly attachments: Readonly<Record<string, string>>;
  /** Keys of the notes that are told. */
  readonly told: ReadonlySet<string>;
}

/** Null where the graph has no notes that this form has a place for. */
export function writeMetadata(graph: Graph): WrittenMetadata | null {
  const { metadata, inputs, outputs } = graph;
  const texts = TEXTS.filter(([key]) => metadata[key] !== undefined);
  const normalization = normalizationOf(graph);
  const labels = outputs.length > 0 ? metadata["labels"] : undefined;
  const told = new Set<string>(texts.map(([key]) => key));
  if (labels !== undefined) told.add("labels");
  if (normalization !== null) told.add("normalization");
  if (told.size === 0) return null;
  const first = (fields: Fields | null) => (value: Value, i: number) => tensorFields(value, i === 0 && fields !== null ? fields : {});
  const root: Fields = {
    ...Object.fromEntries(texts.map(([key, field]) => [field, { text: metadata[key]! }])),
    [MODEL.subgraphs]: {
      tables: [
        {
          [SUBGRAPH.inputs]: { tables: inputs.map(first(normalization && normalizationFields(normalization))) },
          [SUBGRAPH.outputs]: { tables: outputs.map(first(labels === undefined ? null : LABEL_FIELDS)) },
        },
      ],
    },
    [MODEL.minParserVersion]: { text: MIN_PARSER_VERSION },
  };
  return { bytes: flatBuffer(root, IDENTIFIER), attachments: labels === undefined ? {} : { [LABELS_FILE]: `${labels}\n` }, told };
}
