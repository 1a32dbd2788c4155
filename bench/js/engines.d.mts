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

/** A tensor of TensorFlow Lite. Where a network has variables it may move with every run: ask for it anew. */
export interface TfliteTensor {
  /** The engine's own memory; a number where it is of a type that this build does not give out. */
  data(): TypedArray | number;
}

export interface TfliteNetwork {
  inputs(): TfliteTensor[];
  outputs(): TfliteTensor[];
  /** @throws Error with the engine's message */
  infer(): void;
}

export interface OnnxInput {
  readonly dtype: string;
  readonly data: TypedArray;
  readonly shape: readonly number[];
}

export interface OnnxNetwork {
  /** Inputs and outputs in the file's order. @throws Error with the engine's message */
  run(inputs: readonly OnnxInput[]): Promise<TypedArray[]>;
}

/** ONNX Runtime with a model's bytes. @throws Error where it refuses the model */
export function openOnnx(peers: string, bytes: Uint8Array): Promise<OnnxNetwork>;

/** TensorFlow Lite itself with a model's bytes. @throws Error where it refuses the model */
export function openTflite(peers: string, bytes: Uint8Array): Promise<TfliteNetwork>;

export interface OnnxNamed {
  /** Runs on inputs in the model's order; results by name. */
  run(inputs: readonly TypedArray[]): Promise<Readonly<Record<string, { readonly data: TypedArray; readonly dims: readonly number[] }>>>;
}

/** The same with results by name. @throws Error where it refuses the model */
export function openOnnxNamed(peers: string, bytes: Uint8Array): Promise<OnnxNamed>;
