import type { FlatFile, Table } from "./flatfile.ts";
import { readFlexNumbers } from "./flexbuffers.ts";
import type { Tensor } from "./tensor.ts";

/** What a row's reader sees of one operator of the file. */
export class Site {
  readonly where: string;
  /** The operator's builtin options; all defaults where the file has none. */
  readonly options: Table;
  readonly inputs: readonly (Tensor | null)[];
  readonly outputs: readonly Tensor[];
  readonly intermediates: readonly (Tensor | null)[];
  private readonly customOptions: Uint8Array;
  private custom: ReadonlyMap<string, number> | undefined;
  private readonly file: FlatFile;
  private readonly constantOf: (tensor: Tensor) => readonly number[] | null;

  constructor(
    file: FlatFile,
    parts: Pick<Site, "where" | "options" | "inputs" | "outputs" | "intermediates"> & { readonly customOptions: Uint8Array },
    constantOf: (tensor: Tensor) => readonly number[] | null,
  ) {
    this.file = file;
    this.where = parts.where;
    this.options = parts.options;
    this.customOptions = parts.customOptions;
    this.inputs = parts.inputs;
    this.outputs = parts.outputs;
    this.intermediates = parts.intermediates;
    this.constantOf = constantOf;
  }

  fail(message: string): never {
    if (this.outputs.some((tensor) => tensor.isOpen))
      this.unsupported(`${message}, and the file leaves the output's shape open`, "Export the model with fixed input shapes.");
    this.file.fail(this.where, message);
  }

  unsupported(message: string, hint: string): never {
    this.file.unsupported(this.where, message, hint);
  }

  input(i: number): Tensor {
    return this.inputs[i] ?? this.fail(`input ${i} is missing`);
  }

  output(i: number): Tensor {
    return this.outputs[i] ?? this.fail(`output ${i} is missing`);
  }

  /** Shape of input `i`, which must have `rank` dimensions of at least 1. */
  shape(i: number, rank?: number): readonly number[] {
    return this.checked(this.input(i), rank);
  }

  outputShape(rank?: number): readonly number[] {
    return this.checked(this.output(0), rank);
  }

  private checked(tensor: Tensor, rank: number | undefined): readonly number[] {
    if (rank !== undefined && tensor.shape.length !== rank)
      this.fail(`${tensor.where} has ${tensor.shape.length} dimensions where ${rank} are needed`);
    if (tensor.shape.some((dim) => dim < 1)) this.fail(`${tensor.where} has a dimension below 1`);
    return tensor.shape;
  }

  /** The numbers of input `i`, which the graph needs to know before it runs. */
  constant(i: number): readonly number[] {
    const tensor = this.input(i);
    const numbers = this.constantOf(tensor);
    if (numbers === null)
      return this.unsupported(
        `input ${i} (${tensor.where}) is computed while the model runs; Kinglet needs it as a constant`,
        "Export the model with fixed shapes.",
      );
    if (!numbers.every(Number.isFinite)) this.fail(`input ${i} (${tensor.where}) holds a number that is not finite`);
    return numbers;
  }

  constantOrNull(i: number): readonly number[] | null {
    return this.constantOf(this.input(i));
  }

  /** The one whole number of constant input `i`. */
  constantScalar(i: number): number {
    const numbers = this.constant(i);
    if (numbers.length !== 1) this.fail(`input ${i} holds ${numbers.length} numbers where one is needed`);
    return numbers[0]!;
  }

  /** Constant input `i` with exactly `length` numbers. */
  constantVector(i: number, length: number): readonly number[] {
    const numbers = this.constant(i);
    if (numbers.length !== length) this.fail(`input ${i} holds ${numbers.length} numbers where ${length} are needed`);
    return numbers;
  }

  /** The number that a custom operator's options have under `name`. */
  customNumber(name: string, otherwise?: number): number {
    this.custom ??= readFlexNumbers(this.customOptions, (message) => this.fail(message));
    const value = this.custom.get(name) ?? otherwise ?? this.fail(`the custom options lack "${name}"`);
    if (!Number.isFinite(value)) this.fail(`the custom option "${name}" is ${value}`);
    return value;
  }

  /** The same where it must be whole. */
  customInt(name: string): number {
    const value = this.customNumber(name);
    if (!Number.isSafeInteger(value)) this.fail(`the custom option "${name}" is ${value}, not a whole number`);
    return value;
  }

  /** Counts a dimension from the end where it is negative. */
  axis(axis: number, rank: number): number {
    const normal = axis < 0 ? axis + rank : axis;
    if (!Number.isInteger(normal) || normal < 0 || normal >= rank) this.fail(`the axis ${axis} does not exist in ${rank} dimensions`);
    return normal;
  }

  positive(value: number, what: string): number {
    if (!Number.isInteger(value) || value < 1) this.fail(`${what} is ${value}; it must be at least 1`);
    return value;
  }
}
