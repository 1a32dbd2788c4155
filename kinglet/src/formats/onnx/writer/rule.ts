import type { Node } from "../../../graph/index.ts";
import type { NodeWriter } from "./node-writer.ts";

/** How one operator of Kinglet is written. */
export interface WriteRule {
  readonly write: (w: NodeWriter) => void;
  /** The first operator set that can say it; 13 where absent. */
  readonly since?: number | ((node: Node) => number);
  /** Whether it works on images, which Kinglet has channels last and ONNX channels first. */
  readonly isImages?: true;
  /** Why ONNX cannot say what this node means; undefined where it can. */
  readonly obstacle?: (node: Node) => string | undefined;
}

export type WriteRules = Readonly<Record<string, WriteRule>>;

export const images = (write: WriteRule["write"]): WriteRule => ({ write, isImages: true });
