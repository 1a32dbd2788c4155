import { ATTENTION } from "./ops-attention.ts";
import { CLASSICAL } from "./ops-classical.ts";
import { CONSTANT } from "./ops-constant.ts";
import { CONV } from "./ops-conv.ts";
import { DETECTION } from "./ops-detection.ts";
import { ELEMENTWISE } from "./ops-elementwise.ts";
import { FOLD } from "./ops-fold.ts";
import { GRID } from "./ops-grid.ts";
import { INDEX } from "./ops-index.ts";
import { LOSS } from "./ops-loss.ts";
import { MACHINES } from "./ops-machines.ts";
import { MATRIX } from "./ops-matrix.ts";
import { MOVEMENT } from "./ops-movement.ts";
import { NORMALIZATION } from "./ops-normalization.ts";
import { POOL } from "./ops-pool.ts";
import { MICROSOFT, QONNX, QUANTIZE } from "./ops-quantize.ts";
import { RECURRENT } from "./ops-recurrent.ts";
import { REDUCE } from "./ops-reduce.ts";
import { RESIZE } from "./ops-resize.ts";
import { SIGNAL } from "./ops-signal.ts";
import { TREES } from "./ops-trees.ts";
import type { NodeProto } from "./proto.ts";
import { parseModel } from "./schema.ts";
import type { Rule } from "./site.ts";

/** Operators of ONNX's own domain by name, each from its family's file. */
const ONNX: ReadonlyMap<string, Rule> = new Map(
  [
    ATTENTION,
    CONSTANT,
    CONV,
    DETECTION,
    ELEMENTWISE,
    FOLD,
    GRID,
    INDEX,
    LOSS,
    MATRIX,
    MOVEMENT,
    NORMALIZATION,
    POOL,
    QUANTIZE,
    RECURRENT,
    REDUCE,
    RESIZE,
    SIGNAL,
  ].flatMap((family) => Object.entries(family)),
);

const DOMAINS: ReadonlyMap<string, ReadonlyMap<string, Rule>> = new Map([
  ["", ONNX],
  ["ai.onnx", ONNX],
  ["ai.onnx.ml", new Map(Object.entries({ ...CLASSICAL, ...MACHINES, ...TREES }))],
  ["com.microsoft", new Map(Object.entries(MICROSOFT))],
  ["onnx.brevitas", new Map(Object.entries(QONNX))],
  ["qonnx.custom_op.general", new Map(Object.entries(QONNX))],
]);

/** How a node's operator is imported; undefined where Kinglet lacks it. */
export function ruleOf(node: NodeProto): Rule | undefined {
  return DOMAINS.get(node.domain)?.get(node.op);
}

/** The operator that a node names; one of a domain of its own with that before it. */
export function calledBy({ domain, op }: NodeProto): string {
  return domain === "" || domain === "ai.onnx" ? op : `${domain}.${op}`;
}

/** The operators of a file's graph, each once. @throws KingletError `bad-file` */
export function onnxOperators(bytes: Uint8Array, name: string): readonly string[] {
  return [...new Set(parseModel(bytes, name).graph?.nodes.map(calledBy))];
}
