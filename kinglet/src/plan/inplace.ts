import type { Func, Program, Step } from "../loops/index.ts";
import { elementBytes } from "./access.ts";
import { ReplayWriter, type ReplayTarget } from "./replay.ts";
import { boundScalars } from "./scalar.ts";
import { bytesOfBuffer } from "./usage.ts";

/** Follows the accesses of a step whose output lies exactly on one of its inputs; `broken` says that a read came too late. */
class Overlay implements ReplayTarget {
  broken = false;
  private readonly written: Uint8Array;
  private readonly bytes: readonly number[];
  private readonly inputs: ReadonlySet<number>;
  private readonly outputs: ReadonlySet<number>;

  constructor(bytes: readonly number[], inputs: ReadonlySet<number>, outputs: ReadonlySet<number>, size: number) {
    this.bytes = bytes;
    this.inputs = inputs;
    this.outputs = outputs;
    this.written = new Uint8Array(size);
  }

  read(param: number, index: number, bytes: number): void {
    if (this.broken || !this.inputs.has(param)) return;
    const from = index * this.bytes[param]!;
    for (let b = from; b < from + bytes; b++) if (this.written[b] === 1) this.broken = true;
  }

  readRun(param: number, index: number, stride: number, count: number, bytes: number): void {
    for (let i = 0; i < count; i++) this.read(param, index + i * stride, bytes);
  }

  readAll(param: number): void {
    if (this.inputs.has(param) && this.written.includes(1)) this.broken = true;
  }

  write(param: number, index: number, bytes: number): void {
    if (!this.outputs.has(param)) return;
    const from = index * this.bytes[param]!;
    this.written.fill(1, Math.max(0, from), from + bytes);
  }

  writeAll(param: number): void {
    if (this.outputs.has(param)) this.written.fill(1);
  }
}

/**
 * Whether a step never reads a byte of `input` after it wrote the same byte of `output`: the two may then start at one
 * address, even where intervals of bytes cannot tell (channels in turn, each a comb of bytes).
 */
export function worksInPlace(program: Program, step: Step, input: number, output: number): boolean {
  const size = bytesOfBuffer(program.buffers[input]!);
  if (size !== bytesOfBuffer(program.buffers[output]!)) return false;
  const functions = new Map(program.functions.map((f) => [f.name, f]));
  const func: Func = functions.get(step.func)!;
  const paramsOf = (buffer: number): Set<number> =>
    new Set(step.args.flatMap((arg, i) => (arg.kind === "buffer" && arg.index === buffer ? [i] : [])));
  const element = func.params.map((param) => (param.kind === "buffer" ? elementBytes(param) : 0));
  const overlay = new Overlay(element, paramsOf(input), paramsOf(output), size);
  const { lines } = new ReplayWriter(func, boundScalars(func, step.args), functions);
  (new Function("to", lines.join("\n")) as (to: ReplayTarget) => void)(overlay);
  return !overlay.broken;
}
