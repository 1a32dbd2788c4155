import { describe, expect, test } from "vitest";
import { bytesOf, Xorshift32 } from "../base/index.ts";
import { caseGraph, OPS } from "../ops/index.ts";
import { coreById } from "../boards/index.ts";
import { coreTools, needTools } from "../boards/tool-gate.ts";
import { type Execution, execute, type Via } from "./execute.ts";

const HERE: readonly Via[] = ["js", "wasm", "wasm-scalar"];

/** The plain loops say what is right; every back end must give the same bytes, floats included. */
function expectSame(got: Execution, plain: Execution): void {
  plain.outputs[0]!.forEach((bytes, i) => {
    const name = `${got.via}: ${got.compiled.program.outputs[i]!.name}`;
    expect(Buffer.from(got.outputs[0]![i]!).toString("hex"), name).toBe(Buffer.from(bytes).toString("hex"));
  });
}

describe.each(Object.values(OPS))("$name", (op) => {
  const { graph, inputs } = caseGraph(op, new Xorshift32(1));
  const sample = inputs.map(bytesOf);

  test("has at least one case", () => {
    expect(op.cases.length).toBeGreaterThan(0);
  });

  test.each(HERE)("%s equals the plain loops", async (via) => {
    expectSame(await execute(graph, via, [sample]), await execute(graph, "plain", [sample]));
  });

  test("host C equals the plain loops, without a warning", async (context) => {
    needTools(context, "cc");
    const got = await execute(graph, "c", [sample], {
      flags: ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    });
    expectSame(got, await execute(graph, "plain", [sample]));
    expect(got.warnings).toBe("");
  });

  test("firmware on the emulated Cortex-M4 equals the plain loops", async (context) => {
    needTools(context, ...coreTools(coreById("cortex-m4")));
    expectSame(await execute(graph, "cortex-m4", [sample]), await execute(graph, "plain", [sample]));
  });
});
