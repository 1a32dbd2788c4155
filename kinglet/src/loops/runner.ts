/** A program ready to run in this process, whatever made it: buffers as bytes, steps one by one or all together. */
export interface ProgramRunner {
  setInput(i: number, bytes: Uint8Array): void;
  run(): void;
  runStep(k: number): void;
  output(i: number): Uint8Array;
  buffer(index: number): Uint8Array;
  reset(): void;
}
