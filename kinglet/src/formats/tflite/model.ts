import { elementCount, type TypedArray } from "../../base/index.ts";
import { FlatFile, Table } from "./flatfile.ts";
import { BUFFER, CUSTOM, IDENTIFIER, MODEL, OPERATOR, OPERATOR_CODE, operatorName, SUBGRAPH } from "./schema.ts";
import { decodeConstant, readTensor, type Tensor } from "./tensor.ts";

/** Bytes 4 to 7 of a TensorFlow Lite file spell its identifier. */
export function isTflite(bytes: Uint8Array): boolean {
  return bytes.length >= 8 && [...IDENTIFIER].every((letter, i) => bytes[4 + i] === letter.charCodeAt(0));
}

/** What an operator of the file is: its builtin number, and a name for people; custom ones share a number and have a name of their own. */
export interface OperatorKind {
  readonly code: number;
  readonly name: string;
  readonly custom?: string;
}

export interface StoredOperator {
  readonly kind: OperatorKind;
  readonly where: string;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly intermediates: readonly number[];
  readonly options: Table;
  /** What a custom operator's options are; empty for others. */
  readonly customOptions: Uint8Array;
}

/** A subgraph with its tensors read and its operators not yet understood. */
export interface Subgraph {
  readonly name: string;
  readonly where: string;
  readonly tensors: readonly Tensor[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly operators: readonly StoredOperator[];
}

/** A table that has no field at all: every option takes its default. */
function emptyTable(where: string): Table {
  return new Table(new FlatFile(Uint8Array.of(4, 0, 4, 0, 4, 0, 0, 0), where), 4, where);
}

/** A whole file, opened: operator kinds and buffers by number; subgraphs are read on demand. */
export class Model {
  readonly file: FlatFile;
  readonly root: Table;
  readonly subgraphTables: readonly Table[];
  readonly signatures: readonly Table[];
  private readonly kinds: readonly OperatorKind[];
  private readonly buffers: readonly Table[];
  private readonly decoded = new Map<string, TypedArray>();

  constructor(bytes: Uint8Array, name: string) {
    this.file = new FlatFile(bytes, name);
    if (!isTflite(bytes)) this.file.fail("header", `the file does not carry the identifier "${IDENTIFIER}" of a TensorFlow Lite model`);
    this.root = this.file.root();
    const version = this.root.uint(MODEL.version);
    if (version !== 3) this.file.fail("header", `the schema version is ${version}; only version 3 is known`);
    this.kinds = this.root.tables(MODEL.operatorCodes, "operator code").map(operatorKind);
    this.buffers = this.root.tables(MODEL.buffers, "buffer");
    this.subgraphTables = this.root.tables(MODEL.subgraphs, "subgraph");
    this.signatures = this.root.tables(MODEL.signatures, "signature");
  }

  subgraph(index: number): Subgraph {
    const table = this.subgraphTables[index] ?? this.file.fail("model", `subgraph ${index} does not exist`);
    const where = `subgraph ${index}`;
    return {
      name: table.text(SUBGRAPH.name),
      where,
      tensors: table.tables(SUBGRAPH.tensors, "tensor").map((tensor, i) => readTensor(this.file, tensor, i)),
      inputs: table.ints(SUBGRAPH.inputs),
      outputs: table.ints(SUBGRAPH.outputs),
      operators: table.tables(SUBGRAPH.operators, "operator").map((operator, i) => this.operator(operator, i)),
    };
  }

  private operator(table: Table, index: number): StoredOperator {
    const kind = this.kinds[table.uint(OPERATOR.code)] ?? this.file.fail(table.where, `operator code ${table.uint(OPERATOR.code)} does not exist`);
    const where = `operator ${index} (${kind.name})`;
    return {
      kind,
      where,
      inputs: table.ints(OPERATOR.inputs),
      outputs: table.ints(OPERATOR.outputs),
      intermediates: table.ints(OPERATOR.intermediates),
      options: (table.byte(OPERATOR.optionsType) === 0 ? null : table.table(OPERATOR.options, where)) ?? emptyTable(where),
      customOptions: table.data(OPERATOR.customOptions) ?? new Uint8Array(0),
    };
  }

  /** The bytes of a buffer; null where it is empty. Large files keep them behind the FlatBuffer, by offset and size. */
  bufferBytes(index: number, where: string): Uint8Array | null {
    const table = this.buffers[index];
    if (table === undefined) return index === 0 ? null : this.file.fail(where, `buffer ${index} does not exist`);
    const inline = table.data(BUFFER.data);
    if (inline !== null && inline.length > 0) return inline;
    const [offset, size] = [table.ulong(BUFFER.offset), table.ulong(BUFFER.size)];
    if (offset <= 1 || size === 0) return null; // 0 and 1 are the writer's placeholders
    this.file.need(offset, size, where);
    return this.file.bytes.subarray(offset, offset + size);
  }

  /** A tensor's constant contents, decoded once for all tensors that share them; null where it has none. */
  constant(tensor: Tensor): TypedArray | null {
    const bytes = this.bufferBytes(tensor.buffer, tensor.where);
    if (bytes === null) return null;
    const sparse = tensor.sparsity === null ? "" : `${tensor.sparsity.position}:${tensor.shape.join()}`;
    const key = `${bytes.byteOffset}:${bytes.length}:${tensor.stored}:${elementCount(tensor.shape)}:${sparse}`;
    const known = this.decoded.get(key);
    if (known !== undefined) return known;
    const data = decodeConstant(this.file, tensor, bytes);
    this.decoded.set(key, data);
    return data;
  }
}

function operatorKind(table: Table): OperatorKind {
  // The number outgrew its byte; older files have only the byte, newer ones a placeholder there.
  const code = Math.max(table.byte(OPERATOR_CODE.shortCode), table.int(OPERATOR_CODE.code));
  if (code !== CUSTOM) return { code, name: operatorName(code) };
  const custom = table.text(OPERATOR_CODE.custom);
  return { code, name: `custom operator "${custom}"`, custom };
}
