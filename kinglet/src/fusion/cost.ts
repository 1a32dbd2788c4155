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

/** Follows the memory of a stage through its acts. */
class Meter {
  private readonly forms: readonly RowForm[];
  private readonly sequence: Sequence;
  /** Windows that are open, and single rows on their way to their readers. */
  private readonly held = new Map<number, number>();
  /** Images in memory: bytes still to be read. */
  private readonly images = new Map<number, { rows: number; value: Value }>();
  private readonly last: Value;
  private written = 0;
  peak = 0;

  constructor(forms: readonly RowForm[], sequence: Sequence, dying: readonly Value[]) {
    this.forms = forms;
    this.sequence = sequence;
    this.last = forms[forms.length - 1]!.node.outputs[0]!;
    for (const value of dying) this.images.set(value.id, { rows: value.shape[1]!, value });
  }

  private note(): void {
    let bytes = this.written;
    for (const held of this.held.values()) bytes += held;
    for (const { rows, value } of this.images.values()) bytes += rows * rowBytes(value);
    this.peak = Math.max(this.peak, bytes);
  }

  act(act: Act): void {
    if (act.kind === "push" || act.kind === "await") this.held.set(act.value.id, lineBytes(this.sequence.lines.get(act.value.id)!));
    else if (act.kind === "begin") this.held.set(-1, 4 * this.last.shape[3]!);
    else if (act.kind === "finish") this.written = valueBytes(this.last);
    else if (act.kind === "run") this.run(act.form, act.row);
    this.note();
  }

  private run(form: number, row: number): void {
    const { node, collects } = this.forms[form]!;
    const y = node.outputs[0]!;
    const line = this.sequence.lines.get(y.id);
    if (line !== undefined) this.held.set(y.id, lineBytes(line));
    else if (!collects) this.written = (row + 1) * rowBytes(y);
    this.note();
    this.release(form, row);
  }

  /** What nobody will read again: single rows after their run, image rows above the windows. */
  private release(form: number, row: number): void {
    const { node, needs } = this.forms[form]!;
    node.inputs.forEach((value, i) => {
      const need = needs[i];
      if (value === null || need === null || need === undefined) return;
      const line = this.sequence.lines.get(value.id);
      if (line?.rows === 1) this.held.delete(value.id);
      const image = this.images.get(value.id);
      if (image !== undefined) image.rows = Math.min(image.rows, Math.max(0, value.shape[1]! - Math.max(0, (row + 1) * need.stride - need.padTop)));
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
