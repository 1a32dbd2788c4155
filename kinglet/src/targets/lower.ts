import { elementCount, KingletError, type TypedArray } from "../base/index.ts";
import type { FusedStage } from "../fusion/index.ts";
import type { Graph, Node, Value } from "../graph/index.ts";
import {
  type Argument,
  KernelBuilder,
  type KernelInstance,
  type Layout,
  imagesOf,
  type MemoryType,
  memoryTypeOf,
  plainLayout,
  type Port,
  type Program,
  type ProgramBuffer,
  type RowStream,
  type Stage,
  sameLayout,
  type StepArgument,
} from "../loops/index.ts";
import { findOp, type Kernel, type NodeLayouts, type Schedules, unsupportedTypes, type Walk } from "../ops/index.ts";
import { ConstantPool } from "./constants.ts";
import { lowerStage, type StageHost, streamedLength } from "./lower-stage.ts";
import { workingRoom } from "./room.ts";
import { assignLayouts, type ConvertLayout, isPlain, type ValueLayouts } from "./layouts.ts";
import { type Optimize, type RawStep, shareFunctions } from "./share.ts";
import { isWorthPacking, UNPACK, unpackedLength, unpackKernel } from "./zeros.ts";

export interface LowerOptions {
  /** Faster kernels of the target; what has none runs its plain loops. */
  readonly schedules?: Schedules;
  readonly optimize?: Optimize;
  /** How kernels that can choose visit their pixels: all forward, or forward and backward in turn. */
  readonly walks?: "forward" | "alternate";
  /** Runs of nodes that compute row by row; all others compute whole images. */
  readonly stages?: readonly FusedStage[];
  /** Bytes that a kernel's working memory may take, where it can choose; the default is a share of the largest layer. */
  readonly room?: number;
  /** Nodes whose tables are packed where most of their bytes are 0, and unpacked into working memory before the node runs. */
  readonly packed?: ReadonlySet<Node>;
  /** Brings values from one layout to another, on targets whose schedules choose layouts. */
  readonly convert?: ConvertLayout;
}

/** Where a value lives: an arena buffer or a table in flash. */
type Home = { kind: "buffer"; index: number } | { kind: "constant"; index: number };

/** One of the places of a value: it may lie in the arena in several layouts. */
interface Lodging {
  readonly layout: Layout;
  readonly home: Home;
}

/** Kernels of rows by the schedules they come from: found once for all divisions into stages that are tried, as their nodes are. */
const rowInstances = new WeakMap<Schedules, WeakMap<Node, KernelInstance>>();

class Lowering {
  private readonly buffers: ProgramBuffer[] = [];
  private readonly constants = new ConstantPool();
  private readonly homes = new Map<number, Lodging[]>();
  private readonly steps: RawStep[] = [];
  private readonly stages: Stage[] = [];
  private readonly streams = new Map<number, RowStream>();
  private walked = 0;
  private readonly room: number;
  private readonly graph: Graph;
  private readonly options: LowerOptions;
  private readonly kernels: ReadonlyMap<Node, Kernel>;
  private readonly layouts: ValueLayouts;

  constructor(graph: Graph, options: LowerOptions) {
    this.graph = graph;
    this.options = options;
    // Who computes by rows saves every byte.
    const byRows = (options.stages ?? []).length > 0;
    this.room = options.room ?? (byRows ? 0 : workingRoom(graph, options.optimize ?? "balanced"));
    const fused = new Set((options.stages ?? []).flatMap(({ first, count }) => graph.nodes.slice(first, first + count)));
    this.kernels = new Map(
      graph.nodes.flatMap((node) => {
        const kernel = fused.has(node) ? undefined : options.schedules?.[node.op]?.(node, this.walkOf(node), this.room);
        return kernel === undefined ? [] : [[node, kernel] as const];
      }),
    );
    this.layouts = assignLayouts(graph, this.kernels);
  }

  run(): Program {
    const buffers = this.graph.inputs.map((value) => this.inputBuffer(value));
    this.lowerNodes();
    const inputs = this.graph.inputs.map((value, i) => this.port(value, buffers[i]!));
    const outputs = this.graph.outputs.map((value, index) => this.port(value, this.outputBuffer(value, index)));
    const { functions, steps } = shareFunctions(this.steps, this.options.optimize ?? "balanced");
    return { name: this.graph.name, functions, constants: this.constants.list, buffers: this.buffers, steps, stages: this.stages, inputs, outputs };
  }

  private lowerNodes(): void {
    const stages = new Map((this.options.stages ?? []).map((stage) => [stage.first, stage]));
    for (let at = 0; at < this.graph.nodes.length; ) {
      const stage = stages.get(at);
      if (stage === undefined) this.lowerNode(this.graph.nodes[at]!, at);
      else this.lowerStage(stage);
      at += stage?.count ?? 1;
    }
  }

  private lowerStage(fused: FusedStage): void {
    const host: StageHost = {
      steps: this.steps,
      memoryType: (value) => this.memoryType(value),
      addBuffer: (buffer) => this.buffers.push(buffer) - 1,
      bufferOf: (value) => (this.homeOf(value, value.name) as { index: number }).index,
      valueOf: (value, name) => this.homeOf(value, name),
      tableOf: (name, arg) => ({ kind: "constant", index: this.constants.add(name, arg.type, arg.data) }),
      kernelOf: (node) => this.rowInstance(node),
    };
    const { stage, rows } = lowerStage(host, fused);
    this.stages.push(stage);
    if (rows !== undefined) this.streams.set(fused.streamed!.id, rows);
  }

  private inputBuffer(value: Value): number {
    const stage = this.options.stages?.find(({ streamed }) => streamed?.id === value.id);
    if (stage === undefined) return this.newBuffer(value);
    const type = this.memoryType(value);
    this.buffers.push({ name: value.name, type, length: streamedLength(stage, value) });
    this.lodge(value, plainLayout(type), { kind: "buffer", index: this.buffers.length - 1 });
    return this.buffers.length - 1;
  }

  private port(value: Value, buffer: number): Port {
    const q = value.quantization;
    const quantization = q === undefined || q.scales.length !== 1 ? undefined : { scale: q.scales[0]!, zeroPoint: q.zeroPoints[0]! };
    return { name: value.name, dtype: value.dtype, shape: value.shape, quantization, buffer, rows: this.streams.get(value.id) };
  }

  private memoryType(value: Value): MemoryType {
    const type = memoryTypeOf(value.dtype);
    if (type === undefined)
      throw new KingletError("unsupported", `"${value.name}" has the element type ${value.dtype}, which no kernel computes with`);
    return type;
  }

  private newBuffer(value: Value, layout = plainLayout(this.memoryType(value))): number {
    const { type } = layout;
    const initial = value.variable === true ? this.initialOf(value, type) : undefined;
    const { length } = imagesOf(value.shape, layout);
    const told = isPlain(value, layout) ? {} : { layout };
    this.buffers.push({ name: value.name, type, length, shape: value.shape, value: value.id, initial, ...told });
    const index = this.buffers.length - 1;
    this.lodge(value, layout, { kind: "buffer", index });
    return index;
  }

  private lodge(value: Value, layout: Layout, home: Home): void {
    this.homes.set(value.id, [...(this.homes.get(value.id) ?? []), { layout, home }]);
  }

  private initialOf(value: Value, type: MemoryType): ProgramBuffer["initial"] {
    if (value.initial === undefined) return { kind: "fill", value: value.quantization?.zeroPoints[0] ?? 0 };
    return { kind: "constant", index: this.constants.add(`${value.name}_initial`, type, value.initial) };
  }

  /** The place of a value in a layout; a value that lies elsewhere in another one is converted first. */
  private homeOf(value: Value, name: string, layout = plainLayout(this.memoryType(value))): Home {
    const lodgings = this.homes.get(value.id) ?? [];
    const found = lodgings.find((each) => sameLayout(each.layout, layout));
    if (found !== undefined) return found.home;
    if (value.data !== undefined) {
      const constant: Home = { kind: "constant", index: this.constants.add(name, this.memoryType(value), value.data) };
      this.lodge(value, layout, constant);
      return constant;
    }
    const home: Home = { kind: "buffer", index: this.newBuffer(value, layout) };
    if (lodgings.length > 0) this.convert(value, lodgings[0]!, { layout, home });
    return home;
  }

  private convert(value: Value, from: Lodging, to: Lodging): void {
    const builder = new KernelBuilder([from.layout.type], [to.layout.type]);
    const { func, args } = this.options.convert!(builder, value.shape, from.layout, to.layout);
    const bound = args.map((arg): StepArgument => (arg.kind === "input" ? from.home : arg.kind === "output" ? to.home : (arg as StepArgument)));
    this.steps.push({ name: `layout of ${value.name}`, op: "layout", func, args: bound });
  }

  /** An output that is also an input, a constant or a variable gets bytes of its own by a copy. */
  private outputBuffer(value: Value, index: number): number {
    const home = this.homeOf(value, `output_${index}`);
    const taken =
      home.kind === "constant" ||
      this.buffers[home.index]!.initial !== undefined ||
      this.graph.inputs.some((input) => this.homes.get(input.id)?.some((each) => each.home === home));
    if (!taken) return home.index;
    const type = this.memoryType(value);
    this.buffers.push({ name: `${value.name}_copy`, type, length: elementCount(value.shape) });
    this.steps.push(copyStep(value, type, home, this.buffers.length - 1));
    return this.buffers.length - 1;
  }

  private lowerNode(node: Node, index: number): void {
    if (findOp(node.op)?.alias === true && this.alias(node)) return;
    const instance = this.kernelOf(node);
    const layouts = this.layoutsOf(node);
    const prefix = `${node.op}_${index}`;
    const args = instance.args.map((arg, i) => this.bind(node, layouts, arg, `${prefix}_${instance.func.params[i]!.name}`));
    this.steps.push({ name: node.name, op: node.op, func: instance.func, args, notes: instance.notes, work: workOf(node) });
  }

  /** The target's kernel for one row. Its node is none of the graph's, and rows lie in plain layouts. */
  private rowInstance(node: Node): KernelInstance {
    const owner = this.options.schedules ?? {};
    const known = rowInstances.get(owner) ?? new WeakMap<Node, KernelInstance>();
    rowInstances.set(owner, known);
    const instance = known.get(node) ?? this.kernelOf(node, this.rowKernel(node));
    known.set(node, instance);
    return instance;
  }

  private rowKernel(node: Node): Kernel | undefined {
    const kernel = this.options.schedules?.[node.op]?.(node, "forward", this.room);
    return kernel?.reads === undefined ? kernel : undefined;
  }

  /** The target's kernel for a node, or the plain loops. */
  private kernelOf(node: Node, kernel = this.kernels.get(node)): KernelInstance {
    const op = findOp(node.op);
    if (op === undefined) throw new KingletError("unsupported", `there is no operator ${node.op} (node "${node.name}")`);
    const layouts = this.layoutsOf(node);
    const builder = new KernelBuilder(
      layouts.inputs.map((layout) => layout?.type ?? null),
      layouts.outputs.map((layout) => layout.type),
    );
    return kernel?.(builder, layouts) ?? op.loops(builder, node);
  }

  private layoutsOf(node: Node): NodeLayouts {
    return this.layouts.ofNode(node, (value) => this.kernelType(node, value));
  }

  /** Layers in place drift through the arena in the direction of their pixels; turning every other one brings the map back. */
  private walkOf(node: Node): Walk {
    if (this.options.walks !== "alternate" || node.op !== "depthwiseConv2d") return "forward";
    return this.walked++ % 2 === 0 ? "forward" : "backward";
  }

  private kernelType(node: Node, value: Value): MemoryType {
    const type = memoryTypeOf(value.dtype);
    if (type === undefined) throw unsupportedTypes(node);
    return type;
  }

  /** Gives output 0 the home of input 0; false where the input is a variable, whose contents may change later. */
  private alias(node: Node): boolean {
    const home = this.homeOf(node.inputs[0]!, node.name);
    if (home.kind === "buffer" && this.buffers[home.index]!.initial !== undefined) return false;
    this.lodge(node.outputs[0]!, plainLayout(this.memoryType(node.outputs[0]!)), home);
    return true;
  }

  /** A table that lies in flash without its zeros: a step of its own brings it into the arena. */
  private unpacked(node: Node, type: "i8" | "i32", data: TypedArray, name: string): StepArgument {
    const { func, args } = unpackKernel(type, data);
    const index = this.buffers.push({ name: `${node.name} weights`, type, length: unpackedLength(data) }) - 1;
    const bound = args.map((arg): StepArgument => {
      if (arg.kind === "constant") return { kind: "constant", index: this.constants.add(`${name}_packed`, arg.type, arg.data) };
      return arg.kind === "output" ? { kind: "buffer", index } : (arg as StepArgument);
    });
    this.steps.push({ name: node.name, op: UNPACK, func, args: bound });
    return { kind: "buffer", index };
  }

  private bind(node: Node, layouts: NodeLayouts, arg: Argument, name: string): StepArgument {
    switch (arg.kind) {
      case "input":
        return this.homeOf(node.inputs[arg.index]!, name, layouts.inputs[arg.index]!);
      case "output":
        return this.homeOf(node.outputs[arg.index]!, name, layouts.outputs[arg.index]!);
      case "constant":
        if (this.options.packed?.has(node) === true && isWorthPacking(arg.type, arg.data)) return this.unpacked(node, arg.type, arg.data, name);
        return { kind: "constant", index: this.constants.add(name, arg.type, arg.data) };
      case "scratch":
        this.buffers.push({ name: `${node.name} scratch`, type: arg.type, length: arg.length });
        return { kind: "buffer", index: this.buffers.length - 1 };
      case "scalar":
        return arg;
      default:
        return arg satisfies never;
    }
  }
}

/** Storing an element takes about as long as so many products. */
const PRODUCTS_AN_ELEMENT = 20;

function workOf(node: Node): number {
  const elements = node.outputs.reduce((sum, value) => sum + elementCount(value.shape), 0);
  return (findOp(node.op)?.macs?.(node) ?? 0) + PRODUCTS_AN_ELEMENT * elements;
}

function copyStep(value: Value, type: MemoryType, from: Home, to: number): RawStep {
  const k = new KernelBuilder([type], [type]);
  const input = k.input(0, "x");
  const output = k.output(0, "y");
  k.copy(output, 0, input, 0, k.int("count", elementCount(value.shape)));
  const { func, args }: KernelInstance = k.finish(`copy_${type}`, "Copies a tensor.");
  const bound = args.map(
    (arg): StepArgument => (arg.kind === "input" ? from : arg.kind === "output" ? { kind: "buffer", index: to } : (arg as StepArgument)),
  );
  return { name: `copy of ${value.name}`, op: "copy", func, args: bound };
}

/**
 * Turns a graph into loops: a kernel for each node (the target's schedule or the plain loops), one function for
 * all nodes whose kernels have the same structure, tables without duplicates, buffers without addresses.
 * @throws KingletError `unsupported` that names the node.
 */
export function lower(graph: Graph, options: LowerOptions = {}): Program {
  return new Lowering(graph, options).run();
}
