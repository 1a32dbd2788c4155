import { KingletError } from "../base/index.ts";
import type { Value } from "../graph/index.ts";
import type { RowForm, RowNeed } from "./rows.ts";

/** What a stage does next. Rows count from 0; `form` is an index into the stage's nodes. */
export type Act =
  /** The line of a value moves down by one row: its oldest row goes, its last row is free. */
  | { readonly kind: "push"; readonly value: Value }
  /** The last row of a line becomes padding. */
  | { readonly kind: "pad"; readonly value: Value }
  /** The next row of the streamed input comes into the last row of its line. */
  | { readonly kind: "await"; readonly value: Value }
  /** One output row; `edge` says how many rows its windows reach beyond a whole input. */
  | { readonly kind: "run"; readonly form: number; readonly row: number }
  /** Before the first and after the last row of an average over all rows. */
  | { readonly kind: "begin" | "finish"; readonly form: number };

/** The rows that a stage keeps of a value: a window over the image that moves down row by row. */
export interface Line {
  readonly value: Value;
  readonly rows: number;
}

/** Where a node finds its rows: rows from the line's first row to the first that it reads. */
export interface LineRead {
  readonly line: Line;
  readonly firstRow: number;
}

export interface Sequence {
  readonly acts: readonly Act[];
  readonly lines: ReadonlyMap<number, Line>;
  /** By node and input; undefined where the input is a constant or lies whole in memory. */
  readonly reads: readonly (readonly (LineRead | undefined)[])[];
}

interface Use {
  readonly form: number;
  readonly input: number;
  readonly need: RowNeed;
}

/** Which values go through lines, who makes them and who reads them. */
class Wiring {
  readonly uses = new Map<number, Use[]>();
  readonly makers = new Map<number, number>();
  readonly streamed: Value | undefined;

  constructor(forms: readonly RowForm[], streamed: Value | undefined) {
    this.streamed = streamed;
    forms.forEach((form, i) => this.makers.set(form.node.outputs[0]!.id, i));
    forms.forEach((form, i) =>
      form.needs.forEach((need, input) => {
        const value = form.node.inputs[input];
        if (need === null || !this.isLine(value!)) return;
        this.uses.set(value!.id, [...(this.uses.get(value!.id) ?? []), { form: i, input, need }]);
      }),
    );
  }

  isLine(value: Value): boolean {
    return this.makers.has(value.id) || value.id === this.streamed?.id;
  }
}

/** Rows that must have come for output row `row`. */
function rowsNeeded(need: RowNeed, row: number): number {
  return row * need.stride - need.padTop + need.reach;
}

/** A node's input that goes through a line. */
interface Demand {
  readonly input: number;
  readonly need: RowNeed;
  readonly value: Value;
}

/**
 * Works backwards from the rows of the last node: each asks for the rows it lacks. `lags` says how many rows more
 * than it needs a line holds when a node reads it: in the middle of the image that follows from the network's
 * shape, at the lower edge lines are pushed on so that it stays the same and every node always reads at one place.
 */
class Puller {
  readonly acts: Act[] = [];
  readonly seen: number[][];
  private readonly pushed = new Map<number, number>();
  private readonly done: number[];
  private readonly forms: readonly RowForm[];
  private readonly wiring: Wiring;
  private readonly lags: readonly number[][] | undefined;

  constructor(forms: readonly RowForm[], wiring: Wiring, lags?: readonly number[][]) {
    this.forms = forms;
    this.wiring = wiring;
    this.lags = lags;
    this.done = forms.map(() => 0);
    this.seen = forms.map((form) => form.needs.map(() => 0));
  }

  /** Everything that the next row of a node's output takes. */
  produce(form: number): void {
    const row = this.done[form]!++;
    for (const { value, need, input } of this.demands(form)) {
      const target = rowsNeeded(need, row) + (this.lags?.[form]![input] ?? 0);
      while (this.count(value) < target) this.push(value);
    }
    for (const demand of this.demands(form)) this.look(form, demand, row);
    if (this.forms[form]!.collects && row === 0) this.acts.push({ kind: "begin", form });
    this.acts.push({ kind: "run", form, row });
  }

  /** The long way round first: a line that waits for another path must not run ahead of the readers on that path. */
  private demands(form: number): Demand[] {
    const { node, needs } = this.forms[form]!;
    const list = needs.flatMap((need, input): Demand[] => {
      const value = node.inputs[input]!;
      return need === null || !this.wiring.isLine(value) ? [] : [{ input, need, value }];
    });
    const lags = this.lags?.[form];
    return lags === undefined ? list : list.sort((a, b) => lags[a.input]! - lags[b.input]!);
  }

  private count(value: Value): number {
    return this.pushed.get(value.id) ?? 0;
  }

  private look(form: number, { value, need, input }: Demand, row: number): void {
    const lag = this.count(value) - rowsNeeded(need, row);
    const expected = this.lags?.[form]![input] ?? lag;
    if (lag !== expected) throw new KingletError("internal", `"${this.forms[form]!.node.name}" cannot read its rows at one place`);
    this.seen[form]![input] = Math.max(this.seen[form]![input]!, lag);
  }

  private push(value: Value): void {
    const row = this.count(value);
    this.pushed.set(value.id, row + 1);
    if (row >= value.shape[1]!) {
      this.acts.push({ kind: "push", value }, { kind: "pad", value });
      return;
    }
    const maker = this.wiring.makers.get(value.id);
    if (maker === undefined) {
      this.acts.push({ kind: "push", value }, { kind: "await", value });
      return;
    }
    this.produce(maker);
    // The line moves just before the row is written, not before the rows that this row takes.
    const run = this.acts.pop()!;
    this.acts.push({ kind: "push", value }, run);
  }
}

function pull(forms: readonly RowForm[], wiring: Wiring, lags?: readonly number[][]): Puller {
  const puller = new Puller(forms, wiring, lags);
  const last = forms[forms.length - 1]!;
  const rows = last.collects ? last.node.inputs[0]!.shape[1]! : last.node.outputs[0]!.shape[1]!;
  for (let row = 0; row < rows; row++) puller.produce(forms.length - 1);
  if (last.collects) puller.acts.push({ kind: "finish", form: forms.length - 1 });
  return puller;
}

function lineOf(value: Value, uses: readonly Use[], lags: readonly number[][]): Line {
  const rows = Math.max(1, ...uses.map((use) => use.need.reach + lags[use.form]![use.input]!));
  return { value, rows };
}

/**
 * The order in which a run of nodes computes one row after the other without computing any twice, and the rows
 * that have to be kept for it. `streamed` is a network input that comes row by row; other values from outside of
 * the stage lie whole in memory.
 * @throws KingletError `internal` where two readers of a line can never agree (the caller then does not fuse).
 */
export function sequenceOf(forms: readonly RowForm[], streamed: Value | undefined): Sequence {
  const wiring = new Wiring(forms, streamed);
  const lags = pull(forms, wiring).seen;
  const { acts } = pull(forms, wiring, lags);
  const lines = new Map<number, Line>();
  for (const [id, uses] of wiring.uses) {
    const { form, input } = uses[0]!;
    lines.set(id, lineOf(forms[form]!.node.inputs[input]!, uses, lags));
  }
  const reads = forms.map((form, i) =>
    form.needs.map((need, input): LineRead | undefined => {
      const line = need === null ? undefined : lines.get(form.node.inputs[input]!.id);
      return line === undefined ? undefined : { line, firstRow: line.rows - lags[i]![input]! - need!.reach };
    }),
  );
  return { acts: acts.filter((act) => act.kind !== "push" || lines.get(act.value.id)!.rows > 1), lines, reads };
}
