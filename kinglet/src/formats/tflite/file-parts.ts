import { bytesOf, crc32, type TypedArray } from "../../base/index.ts";
import type { Quantization } from "../../graph/index.ts";
import type { Fields } from "./flatwriter.ts";
import { BUFFER, CUSTOM, OPERATOR, OPERATOR_CODE, operatorCode, QUANTIZATION, type StoredType, SUBGRAPH, TENSOR, TENSOR_TYPES } from "./schema.ts";

/** The last builtin operator whose number fits into the first byte that files had for it. */
const MAX_SHORT_CODE = 127;

/** What all subgraphs of a file share: contents, each stored once, and kinds of operators. */
export class SharedParts {
  /** Number 0 is empty: tensors without contents name it. */
  readonly buffers: Fields[] = [{}];
  readonly kinds: Fields[] = [];
  private readonly stored = new Map<string, { readonly bytes: Uint8Array; readonly index: number }[]>();
  private readonly kindNumbers = new Map<string, number>();

  /** The number of the buffer with these contents; equal ones share it. */
  buffer(bytes: Uint8Array): number {
    const key = `${bytes.length}:${crc32(bytes)}`;
    const alike = this.stored.get(key) ?? [];
    const same = alike.find((each) => each.bytes.every((byte, i) => byte === bytes[i]));
    if (same !== undefined) return same.index;
    const index = this.buffers.push({ [BUFFER.data]: { bytes } }) - 1;
    this.stored.set(key, [...alike, { bytes, index }]);
    return index;
  }

  /** The number of an operator by the schema's name, or that of a custom operator, and its version. */
  kind(name: string, version: number): number {
    const key = `${name}:${version}`;
    const known = this.kindNumbers.get(key);
    if (known !== undefined) return known;
    const builtin = operatorCode(name);
    const code = builtin < 0 ? CUSTOM : builtin;
    this.kinds.push({
      [OPERATOR_CODE.shortCode]: { byte: Math.min(code, MAX_SHORT_CODE) },
      ...(builtin < 0 ? { [OPERATOR_CODE.custom]: { text: name } } : {}),
      [OPERATOR_CODE.version]: { int: version },
      [OPERATOR_CODE.code]: { int: code },
    });
    this.kindNumbers.set(key, this.kinds.length - 1);
    return this.kinds.length - 1;
  }
}

/** A tensor to write; without `data` its contents come from an operator or from outside. */
export interface TensorParts {
  readonly name: string;
  readonly type: StoredType;
  readonly shape: readonly number[];
  readonly quantization?: Quantization | undefined;
  readonly data?: TypedArray | undefined;
  readonly variable?: boolean;
}

function quantizationFields({ scales, zeroPoints, axis }: Quantization): Fields {
  return { [QUANTIZATION.scale]: { floats: scales }, [QUANTIZATION.zeroPoint]: { longs: zeroPoints }, [QUANTIZATION.dimension]: { int: axis } };
}

/** Tensors and operators of one subgraph as they come in. */
export class SubgraphParts {
  private readonly name: string;
  private readonly shared: SharedParts;
  private readonly tensors: Fields[] = [];
  private readonly operators: Fields[] = [];

  constructor(name: string, shared: SharedParts) {
    this.name = name;
    this.shared = shared;
  }

  /** Gives the tensor's number. */
  tensor({ name, type, shape, quantization, data, variable }: TensorParts): number {
    this.tensors.push({
      [TENSOR.shape]: { ints: shape },
      [TENSOR.type]: { byte: TENSOR_TYPES.indexOf(type) },
      [TENSOR.buffer]: { int: data === undefined || data.length === 0 ? 0 : this.shared.buffer(bytesOf(data)) },
      [TENSOR.name]: { text: name },
      ...(quantization === undefined ? {} : { [TENSOR.quantization]: { table: quantizationFields(quantization) } }),
      ...(variable === true ? { [TENSOR.isVariable]: { byte: 1 } } : {}),
    });
    return this.tensors.length - 1;
  }

  /** `options` are fields of the operator's own table, too. */
  operator(name: string, version: number, inputs: readonly number[], outputs: readonly number[], options: Fields = {}): void {
    this.operators.push({
      [OPERATOR.code]: { int: this.shared.kind(name, version) },
      [OPERATOR.inputs]: { ints: inputs },
      [OPERATOR.outputs]: { ints: outputs },
      ...options,
    });
  }

  fields(inputs: readonly number[], outputs: readonly number[]): Fields {
    return {
      [SUBGRAPH.tensors]: { tables: this.tensors },
      [SUBGRAPH.inputs]: { ints: inputs },
      [SUBGRAPH.outputs]: { ints: outputs },
      [SUBGRAPH.operators]: { tables: this.operators },
      [SUBGRAPH.name]: { text: this.name },
    };
  }
}
