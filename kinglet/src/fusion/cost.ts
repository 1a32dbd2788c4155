import { dtypeBytes } from "../base/index.ts";
import type { Value } from "../graph/index.ts";
import { type Liveness, valueBytes } from "./liveness.ts";
import { type RowForm, rowElements } from "./rows.ts";
import type { Act, Line, Sequence } from "./sequence.ts";

function rowBytes(value: Value): number {
  return Math.ceil((rowElements(value) * dtypeBytes(value.dtype)) / 4) * 4;
}

function lineBytes(line: Line): number {
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

/** Sums of an average over all rows; no value has this id. */
const SUMS = -1;

/** Follows the memory of a stage through its acts. */
class Meter {
  private readonly forms: readonly RowForm[];
  private readonly sequence: Sequence;
  private readonly spans = new Map<number, Span>();
  /** Bytes needed now, by value: rows of lines, what is still to be read of images that die here, what is written of those made here. */
  private readonly needed = new Map<number, number>();
  private readonly made: ReadonlySet<number>;
  private total = 0;
  peak = 0;

  constructor(forms: readonly RowForm[], sequence: Sequence, dying: readonly Value[]) {
    this.forms = forms;
    this.sequence = sequence;
    this.made = new Set(forms.map(({ node }) => node.outputs[0]!.id));
    for (const value of dying) this.set(value.id, valueBytes(value));
    for (const [id, line] of sequence.lines) {
      const readers = forms.flatMap(({ node, needs }, form) => (node.inputs.some((value, i) => value?.id === id && needs[i] !== null) ? [form] : []));
      this.spans.set(id, new Span(line, readers));
    }
  }

  private set(id: number, bytes: number): void {
    this.total += bytes - (this.needed.get(id) ?? 0);
    this.needed.set(id, bytes);
    this.peak = Math.max(this.peak, this.total);
  }

  act(act: Act): void {
    switch (act.kind) {
      case "await":
        return this.fill(act.value, this.sequence.lines.get(act.value.id)!.rows);
      case "move":
        return this.spans.get(act.value.id)!.move(act.from - act.to);
      case "begin":
        return this.set(SUMS, 4 * this.outputOf(act.form).shape[3]!);
      case "finish":
        return this.set(this.outputOf(act.form).id, valueBytes(this.outputOf(act.form)));
      case "run":
        return this.run(act);
      default:
        return act satisfies never;
    }
  }

  private outputOf(form: number): Value {
    return this.forms[form]!.node.outputs[0]!;
  }

  private fill(value: Value, end: number): void {
    const span = this.spans.get(value.id)!;
    span.end = end;
    this.set(value.id, span.bytes);
  }

  private run({ form, row, to, reads }: Extract<Act, { kind: "run" }>): void {
    const { node, needs, collects } = this.forms[form]!;
    const y = node.outputs[0]!;
    if (this.spans.has(y.id)) this.fill(y, to + 1);
    else if (!collects) this.set(y.id, (row + 1) * rowBytes(y));
    node.inputs.forEach((value, i) => {
      const [need, read] = [needs[i], reads[i]];
      if (value === null || !need || read === undefined) return;
      const next = (row + 1) * need.stride - need.padTop;
      const line = this.spans.get(value.id);
      if (line !== undefined) {
        line.read(form, read.firstRow - Math.max(0, next - need.stride) + next);
        this.set(value.id, line.bytes);
      } else if (this.needed.has(value.id) && !this.made.has(value.id)) {
        // Images from outside of the stage lose their rows as they are read.
        this.set(value.id, valueBytes(value) - Math.max(0, next) * rowBytes(value));
      }
    });
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
