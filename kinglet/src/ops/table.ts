import { conv2d, depthwiseConv2d } from "./conv.ts";
import { fullyConnected } from "./dense.ts";
import type { OpDef } from "./op.ts";
import { averagePool2d, maxPool2d } from "./pool.ts";

/** Every operator by name. A family's file gives its operators; this is the only place that lists them. */
export const OPS = {
  conv2d,
  depthwiseConv2d,
  fullyConnected,
  averagePool2d,
  maxPool2d,
} satisfies Record<string, OpDef>;

export type OpName = keyof typeof OPS;

/** The operator of that name, or undefined. */
export function findOp(name: string): OpDef | undefined {
  return Object.hasOwn(OPS, name) ? OPS[name as OpName] : undefined;
}
