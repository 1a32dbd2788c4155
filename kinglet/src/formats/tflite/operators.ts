import type { OperatorKind } from "./model.ts";
import { ELEMENTWISE_ROWS } from "./ops-elementwise.ts";
import { RECURRENT_ROWS } from "./ops-recurrent.ts";
import { REDUCE_ROWS } from "./ops-reduce.ts";
import { SHAPE_ROWS } from "./ops-shape.ts";
import { SIGNAL_ROWS } from "./ops-signal.ts";
import { WINDOW_ROWS } from "./ops-window.ts";
import { operatorCode } from "./schema.ts";
import { type OperatorRow, row } from "./site.ts";

/** Variables: the file's resource handles are resolved while reading, see variables.ts. */
const VARIABLE_ROWS = {
  READ_VARIABLE: row("readVariable", "x"),
  ASSIGN_VARIABLE: row("assignVariable", "xx"),
};

/** Every builtin operator that becomes a node, by its number in the schema. */
const BUILTIN: ReadonlyMap<number, OperatorRow> = new Map(
  Object.entries({ ...WINDOW_ROWS, ...ELEMENTWISE_ROWS, ...SHAPE_ROWS, ...REDUCE_ROWS, ...RECURRENT_ROWS, ...VARIABLE_ROWS }).map(([name, found]) => [
    operatorCode(name),
    found,
  ]),
);

/** Custom operators by name. */
const CUSTOM_ROWS: ReadonlyMap<string, OperatorRow> = new Map(Object.entries(SIGNAL_ROWS));

/** How an operator of the file becomes a node; undefined where it does not. */
export function rowOf(kind: OperatorKind): OperatorRow | undefined {
  return kind.custom === undefined ? BUILTIN.get(kind.code) : CUSTOM_ROWS.get(kind.custom);
}
