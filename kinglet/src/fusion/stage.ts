import type { Value } from "../graph/index.ts";
import type { RowForm } from "./rows.ts";
import type { Sequence } from "./sequence.ts";

/** A run of nodes that compute row by row. */
export interface FusedStage {
  /** Index of the first node in the graph; the others follow it. */
  readonly first: number;
  /** Nodes of the graph that it covers. */
  readonly count: number;
  readonly forms: readonly RowForm[];
  readonly sequence: Sequence;
  /** The network input that comes row by row, where this stage takes it so. */
  readonly streamed: Value | undefined;
}
