import type { TypedArray } from "../../kinglet/src/base/index.ts";

/** A loaded model. The result is the engine's own memory, or a promise of it. */
export interface Session {
  run(input: TypedArray): TypedArray | Promise<TypedArray>;
}

export interface Engine {
  /** What kind of file it takes, which is also the file's extension. */
  readonly format: "js" | "tflite" | "onnx";
  /** True for native code: a yardstick, not a peer. */
  readonly native: boolean;
  open(peers: string, model: string): Promise<Session>;
}

export type EngineName = "kinglet" | "tfjs-tflite" | "onnxruntime-web" | "onnxruntime-node";
export const ENGINES: Readonly<Record<EngineName, Engine>>;
