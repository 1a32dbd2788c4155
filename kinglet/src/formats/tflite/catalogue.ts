import { whyRefused } from "../refusals.ts";
import { isShapeOperator } from "./fold.ts";
import type { OperatorKind } from "./model.ts";
import { NAMED_ROWS, rowOf } from "./operators.ts";
import { OPERATOR_NAMES, operatorCode } from "./schema.ts";
import { isBookkeeping } from "./variables.ts";

export const DENSIFY = operatorCode("DENSIFY");

/** Whether reading knows an operator: as a node, or as something that vanishes. */
export function isKnown(kind: OperatorKind): boolean {
  return rowOf(kind) !== undefined || isBookkeeping(kind.code) || isShapeOperator(kind.code) || kind.code === DENSIFY;
}

/** An operator of the format, and what reading makes of it. */
export interface TfliteOperator {
  /** The schema's name, or that of a custom operator. */
  readonly name: string;
  /** Kinglet's operator; null for what vanishes while reading, or is refused. */
  readonly op: string | null;
  /** Why it is refused; null where it is read. */
  readonly refused: string | null;
}

/** Entries of the schema's list that stand for no operator. */
const NO_OPERATORS = new Set(["CUSTOM", "DELEGATE", "PLACEHOLDER_FOR_GREATER_OP_CODES"]);

/** All builtin operators of the format, and the custom ones that Kinglet reads. */
export function tfliteOperators(): TfliteOperator[] {
  const rows = new Map(NAMED_ROWS.map(({ name, row }) => [name, row.op]));
  const names = new Set([...OPERATOR_NAMES.filter((name) => !NO_OPERATORS.has(name)), ...rows.keys()]);
  return [...names].map((name) => {
    const op = rows.get(name) ?? null;
    const isRead = op !== null || isKnown({ code: operatorCode(name), name });
    return { name, op, refused: isRead ? null : (whyRefused(name) ?? "nobody has written it yet") };
  });
}
