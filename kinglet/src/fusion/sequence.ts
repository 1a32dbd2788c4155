import type { Value } from "../graph/index.ts";
import { type Edge, edgeOf, type RowForm, type RowNeed } from "./rows.ts";

/** The rows that a stage keeps of a value: a window over the image that moves down as rows come. */
export interface Line {
  readonly value: Value;
  readonly rows: number;
}

/** What one input of a node reads for one output row. */
export interface RowRead {
  /** In a line, its row that the node reads first; in a whole image, the image's. */
  readonly firstRow: number;
  readonly edge: Edge;
}

/** What a stage does next. `form` is an index into the stage's nodes. */
export type Act =
  /** `rows` rows of a line move up from row `from` to row `to`: what lies there is not needed any more. */
  | { readonly kind: "move"; readonly value: Value; readonly from: number; readonly to: number; readonly rows: number }
  /** The next row of the streamed input comes into the last row of its line. */
  | { readonly kind: "await"; readonly value: Value }
  /** One output row, to row `to` of its line or of its image; `reads` by input, undefined for what is the same for all rows. */
  | { readonly kind: "run"; readonly form: number; readonly row: number; readonly to: number; readonly reads: readonly (RowRead | undefined)[] }
  /** Before the first and after the last row of an average over all rows. */
  | { readonly kind: "begin" | "finish"; readonly form: number };

export interface Sequence {
  readonly acts: readonly Act[];
  /** By value. What the stage makes and has no line here lies whole in memory. */
  readonly lines: ReadonlyMap<number, Line>;
}

interface Use {
  readonly form: number;
  readonly need: RowNeed;
}

/** The values that come and go by rows in a stage: who makes them and who reads them. */
class Wiring {
  readonly uses = new Map<number, Use[]>();
  readonly makers = new Map<number, number>();
  /** Values with a line; the others the stage makes lie whole in memory. */
  readonly lined = new Map<number, Value>();
  readonly kept: Value[] = [];
  readonly forms: readonly RowForm[];
  readonly streamed: Value | undefined;

  constructor(forms: readonly RowForm[], kept: ReadonlySet<number>, streamed: Value | undefined) {
    this.forms = forms;
    this.streamed = streamed;
    if (streamed !== undefined) this.lined.set(streamed.id, streamed);
    forms.forEach(({ node, needs }, form) => {
      needs.forEach((need, input) => {
        if (need === null) return;
        const { id } = node.inputs[input]!;
        this.uses.set(id, [...(this.uses.get(id) ?? []), { form, need }]);
      });
      const y = node.outputs[0]!;
      this.makers.set(y.id, form);
      if (form === forms.length - 1) return;
      if (kept.has(y.id)) this.kept.push(y);
      else this.lined.set(y.id, y);
    });
  }

  comesByRows(value: Value): boolean {
    return this.makers.has(value.id) || value.id === this.streamed?.id;
  }

  /** Rows that a node runs over: of its output, or of its input where it collects them. */
  rowsOf(form: number): number {
    const { node, collects } = this.forms[form]!;
    return (collects ? node.inputs[0]! : node.outputs[0]!).shape[1]!;
  }
}

/** Rows of the image, from the top, that must have come for output row `row`. */
function rowsNeeded(need: RowNeed, height: number, row: number): number {
  return Math.min(height, row * need.stride - need.padTop + need.reach);
}

/** The first row of the window; above the image it is negative. */
function firstOf(need: RowNeed, row: number): number {
  return row * need.stride - need.padTop;
}

/**
 * Works backwards from the rows of the last node: each asks for the rows it lacks. Without `lines` it finds how many
 * rows each line has to hold, with them where everything lies.
 */
class Puller {
  readonly acts: Act[] = [];
  readonly depths = new Map<number, number>();
  private readonly came = new Map<number, number>();
  /** The image row in the first row of each line. */
  private readonly bases = new Map<number, number>();
  private readonly done: number[];
  private readonly wiring: Wiring;
  private readonly lines: ReadonlyMap<number, Line> | undefined;
  private readonly options: SequenceOptions;

  constructor(wiring: Wiring, options: SequenceOptions, lines?: ReadonlyMap<number, Line>) {
    this.wiring = wiring;
    this.options = options;
    this.lines = lines;
    this.done = wiring.forms.map(() => 0);
  }

  /** Everything that the next row of a node's output takes, then the row itself. */
  produce(form: number, to: number): void {
    const { node, needs, collects } = this.wiring.forms[form]!;
    const row = this.done[form]!;
    needs.forEach((need, input) => {
      const value = node.inputs[input]!;
      if (need === null || !this.wiring.comesByRows(value)) return;
      while (this.count(value) < rowsNeeded(need, value.shape[1]!, row)) this.bring(value);
    });
    if (collects && row === 0) this.acts.push({ kind: "begin", form });
    const reads = needs.map((need, input) => (need === null ? undefined : this.read(node.inputs[input]!, need, row)));
    this.acts.push({ kind: "run", form, row, to, reads });
    this.done[form]!++;
  }

  /** What later nodes read must come whole, and a caller sends all rows: also those that no node here asks for. */
  finish(): void {
    const { kept, streamed } = this.wiring;
    for (const value of streamed === undefined ? kept : [...kept, streamed]) while (this.count(value) < value.shape[1]!) this.bring(value);
  }

  private count(value: Value): number {
    return this.came.get(value.id) ?? 0;
  }

  private read(value: Value, need: RowNeed, row: number): RowRead {
    return { firstRow: Math.max(0, firstOf(need, row)) - this.baseOf(value), edge: edgeOf(need, value.shape[1]!, row) };
  }

  /**
   * The image row in the first row of a value's memory. A line starts with the rows above the image: nothing is
   * stored there, so what is made from them can lie in their place, as it does further down the image.
   */
  private baseOf(value: Value): number {
    if (!this.wiring.lined.has(value.id)) return 0;
    const top = Math.max(0, ...(this.wiring.uses.get(value.id) ?? []).map(({ need }) => need.padTop));
    return this.bases.get(value.id) ?? -top;
  }

  /** The first row of an image that some node has yet to read; above the image it is negative. */
  private oldest(value: Value): number {
    const next = (this.wiring.uses.get(value.id) ?? []).map(({ form, need }) => {
      const row = this.done[form]!;
      return row < this.wiring.rowsOf(form) ? firstOf(need, row) : value.shape[1]!;
    });
    return Math.min(...next);
  }

  /** Lets the next row of a value come. */
  private bring(value: Value): void {
    const row = this.count(value);
    const maker = this.wiring.makers.get(value.id);
    if (!this.wiring.lined.has(value.id)) {
      this.produce(maker!, row);
    } else if (maker === undefined) {
      this.makeRoomAtEnd(value, row);
      this.acts.push({ kind: "await", value });
    } else {
      if (this.options.moveEarly) this.makeRoom(value, row);
      this.produce(maker, 0);
      const run = this.acts.pop() as Act & { kind: "run" };
      this.makeRoom(value, row);
      this.acts.push({ ...run, to: row - this.baseOf(value) });
    }
    this.came.set(value.id, row + 1);
    this.depths.set(value.id, Math.max(this.depths.get(value.id) ?? 1, row + 1 - this.oldest(value)));
  }

  /** A full line drops the rows that nobody needs. */
  private makeRoom(value: Value, row: number): void {
    const base = this.baseOf(value);
    const depth = this.lines?.get(value.id)?.rows;
    if (depth === undefined || row - base < depth) return;
    const next = Math.min(this.oldest(value), row);
    this.bases.set(value.id, next);
    const first = Math.max(0, next);
    this.move(value, first - base, first - next, row - first);
  }

  /** The caller always writes to the last row: the line moves by one row each time. */
  private makeRoomAtEnd(value: Value, row: number): void {
    if (this.lines === undefined) return;
    const { rows } = this.lines.get(value.id)!;
    this.bases.set(value.id, row + 1 - rows);
    const kept = Math.min(row, rows - 1);
    this.move(value, rows - kept, rows - kept - 1, kept);
  }

  private move(value: Value, from: number, to: number, rows: number): void {
    if (rows > 0) this.acts.push({ kind: "move", value, from, to, rows });
  }
}

function pull(wiring: Wiring, options: SequenceOptions, lines?: ReadonlyMap<number, Line>): Puller {
  const puller = new Puller(wiring, options, lines);
  const last = wiring.forms.length - 1;
  for (let row = 0; row < wiring.rowsOf(last); row++) puller.produce(last, row);
  if (wiring.forms[last]!.collects) puller.acts.push({ kind: "finish", form: last });
  puller.finish();
  return puller;
}

export interface SequenceOptions {
  /** A network input that comes row by row. */
  readonly streamed?: Value | undefined;
  /** Values of the stage, by id, that later nodes read: they lie whole in memory. */
  readonly kept?: ReadonlySet<number>;
  /**
   * A full line drops its oldest rows before the rows that its next row takes are made, and lends them its end; else
   * after that, and lends its start. Which needs less memory depends on the network.
   */
  readonly moveEarly?: boolean;
}

/**
 * The order in which a run of nodes computes one row after the other without computing any twice, and the rows
 * that have to be kept for it. Values from outside of the stage lie whole in memory, but for a streamed input.
 */
export function sequenceOf(forms: readonly RowForm[], options: SequenceOptions = {}): Sequence {
  const wiring = new Wiring(forms, options.kept ?? new Set(), options.streamed);
  const { depths } = pull(wiring, options);
  const lines = new Map([...wiring.lined].map(([id, value]): [number, Line] => [id, { value, rows: depths.get(id) ?? 1 }]));
  return { acts: pull(wiring, options, lines).acts, lines };
}
