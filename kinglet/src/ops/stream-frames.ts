import { elementCount } from "../base/index.ts";
import type { Node, ValueType } from "../graph/index.ts";
import { type Buffer, type Expr, i32, type KernelBuilder, type KernelInstance, type Variable } from "../loops/index.ts";
import { typed } from "./elementwise.ts";
import { attributesOf, badNode, inputOf, type OpCase, type OpDef, outputOf, refuse, typeAt, unsupportedTypes } from "./op.ts";

export interface StreamFramesAttributes {
  /** Samples that come together, those of a frame, and those that a frame lets go; a part of both other numbers and at most `size`. */
  readonly chunk: number;
  readonly size: number;
  readonly step: number;
  /** Zeros lie before the first sample, so that the first chunk already fills a frame. */
  readonly prefill: boolean;
  /** The first chunk counts this many times more. */
  readonly repeatFirst: number;
  /** One chunk a run: the output is the frame alone. */
  readonly flat: boolean;
}

const NAME = "streamFrames";

/** What is kept for a row: chunks until a frame is full, then how many samples there are, and whether any came. */
function keptLength({ chunk, size }: StreamFramesAttributes): number {
  return Math.ceil(size / chunk) * chunk;
}

/** Elements of the variable that a stream of `rows` rows needs. */
export function streamState(rows: number, attributes: StreamFramesAttributes): ValueType {
  return { dtype: "int16", shape: [rows, keptLength(attributes) + 2] };
}

interface Row {
  readonly state: Buffer;
  readonly base: Expr;
  readonly available: Variable;
  readonly chunk: Expr;
}

/** The chunk behind what there is; the very first one some more times. */
function append(k: KernelBuilder, row: Row, a: StreamFramesAttributes, input: Buffer, from: Expr, started: Expr): void {
  const add = (): void => {
    k.copy(row.state, row.base.add(row.available.get()), input, from, row.chunk);
    row.available.set(row.available.get().add(row.chunk));
  };
  add();
  if (a.repeatFirst === 0) return;
  k.if(row.state.load(started).eq(0), () => k.for("again", 0, k.int("repeat_first", a.repeatFirst), add));
  row.state.store(started, 1);
}

function streamLoops(k: KernelBuilder, node: Node): KernelInstance {
  const a = attributesOf<StreamFramesAttributes>(node);
  const [x, y] = [inputOf(node, 0), outputOf(node)];
  if (x.dtype !== "int16" || y.dtype !== "int16") throw unsupportedTypes(node);
  if (inputOf(node, 1).variable !== true) throw badNode(node, "needs a variable as its memory");
  const samples = x.shape[x.shape.length - 1]!;
  const [input, state] = [k.input(0, "x"), k.input(1, "state", true)];
  const [output, valid] = [k.output(0, "y"), k.output(1, "valid")];
  const [kept, size, step] = [k.int("kept", keptLength(a)), k.int("size", a.size), k.int("step", a.step)];
  // What is stored does not count the zeros at the beginning, so that a fresh memory is all zeros.
  const before = k.int("before", a.prefill ? a.size - a.chunk : 0);
  const chunk = k.int("chunk", a.chunk);
  valid.store(0, 1);
  k.for("row", 0, k.int("rows", elementCount(x.shape) / samples), (r) => {
    const base = k.let("base", r.mul(k.int("row_length", keptLength(a) + 2)));
    const counter = k.let("counter", base.add(kept));
    const available = k.variable("available", state.load(counter).add(before).clamp(0, kept.sub(chunk)));
    k.for("frame", 0, k.int("frames", samples / a.chunk), (frame) => {
      const index = k.let("index", r.mul(k.int("frames", samples / a.chunk)).add(frame));
      append(k, { state, base, available, chunk }, a, input, index.mul(chunk), counter.add(1));
      const to = k.let("to", index.mul(size));
      k.if(
        available.get().ge(size),
        () => {
          k.copy(output, to, state, base, size);
          available.set(available.get().sub(step));
          k.copy(state, base, state, base.add(step), available.get());
        },
        () => {
          k.for("i", 0, size, (i) => output.store(to.add(i), i32(0)));
          valid.store(0, 0);
        },
      );
    });
    state.store(counter, available.get().sub(before));
  });
  return k.finish("stream_frames_s16", "Frames of a stream that comes in chunks.");
}

function checkSizes(a: StreamFramesAttributes, samples: number): void {
  const whole = [a.chunk, a.size, a.step].every((n) => Number.isInteger(n) && n >= 1) && Number.isInteger(a.repeatFirst) && a.repeatFirst >= 0;
  const fits = a.chunk <= a.size && a.step % a.chunk === 0 && a.step <= a.size && samples % a.chunk === 0;
  if (!whole || !fits || keptLength(a) > 32767) refuse(NAME, `frames of ${a.size} every ${a.step} samples from chunks of ${a.chunk} of ${samples}`);
  if ((a.repeatFirst + 1) * a.chunk > keptLength(a) || (a.prefill && a.repeatFirst > 0)) refuse(NAME, "the first chunk does not fit so many times");
  if (a.flat && samples !== a.chunk) refuse(NAME, `${samples} samples are not one chunk of ${a.chunk}`);
}

function streamCase(name: string, shape: number[], out: number[], attributes: StreamFramesAttributes): OpCase {
  const samples = shape[shape.length - 1]!;
  const state = streamState(elementCount(shape) / samples, attributes);
  return {
    name,
    inputs: [typed("int16", shape), { ...state, variable: true, low: 0, high: 0 }],
    outputs: [typed("int16", out), { dtype: "bool", shape: [] }],
    attributes: { ...attributes },
  };
}

/**
 * A stream of int16 that comes in pieces [.., samples], and the variable that keeps what is left over → frames [..,
 * samples/chunk, size], and whether all of them are full (those that are not are zeros). TensorFlow Lite Micro's
 * SignalFramer, and SignalStacker, which frames whole feature vectors.
 */
export const streamFrames: OpDef = {
  name: NAME,
  infer(inputs, attributes) {
    const [x, state] = [typeAt(NAME, inputs, 0), typeAt(NAME, inputs, 1)];
    const a = attributesOf<StreamFramesAttributes>({ attributes });
    const samples = x.shape[x.shape.length - 1] ?? 0;
    checkSizes(a, samples);
    const wanted = streamState(elementCount(x.shape) / samples, a).shape;
    if (elementCount(state.shape) !== elementCount(wanted)) refuse(NAME, `the memory must be [${wanted.join(",")}], not [${state.shape.join(",")}]`);
    const frames = a.flat ? [] : [samples / a.chunk];
    return [
      { dtype: x.dtype, shape: [...x.shape.slice(0, -1), ...frames, a.size] },
      { dtype: "bool", shape: [] },
    ];
  },
  loops: streamLoops,
  cases: [
    streamCase("prefilled", [2, 12], [2, 3, 10], { chunk: 4, size: 10, step: 4, prefill: true, repeatFirst: 0, flat: false }),
    streamCase("filling", [12], [3, 10], { chunk: 4, size: 10, step: 4, prefill: false, repeatFirst: 0, flat: false }),
    streamCase("stacked", [5], [15], { chunk: 5, size: 15, step: 10, prefill: false, repeatFirst: 2, flat: true }),
  ],
};
