import { describe, expect, test } from "vitest";
import { bytesOf, fromBytes, Xorshift32 } from "../base/index.ts";
import { caseGraph, OPS } from "../ops/index.ts";
import { coreById, isCoreId } from "../boards/index.ts";
import { coreTools, needTools } from "../boards/tool-gate.ts";
import { type Execution, execute, type Via } from "./execute.ts";

/** Operators with such schedules. */
const FUSED_OPS = ["conv2d", "fullyConnected"];

/** Operators with kernels of Helium vectors. */
const VECTOR_OPS = ["add", "conv2d", "depthwiseConv2d", "fullyConnected"];

const HERE: readonly Via[] = ["js", "wasm", "wasm-dots", "wasm-scalar"];

/** Cores with a fused multiply-add may round a product and its sum once. */
const FUSED_TOLERANCE = 1e-5;

function expectCloseFloats(got: Uint8Array, plain: Uint8Array, name: string): void {
  const [a, b] = [fromBytes("float32", got) as Float32Array, fromBytes("float32", plain) as Float32Array];
  const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  a.forEach((value, i) => {
    expect(Math.abs(value - b[i]!) / largest, `${name}[${i}]`).toBeLessThanOrEqual(FUSED_TOLERANCE);
  });
}

/** The plain loops say what is right; every back end must give the same bytes, floats included but for the above. */
function expectSame(got: Execution, plain: Execution): void {
  plain.outputs[0]!.forEach((bytes, i) => {
    const port = got.compiled.program.outputs[i]!;
    const name = `${got.via}: ${port.name}`;
    const fused = isCoreId(got.via) && port.dtype === "float32" && FUSED_OPS.includes(got.compiled.graph.nodes[0]!.op);
    if (fused) return expectCloseFloats(got.outputs[0]![i]!, bytes, name);
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

  if (VECTOR_OPS.includes(op.name)) {
    test("firmware on the emulated Cortex-M55 equals the plain loops", async (context) => {
      needTools(context, ...coreTools(coreById("cortex-m55")));
      expectSame(await execute(graph, "cortex-m55", [sample]), await execute(graph, "plain", [sample]));
    });
  }

  test("firmware on the emulated Cortex-M4 equals the plain loops", async (context) => {
    needTools(context, ...coreTools(coreById("cortex-m4")));
    expectSame(await execute(graph, "cortex-m4", [sample]), await execute(graph, "plain", [sample]));
  });
});
