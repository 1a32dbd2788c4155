import type { Layer } from "../driver/index.ts";
import type { BlockKind, TimelineStage } from "../plan/index.ts";

/** How a figure came about. `exact`: counted or proved; `measured`: a time taken here; `estimated`: from a model of a machine. */
export type Provenance = "exact" | "measured" | "estimated";

/** A tensor that the caller fills or reads. */
export interface ReportPort {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly quantization?: { readonly scale: number; readonly zeroPoint: number };
}

/** One operation of the network; its instructions were counted on the core that `ReportData.profiledOn` names. */
export type ReportLayer = Layer;

export interface ReportBlock {
  readonly name: string;
  readonly kind: BlockKind;
  /** First and last step, both included. */
  readonly first: number;
  readonly last: number;
  readonly offset: number;
  readonly bytes: number;
}

export interface ReportTimeline {
  readonly blocks: readonly ReportBlock[];
  readonly steps: readonly { readonly name: string; readonly op: string; readonly liveBytes: number }[];
  readonly stages: readonly TimelineStage[];
  readonly peakStep: number;
  readonly arenaBytes: number;
}

export interface ReportBoard {
  readonly id: string;
  readonly title: string;
  readonly chip: string;
  readonly fits: boolean;
  readonly sramBytes: number;
  readonly flashBytes: number;
  readonly clockMHz: number;
  /** The board keeps constants in RAM. */
  readonly tablesInRam?: true;
  /** Why it does not fit. */
  readonly reason?: string;
}

/** One way of running the network, compared with the plain loops. */
export interface ReportCheck {
  readonly via: string;
  /** Absent where the comparison was not made; `note` says why. */
  readonly equal?: boolean;
  readonly instructions?: number;
  readonly stackBytes?: number;
  readonly codeBytes?: number;
  readonly note?: string;
}

/** Everything a report shows, as plain objects: it may be stored as JSON and drawn elsewhere. */
export interface ReportData {
  readonly version: string;
  readonly network: string;
  readonly file?: string;
  readonly target: string;
  readonly inputs: readonly ReportPort[];
  readonly outputs: readonly ReportPort[];
  readonly parameters: number;
  readonly macs: number;
  readonly arenaBytes: number;
  /** No placement of these values can need less. */
  readonly lowerBoundBytes: number;
  readonly proved: boolean;
  readonly weightBytes: number;
  /** From the linker's map of a firmware; `codeFrom` says which. */
  readonly codeBytes?: number;
  readonly codeFrom?: string;
  /** The highest stack of the emulated runs. */
  readonly stackBytes?: number;
  readonly layers: readonly ReportLayer[];
  /** The emulated core whose instructions the layers show. */
  readonly profiledOn?: string;
  readonly timeline: ReportTimeline;
  readonly boards: readonly ReportBoard[];
  readonly verified: readonly ReportCheck[];
  readonly metadata: Readonly<Record<string, string>>;
}
