import { movingSteps, positionLength, printStage, turnOf } from "./stages.ts";
import {
  C_MEMORY,
  type Func,
  floatText,
  MEMORY_BYTES,
  type MemoryType,
  type Placement,
  type Program,
  type Step,
  type StepArgument,
} from "../../loops/index.ts";

/** Text that can stand in a C comment. */
export function commentText(text: string): string {
  return text.replace(/\*\//g, "* /").replace(/[^\x20-\x7e]/g, "?");
}

/** A buffer as a reader wants it: its tensor's dimensions, or the length of working memory. */
function dimensions(program: Program, index: number): string {
  const { shape, length } = program.buffers[index]!;
  return shape === undefined ? `[${length}]` : `[${shape.join("][")}]`;
}

/** A node's name and what it turns into what: its first buffer and the one it writes. */
function stepComment(program: Program, step: Step): string {
  const func = program.functions.find((each) => each.name === step.func)!;
  const tensors = (writes: boolean): string[] =>
    step.args.flatMap((arg, i) => {
      const param = func.params[i]!;
      const here = arg.kind === "buffer" && param.kind === "buffer" && param.writes === writes && program.buffers[arg.index]!.shape !== undefined;
      return here ? [dimensions(program, arg.index)] : [];
    });
  return commentText(`${shortName(step.name)}: ${tensors(false).join(", ")} to ${tensors(true).join(", ")}`);
}

/** Where everything lies, as a comment: address, bytes, dimensions, name. */
export function arenaMap(program: Program, placement: Placement): string {
  const rows = program.buffers.map((buffer, i) => ({
    at: placement.offsets[i]!,
    bytes: buffer.length * MEMORY_BYTES[buffer.type],
    text: `${buffer.type}${dimensions(program, i)} ${shortName(buffer.name)}`,
  }));
  const width = String(placement.arenaBytes).length;
  const lines = rows
    .sort((a, b) => a.at - b.at || b.bytes - a.bytes)
    .map(({ at, bytes, text }) => `   ${String(at).padStart(width)} to ${String(at + bytes).padStart(width)}  ${text}`);
  return ["/* The arena. What is not needed at the same time shares its bytes.", ...lines, "*/"].join("\n");
}

const NAME_LENGTH = 48;

/** Names from files can run to hundreds of letters. */
function shortName(text: string): string {
  return commentText(text.length > NAME_LENGTH ? `${text.slice(0, NAME_LENGTH)}...` : text);
}

/** What the run function calls: definitions that go in front of it, and its lines. */
export interface CCalls {
  readonly definitions: string;
  readonly steps: string[];
}

/** A field of a step's record: where the argument comes from when the kernel is called. */
interface Field {
  readonly name: string;
  readonly type: string;
  readonly bytes: number;
  readonly values: readonly string[];
  /** The expression that the kernel is given. */
  readonly use: string;
}

function pointer(type: MemoryType, writes: boolean, offset: string): string {
  const address = offset === "0" ? "arena" : `arena + ${offset}`;
  if (type === "i8") return `(${writes ? "" : "const "}int8_t *)(${address})`;
  if (type === "u8") return address;
  return `(${writes ? "" : "const "}${C_MEMORY[type]} *)(void *)(${address})`;
}

function scalarText(arg: Extract<StepArgument, { kind: "scalar" }>): string {
  if (arg.type === "f32") return floatText(arg.value as number);
  return arg.type === "i64" ? `INT64_C(${arg.value})` : arg.value === -(2 ** 31) ? "INT32_MIN" : String(arg.value);
}

type BufferArgument = Extract<StepArgument, { kind: "buffer" }>;

/** Where an argument starts in the arena, in bytes, at the first turn of its step. */
function offsetOf(program: Program, placement: Placement, arg: BufferArgument): number {
  return placement.offsets[arg.index]! + (arg.start ?? 0) * MEMORY_BYTES[program.buffers[arg.index]!.type];
}

function directArgument(program: Program, placement: Placement, func: Func, arg: StepArgument, at: number, id: string, turn: string): string {
  const param = func.params[at]!;
  if (arg.kind === "constant") return `${id}_${program.constants[arg.index]!.name}`;
  if (arg.kind === "scalar") return scalarText(arg);
  const { type } = program.buffers[arg.index]!;
  const moved = arg.advance === undefined ? "" : ` + ${turn} * ${arg.advance * MEMORY_BYTES[type]}`;
  return pointer(type, param.kind === "buffer" && param.writes, `${offsetOf(program, placement, arg)}${moved}`);
}

/** The narrowest C type that holds all values of an integer field. */
function integerType(values: readonly number[], signed: boolean): { type: string; bytes: number } {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (!signed) return high < 2 ** 16 ? { type: "uint16_t", bytes: 2 } : { type: "uint32_t", bytes: 4 };
  if (low >= -128 && high <= 127) return { type: "int8_t", bytes: 1 };
  return low >= -32768 && high <= 32767 ? { type: "int16_t", bytes: 2 } : { type: "int32_t", bytes: 4 };
}

function fieldOf(program: Program, placement: Placement, func: Func, steps: readonly Step[], at: number, id: string): Field {
  const param = func.params[at]!;
  const args = steps.map((step) => step.args[at]!);
  const name = param.name;
  const first = args[0]!;
  if (param.kind === "scalar") {
    const values = args.map((arg) => scalarText(arg as Extract<StepArgument, { kind: "scalar" }>));
    if (param.type !== "i32")
      return { name, type: param.type === "f32" ? "float" : "int64_t", bytes: param.type === "f32" ? 4 : 8, values, use: `s->${name}` };
    const numbers = args.map((arg) => (arg as { value: number }).value);
    return { name, ...integerType(numbers, true), values, use: `s->${name}` };
  }
  if (first.kind === "constant") {
    const type = C_MEMORY[param.type];
    return {
      name,
      type: `const ${type} *`,
      bytes: 4,
      values: args.map((arg) => `${id}_${program.constants[(arg as { index: number }).index]!.name}`),
      use: `s->${name}`,
    };
  }
  const offsets = args.map((arg) => offsetOf(program, placement, arg as BufferArgument));
  return { name, ...integerType(offsets, false), values: offsets.map(String), use: pointer(param.type, param.writes, `s->${name}`) };
}

/** Whether each argument comes from one place in all steps: always the arena, or always a table. */
function uniform(func: Func, steps: readonly Step[]): boolean {
  return func.params.every((_, at) => steps.every((step) => step.args[at]!.kind === steps[0]!.args[at]!.kind));
}

/** A kernel that several layers share: one record for each layer, and a function that calls the kernel with a record. */
function recordDefinitions(program: Program, placement: Placement, func: Func, numbered: readonly (readonly [Step, number])[], id: string): string {
  const fields = func.params.map((_, at) =>
    fieldOf(
      program,
      placement,
      func,
      numbered.map(([step]) => step),
      at,
      id,
    ),
  );
  const order = [...fields].sort((a, b) => b.bytes - a.bytes);
  const records = numbered.map(
    ([step, number], i) =>
      `static const struct ${func.name}_step step_${number} = {${order.map((field) => field.values[i]).join(", ")}}; /* ${commentText(step.name)} */`,
  );
  return `struct ${func.name}_step {
${order.map((field) => `  ${field.type}${field.type.endsWith("*") ? "" : " "}${field.name};`).join("\n")}
};
${records.join("\n")}
static void ${func.name}_run(uint8_t *arena, const struct ${func.name}_step *s) {
  ${func.name}(${fields.map((field) => field.use).join(", ")});
}
`;
}

/** Whether a step's arguments move from run to run: a record in flash cannot say so. */
function moves(step: Step): boolean {
  return step.args.some((arg) => arg.kind === "buffer" && arg.advance !== undefined);
}

/** Functions whose steps are called through records. */
function sharedFunctions(program: Program): Map<string, (readonly [Step, number])[]> {
  const functions = new Map(program.functions.map((func) => [func.name, func]));
  const users = new Map<string, (readonly [Step, number])[]>();
  program.steps.forEach((step, i) => {
    if (!moves(step)) users.set(step.func, [...(users.get(step.func) ?? []), [step, i]]);
  });
  const steps = (list: readonly (readonly [Step, number])[]): Step[] => list.map(([step]) => step);
  return new Map(
    [...users].filter(([name, list]) => list.length > 1 && functions.get(name)!.params.length > 3 && uniform(functions.get(name)!, steps(list))),
  );
}

/** How the run function goes through the stages. */
function stageLines(program: Program, placement: Placement, index: number): string[] {
  const stage = program.stages![index]!;
  const comment = `/* ${commentText(stage.name)}, by rows */`;
  if (stage.position !== undefined) {
    return [`  if (!stage_${index}(arena, ${pointer("u16", true, String(placement.offsets[stage.position]!))})) return 0; ${comment}`];
  }
  return [`  { ${comment}`, `    k_uint16 s[${positionLength(program, stage)}] = {0};`, `    (void)stage_${index}(arena, s);`, "  }"];
}

/** Layers that share a kernel are called through records in flash: a call is then a few bytes. */
export function printCalls(program: Program, placement: Placement, id: string): CCalls {
  const functions = new Map(program.functions.map((func) => [func.name, func]));
  const shared = sharedFunctions(program);
  const records = [...shared].map(([name, users]) => recordDefinitions(program, placement, functions.get(name)!, users, id));
  const call = (i: number, turn = "0"): string => {
    const step = program.steps[i]!;
    const func = functions.get(step.func)!;
    const direct = !shared.has(step.func) || moves(step);
    const text = direct
      ? `${step.func}(${step.args.map((arg, at) => directArgument(program, placement, func, arg, at, id, turn)).join(", ")});`
      : `${step.func}_run(arena, &step_${i});`;
    return text;
  };
  const mark = (i: number): string => `${id.toUpperCase()}_STEP(${i}, arena);`;
  const stages = program.stages ?? [];
  const definitions = [
    ...records,
    ...stages.map((stage, index) => {
      const moving = new Set(movingSteps(program, stage));
      return printStage(program, stage, index, (i) => `${mark(i)} ${call(i, moving.has(i) ? turnOf(program, stage, i) : "0")}`);
    }),
  ];
  const lines: string[] = [];
  for (let i = 0; i < program.steps.length; ) {
    const index = stages.findIndex((stage) => stage.first === i);
    if (index >= 0) lines.push(...stageLines(program, placement, index));
    else lines.push(`  ${mark(i)} /* ${stepComment(program, program.steps[i]!)} */`, `  ${call(i)}`);
    i += index >= 0 ? stages[index]!.count : 1;
  }
  return { definitions: definitions.length === 0 ? "" : `${definitions.join("\n")}\n`, steps: lines };
}
