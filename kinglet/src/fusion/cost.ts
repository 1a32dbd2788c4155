import { dtypeBytes } from "../base/index.ts";
import type { Value } from "../graph/index.ts";
import { type Liveness, valueBytes } from "./liveness.ts";
import { type RowForm, rowElements } from "./rows.ts";
import type { Act, Line, Sequence } from "./sequence.ts";

function rowBytes(value: Value): number {
  return Math.ceil((rowElements(value) * dtypeBytes(value.dtype)) / 4) * 4;
}

export function lineBytes(line: Line): number {
  return line.rows * rowBytes(line.value);
}

/** Bytes of the lines of more than one row: they live until the stage ends. */
export function windowBytes(sequence: Sequence): number {
  return [...sequence.lines.values()].reduce((sum, line) => sum + (line.rows > 1 ? lineBytes(line) : 0), 0);
}

/** The rows of a line that are needed: from the first that some node has yet to read to the last that came. */
class Span {
  end = 0;
  private readonly next = new Map<number, number>();
  private readonly row: number;

  constructor(line: Line, readers: readonly number[]) {
    this.row = rowBytes(line.value);
    for (const reader of readers) this.next.set(reader, 0);
  }

  read(reader: number, next: number): void {
    this.next.set(reader, next);
  }

  move(by: number): void {
    this.end -= by;
    for (const [reader, next] of this.next) this.next.set(reader, next - by);
  }

  get bytes(): number {
    return this.row * Math.max(0, this.end - Math.max(0, Math.min(...this.next.values())));
  }
}

/** Follows the memory of a stage through its acts. */
class Meter {
  private readonly forms: readonly RowForm[];
  private readonly sequence: Sequence;
  private readonly spans = new Map<number, Span>();
  /** Images in memory, in bytes: what is still to be read of those that die here, what is written of those made here. */
  private readonly images = new Map<number, number>();
  private sums = 0;
  peak = 0;

  constructor(forms: readonly RowForm[], sequence: Sequence, dying: readonly Value[]) {
    this.forms = forms;
    this.sequence = sequence;
    for (const value of dying) this.images.set(value.id, valueBytes(value));
    for (const [id, line] of sequence.lines) {
      const readers = forms.flatMap(({ node, needs }, form) => (node.inputs.some((value, i) => value?.id === id && needs[i] !== null) ? [form] : []));
      this.spans.set(id, new Span(line, readers));
    }
  }

  private note(): void {
    let bytes = this.sums;
    for (const span of this.spans.values()) bytes += span.bytes;
    for (const image of this.images.values()) bytes += image;
    this.peak = Math.max(this.peak, bytes);
  }

  act(act: Act): void {
    if (act.kind === "await") this.spans.get(act.value.id)!.end = this.sequence.lines.get(act.value.id)!.rows;
    else if (act.kind === "move") this.spans.get(act.value.id)!.move(act.from - act.to);
    else if (act.kind === "begin") this.sums = 4 * this.outputOf(act.form).shape[3]!;
    else if (act.kind === "finish") this.images.set(this.outputOf(act.form).id, valueBytes(this.outputOf(act.form)));
    else if (act.kind === "run") return this.run(act);
    this.note();
  }

  private outputOf(form: number): Value {
    return this.forms[form]!.node.outputs[0]!;
  }

  private run({ form, row, to, reads }: Extract<Act, { kind: "run" }>): void {
    const { node, needs, collects } = this.forms[form]!;
    const y = node.outputs[0]!;
    const span = this.spans.get(y.id);
    if (span !== undefined) span.end = to + 1;
    else if (!collects) this.images.set(y.id, (row + 1) * rowBytes(y));
    this.note();
    node.inputs.forEach((value, i) => {
      const [need, read] = [needs[i], reads[i]];
      if (value === null || !need || read === undefined) return;
      const first = (row + 1) * need.stride - need.padTop;
      const line = this.spans.get(value.id);
      if (line !== undefined) line.read(form, read.firstRow - Math.max(0, first - need.stride) + first);
      else if (this.images.has(value.id) && this.dies(value)) this.images.set(value.id, valueBytes(value) - Math.max(0, first) * rowBytes(value));
    });
  }

  /** Images from outside of the stage lose their rows as they are read. */
  private dies(value: Value): boolean {
    return !this.forms.some(({ node }) => node.outputs[0] === value);
  }
}

/**
 * Bytes that a stage needs at its fullest moment, with everything else that lives meanwhile, were memory as divisible
 * as water: no plan for these rows can be smaller, but for rows that a kernel can write over what it reads.
 */
export function stageBytes(forms: readonly RowForm[], sequence: Sequence, live: Liveness, first: number): number {
  const end = first + forms.length;
  const made = new Set(forms.map(({ node }) => live.rootOf(node.outputs[0]!)));
  const read = new Set(forms.flatMap(({ node }) => node.inputs.flatMap((value) => (value === null ? [] : [live.rootOf(value)]))));
  let through = 0;
  const dying: Value[] = [];
  for (const life of live.lives) {
    if (life.first >= end || life.last < first || made.has(live.rootOf(life.value)) || sequence.lines.has(life.value.id)) continue;
    if (life.last < end && read.has(live.rootOf(life.value)) && life.value.shape.length === 4) dying.push(life.value);
    else through += valueBytes(life.value);
  }
  const meter = new Meter(forms, sequence, dying);
  for (const act of sequence.acts) meter.act(act);
  return meter.peak + through;
}
