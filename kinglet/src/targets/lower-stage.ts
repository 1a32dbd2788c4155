import { elementCount } from "../base/index.ts";
import { type Act, type Edge, edgeOf, type FusedStage, type Line, type RowForm, rowElements, rowNode } from "../fusion/index.ts";
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
import { addRow, clearSums, fillRows, finishAverage, moveRows } from "./row-kernels.ts";
import type { RawStep } from "./share.ts";

/** What lowering a stage needs of the program that is being made. */
export interface StageHost {
  readonly steps: RawStep[];
  memoryType(value: Value): MemoryType;
  addBuffer(buffer: ProgramBuffer): number;
  /** The buffer of a value that lies whole in memory. */
  bufferOf(value: Value): number;
  /** A constant of the network or a table of a kernel. */
  constantOf(value: Value, name: string): StepArgument;
  tableOf(name: string, arg: Extract<Argument, { kind: "constant" }>): StepArgument;
  kernelOf(node: Node): KernelInstance;
}

type BufferArgument = Extract<StepArgument, { kind: "buffer" }>;

/** Rows of one node that one step computes: neighbours in the middle of the image, or one at an edge. */
interface Variant {
  readonly edges: readonly (Edge | undefined)[];
  readonly firstRow: number;
  rows: number;
  readonly step: number;
}

function paddingOf(value: Value): number {
  return value.quantization?.zeroPoints[0] ?? 0;
}

function sameEdges(a: readonly (Edge | undefined)[], b: readonly (Edge | undefined)[]): boolean {
  return a.every((edge, i) => edge?.above === b[i]?.above && edge?.below === b[i]?.below);
}

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
    for (const act of this.stage.sequence.acts) this.order.push(...this.act(act));
    this.moveOn();
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
  private addStep(name: string, op: string, { func, args }: KernelInstance, given: readonly StepArgument[]): number {
    let next = 0;
    const bound = args.map((arg, i): StepArgument => {
      if (arg.kind === "scalar") return arg;
      if (arg.kind === "constant") return this.host.tableOf(`${op}_${this.host.steps.length}_${func.params[i]!.name}`, arg);
      if (arg.kind === "scratch")
        return { kind: "buffer", index: this.host.addBuffer({ name: `${name} scratch`, type: arg.type, length: arg.length }) };
      return given[next++]!;
    });
    this.host.steps.push({ name, op, func, args: bound });
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

  private act(act: Act): number[] {
    switch (act.kind) {
      case "await":
        return [AWAIT_ROW];
      case "push":
        return [...this.openRows(act.value), this.once(`push ${act.value.id}`, () => this.push(act.value))];
      case "pad":
        return [this.once(`pad ${act.value.id}`, () => this.pad(act.value))];
      case "run":
        return [this.stage.forms[act.form]!.collects ? this.once(`add ${act.form}`, () => this.collect(act.form)) : this.runRow(act.form, act.row)];
      case "begin":
        return [this.once(`begin ${act.form}`, () => this.begin(act.form))];
      case "finish":
        return [this.once(`finish ${act.form}`, () => this.finish(act.form))];
      default:
        return act satisfies never;
    }
  }

  /** Before its first row comes, a line holds the rows above the image. */
  private openRows(value: Value): number[] {
    const key = `open ${value.id}`;
    if (this.helpers.has(key)) return [];
    const { rows } = this.stage.sequence.lines.get(value.id)!;
    const kernel = fillRows(this.host.memoryType(value), rows * rowElements(value), paddingOf(value));
    return [
      this.once(key, () =>
        this.addStep(`rows of ${value.name}`, "padding", kernel, [{ kind: "buffer", index: this.lines.get(value.id)!, start: 0 }]),
      ),
    ];
  }

  private push(value: Value): number {
    const { rows } = this.stage.sequence.lines.get(value.id)!;
    const kernel = moveRows(this.host.memoryType(value), rows, rowElements(value));
    const index = this.lines.get(value.id)!;
    return this.addStep(`rows of ${value.name}`, "move", kernel, [
      { kind: "buffer", index, start: rowElements(value) },
      { kind: "buffer", index, start: 0 },
    ]);
  }

  private pad(value: Value): number {
    const kernel = fillRows(this.host.memoryType(value), rowElements(value), paddingOf(value));
    return this.addStep(`rows of ${value.name}`, "padding", kernel, [this.lastRow(value)]);
  }

  /** Where the newest row of a line lies. A line of one row is that row. */
  private lastRow(value: Value): BufferArgument {
    const { rows } = this.stage.sequence.lines.get(value.id)!;
    const index = this.lines.get(value.id)!;
    return rows === 1 ? { kind: "buffer", index } : { kind: "buffer", index, start: (rows - 1) * rowElements(value) };
  }

  private begin(form: number): number {
    const channels = this.nodeOf(form).outputs[0]!.shape[3]!;
    const index = this.host.addBuffer({ name: `${this.nodeOf(form).name} sums`, type: "i32", length: channels, shape: [channels] });
    this.sums.set(form, index);
    return this.addStep(this.nodeOf(form).name, "clear", clearSums(channels), [{ kind: "buffer", index }]);
  }

  private collect(form: number): number {
    const { node, needs } = this.stage.forms[form]!;
    const x = node.inputs[0]!;
    const kernel = addRow(this.host.memoryType(x), x.shape[2]!, x.shape[3]!);
    const from = this.inputArgument(form, 0, 0, [undefined]);
    if (needs[0] !== null && from.kind === "buffer" && !this.lines.has(x.id)) from.advance = rowElements(x);
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

  private edgesOf(form: RowForm, row: number): (Edge | undefined)[] {
    return form.needs.map((need, i) => {
      const value = form.node.inputs[i]!;
      return need === null || this.lines.has(value.id) ? undefined : edgeOf(need, value.shape[1]!, row);
    });
  }

  /** The step for a row: the one of the row before where both have the same edges. */
  private runRow(at: number, row: number): number {
    const form = this.stage.forms[at]!;
    const edges = this.edgesOf(form, row);
    const list = this.variants[at]!;
    const last = list[list.length - 1];
    if (last !== undefined && sameEdges(last.edges, edges)) {
      last.rows++;
      return last.step;
    }
    const node = rowNode(
      form,
      edges.find((edge) => edge !== undefined && edge.above + edge.below > 0),
    );
    const name = this.nodeOf(at).name;
    const inputs = form.node.inputs.flatMap((value, i): StepArgument[] => (value === null ? [] : [this.inputArgument(at, i, row, edges)]));
    const step = this.bindRow(name, node, inputs, this.outputArgument(at, row));
    list.push({ edges, firstRow: row, rows: 1, step });
    return step;
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

  private inputArgument(at: number, input: number, row: number, edges: readonly (Edge | undefined)[]): StepArgument {
    const { node, needs } = this.stage.forms[at]!;
    const value = node.inputs[input]!;
    const need = needs[input]!;
    if (need === null) return this.host.constantOf(value, `${node.op}_${this.host.steps.length}_${input}`);
    const read = this.stage.sequence.reads[at]![input];
    if (read !== undefined) {
      const index = this.lines.get(value.id)!;
      return read.firstRow === 0 ? { kind: "buffer", index } : { kind: "buffer", index, start: read.firstRow * rowElements(value) };
    }
    const above = edges[input]?.above ?? 0;
    return { kind: "buffer", index: this.host.bufferOf(value), start: (row * need.stride - need.padTop + above) * rowElements(value) };
  }

  private outputArgument(at: number, row: number): StepArgument {
    const y = this.nodeOf(at).outputs[0]!;
    if (this.lines.has(y.id)) return this.lastRow(y);
    return { kind: "buffer", index: this.host.bufferOf(y), start: row * rowElements(y) };
  }

  /** Steps that compute several rows walk down the images that lie whole in memory. */
  private moveOn(): void {
    this.variants.forEach((list, at) => {
      const { node, needs } = this.stage.forms[at]!;
      const advances = new Map<number, number>();
      node.inputs.forEach((value, i) => {
        if (value !== null && needs[i] !== null && !this.lines.has(value.id))
          advances.set(this.host.bufferOf(value), needs[i]!.stride * rowElements(value));
      });
      const y = node.outputs[0]!;
      if (!this.lines.has(y.id)) advances.set(this.host.bufferOf(y), rowElements(y));
      for (const { step } of list) this.advance(this.first + step, advances);
    });
  }

  private advance(step: number, advances: ReadonlyMap<number, number>): void {
    const raw = this.host.steps[step]!;
    const args = raw.args.map((arg) => {
      const by = arg.kind === "buffer" ? advances.get(arg.index) : undefined;
      return by === undefined ? arg : { ...arg, advance: by };
    });
    this.host.steps[step] = { ...raw, args };
  }
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
