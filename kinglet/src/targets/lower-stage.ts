import { elementCount } from "../base/index.ts";
import { type Act, type FusedStage, type Line, rowElements, rowNode } from "../fusion/index.ts";
import type { Node, Value } from "../graph/index.ts";
import {
  type Argument,
  AWAIT_ROW,
  type KernelInstance,
  type MemoryType,
  type ProgramBuffer,
  type RowStream,
  type Stage,
  type StepArgument,
} from "../loops/index.ts";
import { addRow, clearSums, finishAverage, moveRows } from "./row-kernels.ts";
import type { RawStep } from "./share.ts";

/** What lowering a stage needs of the program that is being made. */
export interface StageHost {
  readonly steps: RawStep[];
  memoryType(value: Value): MemoryType;
  addBuffer(buffer: ProgramBuffer): number;
  /** The buffer of a value that lies whole in memory. */
  bufferOf(value: Value): number;
  /** What is the same for all rows: a constant of the network, or a value that lies whole in memory. */
  valueOf(value: Value, name: string): StepArgument;
  tableOf(name: string, arg: Extract<Argument, { kind: "constant" }>): StepArgument;
  kernelOf(node: Node): KernelInstance;
}

type BufferArgument = Extract<StepArgument, { kind: "buffer" }>;

/** Rows of one node that one step computes: those with the same edges and the same places in lines. */
interface Variant {
  readonly key: string;
  /** Rows in turn; in images that lie whole the step walks down by equal strides. */
  readonly rows: number[];
  readonly step: number;
}

type RunAct = Extract<Act, { kind: "run" }>;

/** Turns a fused stage into steps and their order. */
class StageLowering {
  private readonly host: StageHost;
  private readonly stage: FusedStage;
  private readonly first: number;
  private readonly lines = new Map<number, number>();
  private readonly sums = new Map<number, number>();
  private readonly helpers = new Map<string, number>();
  private readonly variants: Variant[][];
  private readonly order: number[] = [];

  constructor(host: StageHost, stage: FusedStage) {
    this.host = host;
    this.stage = stage;
    this.first = host.steps.length;
    this.variants = stage.forms.map(() => []);
  }

  run(): { stage: Stage; rows: RowStream | undefined } {
    for (const line of this.stage.sequence.lines.values()) this.openLine(line);
    for (const act of this.stage.sequence.acts) this.order.push(this.act(act));
    this.walkDown();
    const name = `${this.nodeOf(0).name} to ${this.nodeOf(this.stage.forms.length - 1).name}`;
    const rows = this.streamRows();
    const position = rows === undefined ? undefined : this.addPosition();
    return { stage: { name, first: this.first, count: this.host.steps.length - this.first, order: this.order, position }, rows };
  }

  /** Between the caller's rows a streamed stage remembers its place: section, round, entry, and the turn of each moving step. */
  private addPosition(): number {
    const moving = this.host.steps.slice(this.first).filter((step) => step.args.some((arg) => arg.kind === "buffer" && arg.advance !== undefined));
    return this.host.addBuffer({ name: "position in the image", type: "u16", length: 3 + moving.length, initial: { kind: "fill", value: 0 } });
  }

  private nodeOf(form: number): Node {
    return this.stage.forms[form]!.node;
  }

  private streamRows(): RowStream | undefined {
    const { streamed, sequence } = this.stage;
    const line = streamed === undefined ? undefined : sequence.lines.get(streamed.id);
    if (line === undefined) return undefined;
    const length = rowElements(line.value);
    return { count: line.value.shape[1]!, length, start: (line.rows - 1) * length };
  }

  private openLine({ value, rows }: Line): void {
    const length = rows * rowElements(value);
    const shape = [1, rows, value.shape[2]!, value.shape[3]!];
    const type = this.host.memoryType(value);
    const index = value.id === this.stage.streamed?.id ? this.host.bufferOf(value) : this.host.addBuffer({ name: value.name, type, length, shape });
    this.lines.set(value.id, index);
  }

  /** Adds a step whose kernel's inputs and outputs are `given`, in order; gives its index in the stage. */
  private addStep(name: string, op: string, { func, args, notes }: KernelInstance, given: readonly StepArgument[]): number {
    let next = 0;
    const bound = args.map((arg, i): StepArgument => {
      if (arg.kind === "scalar") return arg;
      if (arg.kind === "constant") return this.host.tableOf(`${op}_${this.host.steps.length}_${func.params[i]!.name}`, arg);
      if (arg.kind === "scratch")
        return { kind: "buffer", index: this.host.addBuffer({ name: `${name} scratch`, type: arg.type, length: arg.length }) };
      return given[next++]!;
    });
    this.host.steps.push({ name, op, func, args: bound, notes });
    return this.host.steps.length - 1 - this.first;
  }

  /** A step that is the same whenever it runs. */
  private once(key: string, make: () => number): number {
    const known = this.helpers.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.helpers.set(key, made);
    return made;
  }

  private act(act: Act): number {
    switch (act.kind) {
      case "await":
        return AWAIT_ROW;
      case "move":
        return this.once(`move ${act.value.id} ${act.from} ${act.to} ${act.rows}`, () => this.move(act));
      case "run":
        return this.stage.forms[act.form]!.collects
          ? this.once(`add ${act.form} ${JSON.stringify(act.reads)}`, () => this.collect(act))
          : this.runRow(act);
      case "begin":
        return this.once(`begin ${act.form}`, () => this.begin(act.form));
      case "finish":
        return this.once(`finish ${act.form}`, () => this.finish(act.form));
      default:
        return act satisfies never;
    }
  }

  private move({ value, from, to, rows }: Extract<Act, { kind: "move" }>): number {
    const kernel = moveRows(this.host.memoryType(value), rows * rowElements(value));
    const index = this.lines.get(value.id)!;
    return this.addStep(`rows of ${value.name}`, "move", kernel, [
      { kind: "buffer", index, start: from * rowElements(value) },
      { kind: "buffer", index, start: to * rowElements(value) },
    ]);
  }

  private begin(form: number): number {
    const channels = this.nodeOf(form).outputs[0]!.shape[3]!;
    const index = this.host.addBuffer({ name: `${this.nodeOf(form).name} sums`, type: "i32", length: channels, shape: [channels] });
    this.sums.set(form, index);
    return this.addStep(this.nodeOf(form).name, "clear", clearSums(channels), [{ kind: "buffer", index }]);
  }

  private collect({ form, reads }: RunAct): number {
    const { node } = this.stage.forms[form]!;
    const x = node.inputs[0]!;
    const kernel = addRow(this.host.memoryType(x), x.shape[2]!, x.shape[3]!);
    const from = this.rowAt(x, reads[0]!.firstRow);
    if (!this.lines.has(x.id)) from.advance = rowElements(x);
    return this.addStep(node.name, node.op, kernel, [from, { kind: "buffer", index: this.sums.get(form)! }]);
  }

  private finish(form: number): number {
    const { node } = this.stage.forms[form]!;
    const [x, y] = [node.inputs[0]!, node.outputs[0]!];
    const kernel = finishAverage(node, this.host.memoryType(y), x.shape[1]! * x.shape[2]!, y.shape[3]!);
    return this.addStep(node.name, "average", kernel, [
      { kind: "buffer", index: this.sums.get(form)! },
      { kind: "buffer", index: this.host.bufferOf(y) },
    ]);
  }

  /** Rows of a line or of an image from `row` on. A line of one row is that row. */
  private rowAt(value: Value, row: number): BufferArgument {
    const line = this.stage.sequence.lines.get(value.id);
    if (line === undefined) return { kind: "buffer", index: this.host.bufferOf(value), start: row * rowElements(value) };
    const index = this.lines.get(value.id)!;
    return line.rows === 1 ? { kind: "buffer", index } : { kind: "buffer", index, start: row * rowElements(value) };
  }

  /** What tells the steps of a node apart: edges, and places in lines. Places in whole images follow from the row. */
  private keyOf({ form, to, reads }: RunAct): string {
    const { node } = this.stage.forms[form]!;
    const places = reads.map((read, i) => {
      if (read === undefined) return "";
      const place = this.lines.has(node.inputs[i]!.id) ? read.firstRow : "";
      return `${read.edge.above} ${read.edge.below} ${place}`;
    });
    return [...places, this.lines.has(node.outputs[0]!.id) ? to : ""].join(",");
  }

  private usesImages(form: number): boolean {
    const { node, needs } = this.stage.forms[form]!;
    return !this.lines.has(node.outputs[0]!.id) || node.inputs.some((value, i) => value !== null && needs[i] !== null && !this.lines.has(value.id));
  }

  /** The step for a row: one that there is already, if it gets to this row. */
  private runRow(act: RunAct): number {
    const key = this.keyOf(act);
    const list = this.variants[act.form]!;
    const known = list.findLast((variant) => variant.key === key);
    if (known !== undefined && (!this.usesImages(act.form) || continues(known.rows, act.row))) {
      known.rows.push(act.row);
      return known.step;
    }
    const form = this.stage.forms[act.form]!;
    const edge = act.reads.find((read) => read !== undefined && read.edge.above + read.edge.below > 0)?.edge;
    const inputs = form.node.inputs.flatMap((value, i): StepArgument[] => (value === null ? [] : [this.inputArgument(act, i)]));
    const step = this.bindRow(form.node.name, rowNode(form, edge), inputs, this.rowAt(form.node.outputs[0]!, act.to));
    list.push({ key, rows: [act.row], step });
    return step;
  }

  private inputArgument(act: RunAct, input: number): StepArgument {
    const { node } = this.stage.forms[act.form]!;
    const read = act.reads[input];
    if (read === undefined) return this.host.valueOf(node.inputs[input]!, `${node.op}_${this.host.steps.length}_${input}`);
    return this.rowAt(node.inputs[input]!, read.firstRow);
  }

  /** The kernel asks for its inputs by number and need not ask for all. */
  private bindRow(name: string, node: Node, inputs: readonly StepArgument[], output: StepArgument): number {
    const kernel = this.host.kernelOf(node);
    const present = node.inputs.flatMap((value, i) => (value === null ? [] : [i]));
    const given = kernel.args.flatMap((arg): StepArgument[] => {
      if (arg.kind === "input") return [inputs[present.indexOf(arg.index)]!];
      return arg.kind === "output" ? [output] : [];
    });
    return this.addStep(name, node.op, kernel, given);
  }

  /** Steps that compute several rows walk down the images that lie whole in memory. */
  private walkDown(): void {
    this.variants.forEach((list, form) => {
      for (const { rows, step } of list) if (rows.length > 1) this.advance(this.first + step, form, rows[1]! - rows[0]!);
    });
  }

  private advance(step: number, form: number, rows: number): void {
    const { node, needs } = this.stage.forms[form]!;
    const advances = new Map<number, number>();
    node.inputs.forEach((value, i) => {
      if (value !== null && needs[i] && !this.lines.has(value.id))
        advances.set(this.host.bufferOf(value), rows * needs[i].stride * rowElements(value));
    });
    const y = node.outputs[0]!;
    if (!this.lines.has(y.id)) advances.set(this.host.bufferOf(y), rows * rowElements(y));
    const raw = this.host.steps[step]!;
    const args = raw.args.map((arg) => {
      const by = arg.kind === "buffer" ? advances.get(arg.index) : undefined;
      return by === undefined ? arg : { ...arg, advance: by };
    });
    this.host.steps[step] = { ...raw, args };
  }
}

/** Whether a row comes after the others at their distance. */
function continues(rows: readonly number[], row: number): boolean {
  const [last, before] = [rows[rows.length - 1]!, rows[rows.length - 2]];
  return before === undefined || row - last === last - before;
}

/** Elements that a value takes in memory: those of its line where it streams. */
export function streamedLength(stage: FusedStage, value: Value): number {
  const line = stage.sequence.lines.get(value.id);
  return line === undefined ? elementCount(value.shape) : line.rows * rowElements(value);
}

/** Lowers one stage into `host`; `rows` says how the network's input streams into it. */
export function lowerStage(host: StageHost, stage: FusedStage): { stage: Stage; rows: RowStream | undefined } {
  return new StageLowering(host, stage).run();
}
