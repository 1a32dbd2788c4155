/** One epoch of a learning curve. */
export interface CurvePoint {
  readonly epoch: number;
  readonly loss: number;
  readonly accuracy: number;
  readonly validation: number | null;
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
}

/** All that the page of a training shows. */
export interface TrainingReport {
  readonly title: string;
  readonly network: string;
  readonly version: string;
  readonly classes: readonly string[];
  readonly parameters: number;
  /** What the samples are that judge: "test part". */
  readonly judgedOn: string;
  readonly curve: readonly CurvePoint[];
  readonly judged: readonly JudgedNetwork[];
  readonly mistakes: readonly ShownMistake[];
}
