import { elementCount, type TypedArray } from "../../base/index.ts";
import type { Model, StoredOperator, Subgraph } from "./model.ts";
import { CALL_ONCE, type OptionTable, readOptions, VAR_HANDLE } from "./options.ts";
import { operatorCode } from "./schema.ts";
import type { Tensor } from "./tensor.ts";

const HANDLE = operatorCode("VAR_HANDLE");
const READ = operatorCode("READ_VARIABLE");
const ASSIGN = operatorCode("ASSIGN_VARIABLE");
const CALL = operatorCode("CALL_ONCE");

/** VAR_HANDLE only names a variable and CALL_ONCE only sets first contents: neither becomes a node. */
export function isBookkeeping(code: number): boolean {
  return code === HANDLE || code === CALL;
}

/** A variable of the model: the tensor that tells its type, and what it holds before the first inference. */
export interface Variable {
  readonly name: string;
  readonly type: Tensor;
  readonly initial: TypedArray | undefined;
}

function optionsOf<O>(model: Model, table: OptionTable<O>, operator: StoredOperator): O {
  return readOptions(table, operator.options, {
    fail: (message) => model.file.fail(operator.where, message),
    unsupported: (message, hint) => model.file.unsupported(operator.where, message, hint),
  });
}

/** Variable keys by the number of the resource tensor that stands for each. */
function handlesOf(model: Model, subgraph: Subgraph): Map<number, string> {
  const keys = new Map<number, string>();
  for (const operator of subgraph.operators) {
    if (operator.kind.code !== HANDLE) continue;
    const output = operator.outputs[0];
    if (output === undefined || subgraph.tensors[output]?.stored !== "resource")
      model.file.fail(operator.where, "a variable handle does not produce a resource");
    const { container, sharedName } = optionsOf(model, VAR_HANDLE, operator);
    keys.set(output!, JSON.stringify([container, sharedName]));
  }
  return keys;
}

/** The tensor whose type a READ or ASSIGN operator shares with its variable. */
function typedTensor(subgraph: Subgraph, operator: StoredOperator): Tensor | undefined {
  const index = operator.kind.code === READ ? operator.outputs[0] : operator.inputs[1];
  return subgraph.tensors[index ?? -1];
}

function checkSameType(model: Model, operator: StoredOperator, a: Tensor, b: Tensor): void {
  if (a.stored !== b.stored || elementCount(a.shape) !== elementCount(b.shape))
    model.file.fail(operator.where, `a variable of ${a.stored}[${a.shape.join(",")}] is used as ${b.stored}[${b.shape.join(",")}]`);
}

/** Numbers of the subgraphs that only set first contents. */
export function initializersOf(model: Model, subgraph: Subgraph): Set<number> {
  const calls = subgraph.operators.filter(({ kind }) => kind.code === CALL);
  return new Set(calls.map((call) => optionsOf(model, CALL_ONCE, call).subgraph));
}

/** First contents that the CALL_ONCE subgraphs assign, by variable key. */
function initialContents(model: Model, subgraph: Subgraph): Map<string, { tensor: Tensor; data: TypedArray }> {
  const found = new Map<string, { tensor: Tensor; data: TypedArray }>();
  const seen = new Set<number>();
  for (const call of subgraph.operators) {
    if (call.kind.code !== CALL) continue;
    const index = optionsOf(model, CALL_ONCE, call).subgraph;
    if (index === 0) model.file.fail(call.where, "the model calls itself to set up its variables");
    if (seen.has(index)) continue;
    seen.add(index);
    readInitializer(model, model.subgraph(index), call, found);
  }
  return found;
}

function readInitializer(model: Model, init: Subgraph, call: StoredOperator, found: Map<string, { tensor: Tensor; data: TypedArray }>): void {
  const keys = handlesOf(model, init);
  for (const operator of init.operators) {
    if (operator.kind.code === HANDLE) continue;
    const tensor = init.tensors[operator.inputs[1] ?? -1];
    const key = keys.get(operator.inputs[0] ?? -1);
    const data = tensor === undefined ? null : model.constant(tensor);
    if (operator.kind.code !== ASSIGN || tensor === undefined || key === undefined || data === null) {
      model.file.unsupported(
        call.where,
        `the variables are set up by ${operator.kind.name}; only constants are supported`,
        "Export the model with constant initial states.",
      );
    }
    found.set(key, { tensor, data });
  }
}

/** What a variable starts with that nobody has set up: real zeros. */
function atRest(data: TypedArray | undefined, { quantization }: Tensor): boolean {
  const zero = quantization?.zeroPoints[0] ?? 0;
  return data?.every((element: number | bigint) => Number(element) === zero) ?? true;
}

/** Every variable that the subgraph reads or assigns, by the number of each resource tensor. */
export function readVariables(model: Model, subgraph: Subgraph): ReadonlyMap<number, Variable> {
  const keys = handlesOf(model, subgraph);
  const initial = initialContents(model, subgraph);
  const byKey = new Map<string, Variable>();
  for (const operator of subgraph.operators) {
    if (operator.kind.code !== READ && operator.kind.code !== ASSIGN) continue;
    const key = keys.get(operator.inputs[0] ?? -1);
    const type = typedTensor(subgraph, operator);
    if (key === undefined || type === undefined) model.file.fail(operator.where, "the operator does not name a variable of the model");
    const known = byKey.get(key);
    const start = initial.get(key);
    if (known !== undefined) checkSameType(model, operator, known.type, type);
    if (start !== undefined) checkSameType(model, operator, start.tensor, type);
    if (known === undefined) byKey.set(key, { name: variableName(key), type, initial: atRest(start?.data, type) ? undefined : start?.data });
  }
  const variables = new Map<number, Variable>();
  for (const [tensor, key] of keys) {
    const variable = byKey.get(key);
    if (variable !== undefined) variables.set(tensor, variable);
  }
  return variables;
}

function variableName(key: string): string {
  const parts = (JSON.parse(key) as string[]).filter((part) => part !== "");
  return parts.length === 0 ? "variable" : parts.join("/");
}
