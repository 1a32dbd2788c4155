import { expect, test } from "vitest";
import { bytesOf, fromBytes, type TypedArray, Xorshift32 } from "../../base/index.ts";
import { caseGraph, OPS } from "../../ops/index.ts";
import { lower } from "../lower.ts";
import { createJsRunner, packageJs, separatePlacement } from "./index.ts";

interface Model {
  inputs: { name: string; data: TypedArray }[];
  run(...arrays: TypedArray[]): TypedArray[];
  reset(): void;
}

async function loadModule(text: string): Promise<Model> {
  const { load } = (await import(/* @vite-ignore */ `data:text/javascript;base64,${Buffer.from(text).toString("base64")}`)) as {
    load(): Promise<Model>;
  };
  return await load();
}

test.each([OPS.conv2d, OPS.softmax])("the module of $name computes what the runner does", async (op) => {
  const { graph, inputs } = caseGraph(op, new Xorshift32(3));
  const program = lower(graph);
  const placement = separatePlacement(program);
  const runner = createJsRunner(program, placement);
  inputs.forEach((input, i) => runner.setInput(i, bytesOf(input)));
  runner.run();
  const model = await loadModule(packageJs(program, placement, "cases").get("cases.js")!);
  const given = inputs.map((input, i) => fromBytes(program.inputs[i]!.dtype, bytesOf(input)));
  const outputs = model.run(...given);
  outputs.forEach((output, i) => expect(Buffer.from(bytesOf(output)).equals(runner.output(i))).toBe(true));
  expect(() => model.run()).not.toThrow();
  expect(() => model.run(...given.slice(1))).toThrow(TypeError);
});

test("a name that is no file name is misuse", () => {
  const program = lower(caseGraph(OPS.softmax!, new Xorshift32(1)).graph);
  expect(() => packageJs(program, separatePlacement(program), "../x")).toThrow(/cannot be a package/);
});
