import { broadcastShapes, elementCount, type Shape } from "../../base/index.ts";
import { ELEMENTWISE_ROWS } from "./ops-elementwise.ts";
import { CONCATENATION, readOptions } from "./options.ts";
import { operatorCode } from "./schema.ts";
import type { Site } from "./site.ts";

type ShapeRule = (site: Site) => Shape | null;

/** One entry of the wanted shape may be −1: what is left over. */
function reshaped(site: Site): Shape | null {
  const wanted = site.inputs[1] ? site.constantOrNull(1) : null;
  if (wanted === null) return null;
  const rest = wanted.reduce((product, dim) => (dim === -1 ? product : product * dim), 1);
  return wanted.map((dim) => (dim === -1 ? elementCount(site.shape(0)) / rest : dim));
}

function concatenated(site: Site): Shape {
  const first = site.shape(0);
  const axis = site.axis(readOptions(CONCATENATION, site.options, site).axis, first.length);
  const length = site.inputs.reduce((sum, _, i) => sum + (site.shape(i)[axis] ?? 0), 0);
  return first.map((dim, i) => (i === axis ? length : dim));
}

const broadcast: ShapeRule = (site) =>
  site.inputs.map((_, i) => site.shape(i)).reduce<Shape | null>((all, shape) => (all === null ? null : broadcastShapes(all, shape)), []);

const RULES: ReadonlyMap<number, ShapeRule> = new Map<number, ShapeRule>([
  ...Object.keys(ELEMENTWISE_ROWS).map((name): [number, ShapeRule] => [operatorCode(name), broadcast]),
  [operatorCode("RESHAPE"), reshaped],
  [operatorCode("CONCATENATION"), concatenated],
]);

/**
 * Exporters that leave a dimension open (a batch, mostly) write a placeholder of 1 there and in all
 * that follows from it. With the placeholder taken as the truth for the model's inputs, this gives the
 * true shape of an operator's open output, or null where the stated one stands.
 */
export function openShape(code: number, site: Site): Shape | null {
  const output = site.outputs[0];
  if (output === undefined || !output.isOpen) return null;
  const shape = RULES.get(code)?.(site) ?? null;
  return shape?.every((dim) => Number.isInteger(dim) && dim >= 1) ? shape : null;
}
