import type { DType, TypedArray } from "../../base/index.ts";
import type { Attributes, Node, Quantization, ValueType } from "../../graph/index.ts";
import { writeFlexNumbers } from "./flexbuffers.ts";
import type { Fields } from "./flatwriter.ts";
import { optionFields, type OptionTable, readOptions } from "./options.ts";
import { OPERATOR } from "./schema.ts";
import type { Site } from "./site.ts";

/** An attribute that the file holds as a constant tensor. */
export interface ConstantInput {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
  readonly quantization?: Quantization | undefined;
}

/** What the file has of a node beside its values. */
export interface Spelling {
  /** The fields of the operator's table that hold its options, in either form. */
  readonly options: Fields;
  /** Builtin options by name, as they were stated. */
  readonly stated: Readonly<Record<string, unknown>>;
  /** Contents of the inputs that are constants there, in order. */
  readonly constants: readonly ConstantInput[];
  /** The types of tensors that belong to no other operator. */
  readonly intermediates: readonly ValueType[];
}

/** How one operator of the file becomes a node of the graph, and how such a node is written. */
export interface OperatorRow {
  /** Kinglet's name of the operator. */
  readonly op: string;
  /**
   * One letter for each input in the file: `x` a value, `?` a value that may be absent, `c` a
   * constant that becomes an attribute, `o` such a constant that may be absent; `*` alone: any number of values.
   */
  readonly inputs: string;
  readonly read: (site: Site) => Attributes;
  /** Null where this operator cannot say what the node means, or where another one says it better. */
  readonly write: (node: Node) => Spelling | null;
  /** Where the node takes its values in another order than the file: positions among the kept ones. */
  readonly order?: readonly number[];
  /** The fewest inputs that the file may have: absent ones at the end are left out only down to here. */
  readonly least?: number;
  /** The type of a variable that the operator keeps to itself; the node takes it as its last input. */
  readonly state?: (site: Site) => ValueType;
}

export type OperatorRows = Readonly<Record<string, OperatorRow>>;

/** What a row's writer answers; options that it leaves out are the attributes of the same name. */
interface Written<O> {
  readonly options?: Partial<O>;
  readonly constants?: readonly ConstantInput[];
  readonly intermediates?: readonly ValueType[];
}

interface RowRules<O> extends Pick<OperatorRow, "order" | "least" | "state"> {
  readonly options?: OptionTable<O>;
  /** The attributes; without it they are the options, under the same names. */
  readonly read?: (site: Site, options: O) => Attributes;
  /** `never` for an operator that is read only; without it everything is in the options. */
  readonly write?: ((node: Node) => Written<O> | null) | "never";
}

function sameNamed<O>(table: OptionTable<O>, node: Node): Partial<O> {
  return Object.fromEntries(Object.entries(node.attributes).filter(([name]) => name in table.fields)) as Partial<O>;
}

/** Options as attributes: that inputs are quantized over their whole range is told only where it is so. */
export function attributesFrom<O extends { readonly asymmetricQuantizeInputs: boolean }>({ asymmetricQuantizeInputs, ...rest }: O): Attributes {
  return { ...(rest as Attributes), ...(asymmetricQuantizeInputs ? { asymmetricQuantizeInputs } : {}) };
}

/** A builtin operator. `inputs`: see `OperatorRow`. */
export function row<O = object>(op: string, inputs: string, rules: RowRules<O> = {}): OperatorRow {
  const { options: table, read, write, order, least, state } = rules;
  return {
    op,
    inputs,
    ...(order === undefined ? {} : { order }),
    ...(least === undefined ? {} : { least }),
    ...(state === undefined ? {} : { state }),
    read(site) {
      const options = table === undefined ? ({} as O) : readOptions(table, site.options, site);
      return read === undefined ? ({ ...options } as Attributes) : read(site, options);
    },
    write(node) {
      const written: Written<O> | null = write === "never" ? null : (write?.(node) ?? (write === undefined ? {} : null));
      if (written === null) return null;
      const stated: Partial<O> = table === undefined ? {} : { ...sameNamed(table, node), ...written.options };
      const options = table === undefined ? {} : optionFields(table, stated);
      return { options, stated, constants: written.constants ?? [], intermediates: written.intermediates ?? [] };
    },
  };
}

/** The names that a custom operator's options have in the file, by attribute. */
type CustomNames = Readonly<Record<string, string>>;

interface CustomRules extends Pick<OperatorRow, "state"> {
  /** Options that are attributes as they are. */
  readonly names?: CustomNames;
  /** Attributes beside those. */
  readonly read?: (site: Site) => Attributes;
  readonly write?: (node: Node) => { readonly options?: Readonly<Record<string, number>>; readonly constants?: readonly ConstantInput[] } | null;
}

/** A custom operator with its options in a FlexBuffer. */
export function customRow(op: string, inputs: string, { names = {}, read, write, state }: CustomRules = {}): OperatorRow {
  return {
    op,
    inputs,
    ...(state === undefined ? {} : { state }),
    read(site) {
      const named = Object.entries(names).map(([attribute, name]) => [attribute, site.customInt(name)]);
      return { ...Object.fromEntries(named), ...read?.(site) };
    },
    write(node) {
      const written = write === undefined ? {} : write(node);
      if (written === null) return null;
      const named = Object.entries(names).map(([attribute, name]) => [name, Number(node.attributes[attribute])]);
      const options = { [OPERATOR.customOptions]: { bytes: writeFlexNumbers({ ...Object.fromEntries(named), ...written.options }) } };
      return { options, stated: {}, constants: written.constants ?? [], intermediates: [] };
    },
  };
}

/** Whole numbers as the vector that a file holds them in. */
export function vectorOf(numbers: readonly number[]): ConstantInput {
  return { dtype: "int32", shape: [numbers.length], data: Int32Array.from(numbers) };
}

export function scalarOf(number: number): ConstantInput {
  return { dtype: "int32", shape: [], data: Int32Array.of(number) };
}
