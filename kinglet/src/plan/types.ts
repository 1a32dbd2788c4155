import type { Placement } from "../loops/index.ts";

/** The steps during which a buffer must keep its bytes; both ends belong to it. */
export interface Lifetime {
  readonly buffer: number;
  readonly first: number;
  readonly last: number;
}

/**
 * Two buffers that may share memory although both are live at `step`: with distance = offset(output) −
 * offset(input), every distance is safe that is at most `below` or at least `above`.
 */
export interface Overlap {
  readonly step: number;
  readonly input: number;
  readonly output: number;
  readonly below: number;
  readonly above: number;
  /** Bytes that the two share in this plan. */
  readonly sharedBytes: number;
}

export interface PlanOptions {
  /** Let a step's output overlap an input that dies there, as far as the loops allow (default true). */
  readonly overlap?: boolean;
  /** Give every buffer bytes of its own, so that all values can be looked at afterwards (default false). */
  readonly pinned?: boolean;
}

export interface Plan extends Placement {
  /** No placement of these lifetimes and overlaps can be smaller. */
  readonly lowerBoundBytes: number;
  /** The arena is as small as it can be: it meets the bound, or the search was exhausted. */
  readonly proved: boolean;
  readonly lifetimes: readonly Lifetime[];
  /** The pairs that do share bytes. */
  readonly overlaps: readonly Overlap[];
}

/** Which distances between an input and an output of a step the loops forbid: the open interval (below, above). */
export interface Distance {
  readonly below: number;
  readonly above: number;
  /** Distance 0 is safe all the same. */
  readonly inPlace?: boolean;
}
