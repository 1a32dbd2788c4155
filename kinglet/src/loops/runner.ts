/** A program ready to run in this process, whatever made it: buffers as bytes, steps some at a time or all together. */
export interface ProgramRunner {
  setInput(i: number, bytes: Uint8Array): void;
  run(): void;
  /** Runs the steps from `first` up to, but without, `end`. */
  runSteps(first: number, end: number): void;
  output(i: number): Uint8Array;
  buffer(index: number): Uint8Array;
  reset(): void;
}
