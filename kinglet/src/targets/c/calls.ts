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

function directArgument(program: Program, placement: Placement, func: Func, arg: StepArgument, at: number, id: string): string {
  const param = func.params[at]!;
  if (arg.kind === "constant") return `${id}_${program.constants[arg.index]!.name}`;
  if (arg.kind === "buffer")
    return pointer(program.buffers[arg.index]!.type, param.kind === "buffer" && param.writes, String(placement.offsets[arg.index]!));
  return scalarText(arg);
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
  const offsets = args.map((arg) => placement.offsets[(arg as { index: number }).index]!);
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

/** Layers that share a kernel are called through records in flash: a call is then a few bytes. */
export function printCalls(program: Program, placement: Placement, id: string): CCalls {
  const functions = new Map(program.functions.map((func) => [func.name, func]));
  const users = new Map<string, (readonly [Step, number])[]>();
  program.steps.forEach((step, i) => users.set(step.func, [...(users.get(step.func) ?? []), [step, i]]));
  const shared = new Set(
    [...users]
      .filter(
        ([name, list]) =>
          list.length > 1 &&
          functions.get(name)!.params.length > 3 &&
          uniform(
            functions.get(name)!,
            list.map(([step]) => step),
          ),
      )
      .map(([name]) => name),
  );
  const definitions = [...shared].map((name) => recordDefinitions(program, placement, functions.get(name)!, users.get(name)!, id));
  const steps = program.steps.flatMap((step, i) => {
    const func = functions.get(step.func)!;
    const call = shared.has(step.func)
      ? `${step.func}_run(arena, &step_${i});`
      : `${step.func}(${step.args.map((arg, at) => directArgument(program, placement, func, arg, at, id)).join(", ")});`;
    return [`  ${id.toUpperCase()}_STEP(${i}, arena); /* ${stepComment(program, step)} */`, `  ${call}`];
  });
  return { definitions: definitions.length === 0 ? "" : `${definitions.join("\n")}\n`, steps };
}
