import { type Fields, flatBuffer } from "./flatwriter.ts";
import {
  BUFFER,
  IDENTIFIER,
  METADATA,
  MODEL,
  OPERATOR,
  OPERATOR_CODE,
  operatorCode,
  QUANTIZATION,
  SIGNATURE,
  SPARSE_DIMENSION,
  SPARSITY,
  SUBGRAPH,
  TENSOR,
  TENSOR_MAP,
  TENSOR_TYPES,
  type StoredType,
} from "./schema.ts";

export interface TestTensor {
  readonly type: StoredType;
  readonly shape: readonly number[];
  readonly data?: Uint8Array;
  /** Contents that lie behind the FlatBuffer. */
  readonly external?: { readonly offset: number; readonly size: number };
  readonly scales?: readonly number[];
  readonly zeroPoints?: readonly number[];
  readonly axis?: number;
  readonly variable?: boolean;
  readonly sparsity?: Fields;
  readonly open?: readonly number[];
}

export interface TestOperator {
  /** The schema's name, or that of a custom operator. */
  readonly op: string;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly options?: Fields;
  /** Which of the schema's tables `options` is; the reader goes by the operator. */
  readonly optionsType?: number;
  readonly intermediates?: readonly number[];
  readonly customOptions?: Uint8Array;
}

export interface TestSubgraph {
  readonly tensors: readonly TestTensor[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly operators: readonly TestOperator[];
}

export interface TestExtras {
  readonly description?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signatures?: readonly { key: string; subgraph: number }[];
}

/** Parts of a level of sparse storage that lists its entries. */
export function compressed(segments: readonly number[], indices: readonly number[]): Fields {
  const D = SPARSE_DIMENSION;
  return {
    [D.format]: { byte: 1 },
    [D.segmentsType]: { byte: 1 },
    [D.segments]: { table: { 0: { ints: segments } } },
    [D.indicesType]: { byte: 1 },
    [D.indices]: { table: { 0: { ints: indices } } },
  };
}

export function denseLevel(size: number): Fields {
  return { [SPARSE_DIMENSION.format]: { byte: 0 }, [SPARSE_DIMENSION.denseSize]: { int: size } };
}

export function sparsity(traversalOrder: readonly number[], blockMap: readonly number[], levels: readonly Fields[]): Fields {
  return { [SPARSITY.traversalOrder]: { ints: traversalOrder }, [SPARSITY.blockMap]: { ints: blockMap }, [SPARSITY.dimensions]: { tables: levels } };
}

function tensorFields(tensor: TestTensor, index: number, buffers: Fields[]): Fields {
  if (tensor.data !== undefined) buffers.push({ [BUFFER.data]: { bytes: tensor.data } });
  if (tensor.external !== undefined)
    buffers.push({ [BUFFER.offset]: { ulong: BigInt(tensor.external.offset) }, [BUFFER.size]: { ulong: BigInt(tensor.external.size) } });
  const hasBuffer = tensor.data !== undefined || tensor.external !== undefined;
  const scales = tensor.scales ?? [];
  return {
    [TENSOR.shape]: { ints: tensor.shape },
    [TENSOR.type]: { byte: TENSOR_TYPES.indexOf(tensor.type) },
    [TENSOR.buffer]: { int: hasBuffer ? buffers.length - 1 : 0 },
    [TENSOR.name]: { text: `t${index}` },
    ...(scales.length > 0 && {
      [TENSOR.quantization]: {
        table: {
          [QUANTIZATION.scale]: { floats: scales },
          [QUANTIZATION.zeroPoint]: { longs: tensor.zeroPoints ?? scales.map(() => 0) },
          [QUANTIZATION.dimension]: { int: tensor.axis ?? 0 },
        },
      },
    }),
    ...(tensor.variable && { [TENSOR.isVariable]: { byte: 1 } }),
    ...(tensor.sparsity && { [TENSOR.sparsity]: { table: tensor.sparsity } }),
    ...(tensor.open && { [TENSOR.signature]: { ints: tensor.open } }),
  };
}

function operatorFields(operator: TestOperator, kinds: string[]): Fields {
  if (!kinds.includes(operator.op)) kinds.push(operator.op);
  return {
    [OPERATOR.code]: { int: kinds.indexOf(operator.op) },
    [OPERATOR.inputs]: { ints: operator.inputs },
    [OPERATOR.outputs]: { ints: operator.outputs },
    ...(operator.options && { [OPERATOR.optionsType]: { byte: operator.optionsType ?? 1 }, [OPERATOR.options]: { table: operator.options } }),
    ...(operator.customOptions && { [OPERATOR.customOptions]: { bytes: operator.customOptions } }),
    ...(operator.intermediates && { [OPERATOR.intermediates]: { ints: operator.intermediates } }),
  };
}

function kindFields(name: string): Fields {
  const code = operatorCode(name);
  const custom: Fields = code < 0 ? { [OPERATOR_CODE.custom]: { text: name } } : {};
  const number = code < 0 ? operatorCode("CUSTOM") : code;
  return { [OPERATOR_CODE.shortCode]: { byte: Math.min(number, 127) }, [OPERATOR_CODE.code]: { int: number }, ...custom };
}

/** A whole .tflite file from a short description; the first subgraph is the model. */
export function testModel(subgraphs: readonly TestSubgraph[], extras: TestExtras = {}): Uint8Array {
  const buffers: Fields[] = [{}];
  const kinds: string[] = [];
  const graphs = subgraphs.map((graph, i) => ({
    [SUBGRAPH.tensors]: { tables: graph.tensors.map((tensor, index) => tensorFields(tensor, index, buffers)) },
    [SUBGRAPH.inputs]: { ints: graph.inputs },
    [SUBGRAPH.outputs]: { ints: graph.outputs },
    [SUBGRAPH.operators]: { tables: graph.operators.map((operator) => operatorFields(operator, kinds)) },
    [SUBGRAPH.name]: { text: `graph${i}` },
  }));
  const metadata = Object.entries(extras.metadata ?? {}).map(([name, text]) => {
    buffers.push({ [BUFFER.data]: { bytes: new TextEncoder().encode(text) } });
    return { [METADATA.name]: { text: name }, [METADATA.buffer]: { int: buffers.length - 1 } };
  });
  const signatures = (extras.signatures ?? []).map(({ key, subgraph }) => ({
    [SIGNATURE.key]: { text: key },
    [SIGNATURE.subgraph]: { int: subgraph },
    [SIGNATURE.inputs]: { tables: [{ [TENSOR_MAP.name]: { text: "x" }, [TENSOR_MAP.tensor]: { int: 0 } }] },
  }));
  return flatBuffer(
    {
      [MODEL.version]: { int: 3 },
      [MODEL.operatorCodes]: { tables: kinds.map(kindFields) },
      [MODEL.subgraphs]: { tables: graphs },
      [MODEL.description]: { text: extras.description ?? "" },
      [MODEL.buffers]: { tables: buffers },
      [MODEL.metadata]: { tables: metadata },
      [MODEL.signatures]: { tables: signatures },
    },
    IDENTIFIER,
  );
}

/** Little-endian bytes of 32-bit whole numbers. */
export function int32Bytes(...numbers: readonly number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(numbers).buffer);
}

export function float32Bytes(...numbers: readonly number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(numbers).buffer);
}
