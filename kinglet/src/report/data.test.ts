import { describe, expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { boardById } from "../boards/index.ts";
import { compileGraph } from "../driver/index.ts";
import type { Execution } from "../driver/index.ts";
import { caseGraph, OPS } from "../ops/index.ts";
import { reportData } from "./data.ts";
import { renderReport } from "./html.ts";

const { graph } = caseGraph(OPS.conv2d, new Xorshift32(1));
const compiled = compileGraph(graph, { target: "c" });

/** A run on a core as the driver reports it, with its steps in another order than the report's. */
function invented(): Execution {
  const program = { ...compiled.program, steps: [...compiled.program.steps].reverse() };
  const stepInstructions = program.steps.map((_, i) => 100 + i);
  return {
    via: "cortex-m4",
    compiled: { ...compiled, program },
    outputs: [],
    warnings: "",
    core: { instructions: 5000, stepInstructions, stackBytes: 128, codeBytes: 700, weightBytes: 10, flashBytes: 710, ramBytes: 1 },
  };
}

describe("reportData", () => {
  test("agrees with the compiled network", () => {
    const data = reportData(compiled, { version: "1.0.0" });
    const sum = (of: (layer: (typeof data.layers)[number]) => number): number => data.layers.reduce((total, layer) => total + of(layer), 0);
    expect(sum((layer) => layer.macs)).toBe(compiled.macs);
    expect(sum((layer) => layer.weightBytes)).toBe(compiled.weightBytes);
    expect(data.layers.flatMap((layer) => layer.step ?? [])).toEqual(compiled.program.steps.map((_, i) => i));
    expect(data.timeline.blocks).toHaveLength(compiled.plan.lifetimes.length);
    expect(data.codeBytes).toBeUndefined();
    expect(data.boards.length).toBeGreaterThan(15);
  });

  test("is plain: it survives JSON", () => {
    const data = reportData(compiled, { version: "1.0.0", runs: [{ via: "cortex-m4", equal: true, execution: invented() }] });
    expect(JSON.parse(JSON.stringify(data))).toEqual(data);
    expect(renderReport(data)).toContain("cortex-m4");
  });

  test("finds each layer's instructions by its name, not its place", () => {
    const data = reportData(compiled, { version: "1.0.0", runs: [{ via: "cortex-m4", equal: true, execution: invented() }] });
    const last = compiled.program.steps.length - 1;
    const names = compiled.program.steps.map((step) => step.op + step.name);
    if (new Set(names).size === names.length) expect(data.layers.find((layer) => layer.step === 0)!.instructions).toBe(100 + last);
    expect([data.codeBytes, data.stackBytes, data.profiledOn]).toEqual([700, 128, "cortex-m4"]);
  });

  test("holds boards against arena, stack, weights and code", () => {
    const small = { ...boardById("nucleo-l4r5zi"), sramBytes: compiled.plan.arenaBytes + 127, flashBytes: compiled.weightBytes + 700 };
    const data = reportData(compiled, {
      version: "1.0.0",
      boards: [small, { ...small, sramBytes: small.sramBytes + 1 }, { ...small, sramBytes: small.sramBytes + 1, tablesInRam: true }],
      runs: [{ via: "cortex-m4", equal: true, execution: invented() }],
    });
    expect(data.boards.map((board) => [board.fits, board.reason])).toEqual([
      [false, "1 byte of RAM too few"],
      [true, undefined],
      [false, `${compiled.weightBytes.toLocaleString("en-US")} bytes of RAM too few`],
    ]);
  });
});
