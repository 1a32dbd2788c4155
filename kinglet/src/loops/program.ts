import type { DType, Shape, TypedArray } from "../base/index.ts";
import type { BufferRef, Expr } from "./expr.ts";
import type { Layout } from "./layout.ts";
import type { MemoryType, ScalarType, ValueKind, VectorType } from "./types.ts";

/**
 * 16 bytes ("full") or the low 8 bytes ("low8") of a vector, the low bytes of four 32-bit lanes ("narrow"), or the 64
 * bytes of a vector and the three of `rest`, byte 0 of all, byte 1 of all … ("interleave4").
 */
export interface VectorStore {
  readonly kind: "vectorStore";
  readonly buffer: BufferRef;
  readonly index: Expr;
  readonly value: Expr;
  readonly form: "full" | "low8" | "narrow" | "interleave4";
  readonly rest?: readonly Expr[];
}

/** Bytes that a vector store writes. */
export const VECTOR_STORE_BYTES: Readonly<Record<VectorStore["form"], number>> = { full: 16, low8: 8, narrow: 4, interleave4: 64 };

export type Stmt =
  /** A local that never changes. */
  | { kind: "let"; name: string; value: Expr }
  /** A local that `assign` may change. */
  | { kind: "var"; name: string; value: Expr }
  | { kind: "assign"; name: string; value: Expr }
  /** Stores the low bits of `value` into element `index`. */
  | { kind: "store"; buffer: BufferRef; index: Expr; value: Expr }
  | VectorStore
  /**
   * for (name = from; name < to; name += step); `from` and `to` are evaluated once, `step` is a positive constant.
   * Where `parallel`, the turns may run in any order and at the same time; where `meets`, threads that share them wait
   * for each other behind the last.
   */
  | { kind: "for"; name: string; from: Expr; to: Expr; step: number; body: Stmt[]; parallel?: true; meets?: true }
  | { kind: "if"; condition: Expr; body: Stmt[]; otherwise: Stmt[] }
  /** memmove of `count` elements (both buffers have the same element size). */
  | { kind: "copy"; to: BufferRef; toIndex: Expr; from: BufferRef; fromIndex: Expr; count: Expr }
  /** Only as the last statement of a function with a result. */
  | { kind: "return"; value: Expr };

export type Param = { kind: "buffer"; name: string; type: MemoryType; writes: boolean } | { kind: "scalar"; name: string; type: ScalarType };

/** A function: a kernel (buffers in, no result) or a pure helper (scalars in, one result). */
export interface Func {
  readonly name: string;
  /** One line for the reader of the generated code. */
  readonly doc: string;
  readonly params: readonly Param[];
  readonly result: ScalarType | null;
  readonly body: readonly Stmt[];
  /** The order of loads and products is the best there is: a C compiler shall not move them before it gives out registers. */
  readonly asWritten?: boolean;
  /** Parameters that matter little to its speed: layers that agree on all others share it whatever the goal. */
  readonly looseSizes?: "all" | readonly string[];
  /** Threads may share its working memory: a place of it belongs to one turn of a parallel loop, or all meet before another reads it. */
  readonly sharesScratch?: boolean;
  /** The pure helpers that the body calls. */
  readonly uses: readonly Func[];
}

/** What a kernel's parameter is bound to for one node. */
export type Argument =
  | { kind: "input"; index: number }
  | { kind: "output"; index: number }
  /** A compile-time constant in flash. */
  | { kind: "constant"; name: string; type: MemoryType; data: TypedArray }
  /** Working memory in the arena while the kernel runs; contents undefined at the start. */
  | { kind: "scratch"; type: MemoryType; length: number }
  | { kind: "scalar"; type: ScalarType; value: number | bigint };

/** How a kernel of an integer layer computes, for people. */
export interface KernelNotes {
  /** How weights lie in memory and meet their inputs. */
  readonly weights: string;
  /** Channels by the requantization that was proved for them. */
  readonly channels: Readonly<Record<string, number>>;
  /** Why it is not the fastest kernel there is. */
  readonly why?: string;
}

/** A kernel together with what its parameters are bound to, in order. */
export interface KernelInstance {
  readonly func: Func;
  readonly args: readonly Argument[];
  readonly notes?: KernelNotes;
}

/** A place in the arena that steps read and write. */
export interface ProgramBuffer {
  /** For people: the value's name, or the node's name and "scratch". */
  readonly name: string;
  readonly type: MemoryType;
  readonly length: number;
  /** Of the value that lies here; absent for scratch. */
  readonly shape?: Shape | undefined;
  /** The graph value that lies here; absent for scratch. */
  readonly value?: number | undefined;
  /** How the value lies here; absent where its elements lie plainly one after another. */
  readonly layout?: Layout | undefined;
  /** Set on state that outlives one inference: a constant's index, or the number every element starts as. */
  readonly initial?: { kind: "constant"; index: number } | { kind: "fill"; value: number } | undefined;
}

/** A table in flash. */
export interface ProgramConstant {
  readonly name: string;
  readonly type: MemoryType;
  readonly data: TypedArray;
}

export type StepArgument =
  /** A buffer from element `start` (default 0) on; in a stage the start moves on by `advance` elements after each run of the step. */
  | { kind: "buffer"; index: number; start?: number; advance?: number }
  | { kind: "constant"; index: number }
  | { kind: "scalar"; type: ScalarType; value: number | bigint };

/** One call of a kernel, for one node. The arguments are those of the function's parameters, in order. */
export interface Step {
  /** The node's name. */
  readonly name: string;
  readonly op: string;
  readonly func: string;
  readonly args: readonly StepArgument[];
  readonly notes?: KernelNotes | undefined;
}

/** Steps that run in turn, a row of the image at a time, instead of once each: no image between them is ever whole. */
export interface Stage {
  readonly name: string;
  /** The first of its steps, and how many there are; a program's stages do not overlap. */
  readonly first: number;
  readonly count: number;
  /** Which step runs when, counted from `first`; `AWAIT_ROW` where the caller must have written the next row of the streamed input. */
  readonly order: readonly number[];
  /** Where the input streams: the buffer that holds how far the stage has come, between the caller's rows. */
  readonly position?: number | undefined;
}

/** In a stage's order: the next row of the streamed input is due. */
export const AWAIT_ROW = -1;

/** A network input that the caller writes row by row, always to the same place of its buffer. */
export interface RowStream {
  /** Rows of the image. */
  readonly count: number;
  /** Elements of a row, and the first of them in the buffer. */
  readonly length: number;
  readonly start: number;
}

/** A tensor that the caller fills or reads; it lies in a buffer. */
export interface Port {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly quantization?: { readonly scale: number; readonly zeroPoint: number } | undefined;
  readonly buffer: number;
  readonly rows?: RowStream | undefined;
}

/** A whole network as loops: functions (callees first), tables, buffers and the steps in order. */
export interface Program {
  readonly name: string;
  readonly functions: readonly Func[];
  readonly constants: readonly ProgramConstant[];
  readonly buffers: readonly ProgramBuffer[];
  readonly steps: readonly Step[];
  /** Absent where every step runs once, in this order. */
  readonly stages?: readonly Stage[] | undefined;
  /** The first step that only learning needs; what comes before is an inference. Absent where nothing is learned. */
  readonly learnsFrom?: number | undefined;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/** Where each buffer of a program lies. */
export interface Placement {
  readonly arenaBytes: number;
  /** Byte offset in the arena, by buffer. */
  readonly offsets: readonly number[];
}

export type { ValueKind, VectorType };
