import { Expr, type Func, type KernelNotes, type ScalarType, specialise, type Step, type StepArgument, type Stmt } from "../loops/index.ts";

/**
 * `size`: layers share functions wherever they can. `balanced`: the same, and what all users of a function agree
 * on is put into it. `speed`: layers get functions made for their sizes.
 */
export type Optimize = "size" | "speed" | "balanced";

/** A step that still has its own function. */
export interface RawStep {
  readonly name: string;
  readonly op: string;
  readonly func: Func;
  readonly args: readonly StepArgument[];
  readonly notes?: KernelNotes | undefined;
  /** About how many instructions it takes, where it is a whole node's. */
  readonly work?: number;
}

const knownKeys = new WeakMap<Func, string>();

function structureKey(func: Func): string {
  const key = knownKeys.get(func) ?? structureOf(func);
  knownKeys.set(func, key);
  return key;
}

function structureOf(func: Func): string {
  return JSON.stringify([func.params, func.body], (_key, value: unknown) =>
    typeof value === "bigint"
      ? `${value}n`
      : Object.is(value, -0)
        ? "-0"
        : typeof value === "number" && !Number.isFinite(value)
          ? String(value)
          : value,
  );
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

function scalarExpr(type: ScalarType, value: number | bigint): Expr {
  return new Expr(type, { kind: "const", value });
}

/**
 * What all steps of a group agree on: scalar parameters that always have one value become that value, those that
 * always equal an earlier parameter (output channels, input channels) become that parameter.
 */
function agreedValues(group: readonly RawStep[]): Map<string, Expr> {
  const agreed = new Map<string, Expr>();
  const seen = new Map<string, Expr>();
  group[0]!.func.params.forEach((param, i) => {
    const first = group[0]!.args[i]!;
    if (first.kind !== "scalar") return;
    const values = group.map((step) => (step.args[i] as typeof first).value);
    const key = `${first.type} ${values.map((value) => (Object.is(value, -0) ? "-0" : value)).join(" ")}`;
    const same = values.every((value) => Object.is(value, first.value)) ? scalarExpr(first.type, first.value) : seen.get(key);
    if (same !== undefined) agreed.set(param.name, same);
    else seen.set(key, new Expr(first.type, { kind: "param", name: param.name }));
  });
  return agreed;
}

function specialiseGroup(group: readonly RawStep[]): RawStep[] {
  const values = agreedValues(group);
  const func = specialise(group[0]!.func, values);
  const kept = group[0]!.func.params.map((param) => !values.has(param.name));
  return group.map((step) => ({ ...step, func, args: step.args.filter((_, i) => kept[i]) }));
}

function eachExpr(body: readonly Stmt[], visit: (e: Expr) => void): void {
  JSON.stringify(body, (_key, value: unknown) => {
    if (value instanceof Expr) visit(value);
    return typeof value === "bigint" ? null : value;
  });
}

/** The helpers a function really calls, callees first. */
function collectHelpers(func: Func, known: Map<string, Func>): void {
  const called = new Set<string>();
  eachExpr(func.body, (e) => {
    if (e.node.kind === "call") called.add(e.node.func);
  });
  for (const helper of func.uses) {
    if (!called.has(helper.name) || known.has(helper.name)) continue;
    collectHelpers(helper, known);
    known.set(helper.name, helper);
  }
}

function uniqueName(name: string, taken: Set<string>): string {
  let unique = name;
  for (let i = 2; taken.has(unique); i++) unique = `${name}_${i}`;
  taken.add(unique);
  return unique;
}

/** Steps of less than this share of the network's work are not worth a function of their own. */
const LITTLE_WORK = 0.001;

/** The sizes that matter to a step's speed. */
function tightSizes({ func, args }: RawStep): string {
  const { looseSizes = [] } = func;
  if (looseSizes === "all") return "";
  return args.map((arg, i) => (arg.kind === "scalar" && !looseSizes.includes(func.params[i]!.name) ? String(arg.value) : "")).join(" ");
}

/** For speed layers have their own functions, but where that gains next to nothing. */
function groupsForSpeed(raw: readonly RawStep[]): RawStep[][] {
  const little = LITTLE_WORK * raw.reduce((sum, { work = 0 }) => sum + work, 0);
  return groupBy(raw, (step) => `${structureKey(step.func)} ${(step.work ?? little) < little ? "little" : tightSizes(step)}`);
}

/** Decides which steps share a function and puts known sizes into the functions. */
export function shareFunctions(raw: readonly RawStep[], optimize: Optimize): { functions: Func[]; steps: Step[] } {
  const groups = optimize === "speed" ? groupsForSpeed(raw) : groupBy(raw, (step) => structureKey(step.func));
  const specialised = new Map<RawStep, RawStep>();
  for (const group of groups) {
    specialiseGroup(group).forEach((step, i) => specialised.set(group[i]!, step));
  }
  const helpers = new Map<string, Func>();
  const kernels = new Map<string, Func>();
  for (const step of specialised.values()) collectHelpers(step.func, helpers);
  const taken = new Set(helpers.keys());
  const steps = raw.map((step): Step => {
    const { func, args } = specialised.get(step)!;
    const key = structureKey(func);
    const known = kernels.get(key) ?? { ...func, name: uniqueName(func.name, taken) };
    kernels.set(key, known);
    return { name: step.name, op: step.op, func: known.name, args, ...(step.notes === undefined ? {} : { notes: step.notes }) };
  });
  return { functions: [...helpers.values(), ...kernels.values()], steps };
}
