import type { Footprint } from "../driver/index.ts";

/** One epoch of a learning curve. */
export interface CurvePoint {
  readonly epoch: number;
  readonly loss: number;
  readonly accuracy: number;
  readonly validation: number | null;
}

/** What can be done to a project's network. */
export const STEP_NAMES = ["trained", "distilled", "pruned", "quantized", "quantization-aware"] as const;
export type StepName = (typeof STEP_NAMES)[number];

/** A signal-to-noise ratio in decibels, as JSON has it: nothing differs, or nothing is left of it. */
export type Decibels = number | "exact" | "lost";

/** What one layer loses by integers. */
export interface LayerNoise {
  readonly name: string;
  readonly op: string;
  readonly domain: string;
  /** Of its output in the running network. */
  readonly snrDb: Decibels;
  /** The same with inputs from the floating-point network. */
  readonly ownSnrDb: Decibels;
}

/** Zeros among a layer's weights. */
export interface LayerZeros {
  readonly weights: string;
  readonly zeros: number;
  readonly of: number;
}

/** The network as one command left it. */
export interface NetworkStep {
  readonly step: StepName;
  readonly file: string;
  readonly judgedOn: string;
  readonly samples: number;
  readonly accuracy: number;
  readonly footprint: Footprint;
  /** Empty where nothing was trained. */
  readonly epochs: readonly CurvePoint[];
  /** Of a quantized network. */
  readonly noise: readonly LayerNoise[];
  /** Of a network whose weights were set to 0. */
  readonly zeros: readonly LayerZeros[];
}

/** How one form of the network does on the samples that it is judged by. */
export interface JudgedNetwork {
  /** "float32", "int8". */
  readonly name: string;
  readonly file: string;
  readonly fileBytes: number;
  readonly weightBytes: number;
  readonly accuracy: number;
  readonly samples: number;
  /** [class][answer]. */
  readonly confusion: readonly (readonly number[])[];
  readonly classes: readonly {
    readonly samples: number;
    readonly precision: number | null;
    readonly recall: number | null;
    readonly f1: number | null;
  }[];
}

/** A sample that was taken for another class. */
export interface ShownMistake {
  readonly label: string;
  readonly answer: string;
  /** Where the sample came from. */
  readonly source: string;
  /** `[length, channels]` or `[h, w, c]`. */
  readonly shape: readonly number[];
  readonly data: Float32Array;
  /** Of sound: [frames, bands] with values from 0 to 1, low bands first. */
  readonly spectrogram?: { readonly data: Float32Array; readonly frames: number; readonly bands: number };
}

/** All that the page of a training shows. */
export interface TrainingReport {
  readonly title: string;
  readonly version: string;
  readonly classes: readonly string[];
  readonly parameters: number;
  /** What the samples are that judge: "test part". */
  readonly judgedOn: string;
  /** The board that steps are held against, by name; null where there is none. */
  readonly board: string | null;
  /** In the order in which they were done. */
  readonly steps: readonly NetworkStep[];
  readonly judged: readonly JudgedNetwork[];
  readonly mistakes: readonly ShownMistake[];
}
