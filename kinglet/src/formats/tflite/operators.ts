import type { OperatorKind } from "./model.ts";
import { CUSTOM_DETECTION_ROWS, DETECTION_ROWS } from "./ops-detection.ts";
import { ELEMENTWISE_ROWS } from "./ops-elementwise.ts";
import { RECURRENT_ROWS } from "./ops-recurrent.ts";
import { REDUCE_ROWS } from "./ops-reduce.ts";
import { SHAPE_ROWS } from "./ops-shape.ts";
import { SIGNAL_ROWS } from "./ops-signal.ts";
import { WINDOW_ROWS } from "./ops-window.ts";
import { operatorCode } from "./schema.ts";
import { type OperatorRow, row } from "./row.ts";

/** Variables: the file's resource handles are resolved while reading, see variables.ts. */
const VARIABLE_ROWS = {
  READ_VARIABLE: row("readVariable", "x"),
  ASSIGN_VARIABLE: row("assignVariable", "xx"),
};

/** Every builtin operator that becomes a node, by its name in the schema. */
const BUILTIN_ROWS: Readonly<Record<string, OperatorRow>> = {
  ...WINDOW_ROWS,
  ...ELEMENTWISE_ROWS,
  ...SHAPE_ROWS,
  ...REDUCE_ROWS,
  ...RECURRENT_ROWS,
  ...DETECTION_ROWS,
  ...VARIABLE_ROWS,
};

const BUILTIN: ReadonlyMap<number, OperatorRow> = new Map(Object.entries(BUILTIN_ROWS).map(([name, found]) => [operatorCode(name), found]));

const CUSTOM_ROWS: Readonly<Record<string, OperatorRow>> = { ...SIGNAL_ROWS, ...CUSTOM_DETECTION_ROWS };

/** Custom operators by name. */
const CUSTOM: ReadonlyMap<string, OperatorRow> = new Map(Object.entries(CUSTOM_ROWS));

/** How an operator of the file becomes a node; undefined where it does not. */
export function rowOf(kind: OperatorKind): OperatorRow | undefined {
  return kind.custom === undefined ? BUILTIN.get(kind.code) : CUSTOM.get(kind.custom);
}

/** An operator of the file that may write a node. */
export interface NamedRow {
  /** The schema's name, or that of a custom operator. */
  readonly name: string;
  readonly row: OperatorRow;
}

/** All operators that become nodes, builtin and custom. */
export const NAMED_ROWS: readonly NamedRow[] = Object.entries({ ...BUILTIN_ROWS, ...CUSTOM_ROWS }).map(([name, found]) => ({ name, row: found }));

const BY_OP = new Map<string, NamedRow[]>();
for (const named of NAMED_ROWS) BY_OP.set(named.row.op, [...(BY_OP.get(named.row.op) ?? []), named]);

/** The operators that can stand for a node, the plainest first; none where TensorFlow Lite has nothing like it. */
export function rowsFor(op: string): readonly NamedRow[] {
  return BY_OP.get(op) ?? [];
}
