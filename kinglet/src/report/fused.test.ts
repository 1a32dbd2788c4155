import { expect, test } from "vitest";
import { Xorshift32 } from "../base/index.ts";
import { compileGraph } from "../driver/index.ts";
import { mobilenetV2 } from "../zoo/index.ts";
import { reportData } from "./data.ts";
import { renderReport } from "./html.ts";
import { reportText } from "./terminal.ts";

const graph = mobilenetV2({ width: 0.35, resolution: 48, precision: "int8", classes: 4 });
const compiled = compileGraph(graph, { target: "c-dsp", fuse: true });
const data = reportData(compiled, { version: "1.0.0" });
const { stages } = data.timeline;

test("fused stages are drawn as bands over their steps, with line buffers for as long as they last", () => {
  expect(stages.length).toBeGreaterThan(0);
  const lines = data.timeline.blocks.filter(({ kind }) => kind === "line");
  expect(lines.length).toBeGreaterThan(0);
  const spans = stages.map(({ first, count }) => [first, first + count - 1]);
  for (const { first, last } of lines) expect(spans).toContainEqual([first, last]);
  const page = renderReport(data);
  for (const { first, count } of stages) expect(page).toContain(`class="stage" x="${first}" y="0" width="${count}"`);
  expect(page.match(/class="block k-line/g)).toHaveLength(lines.length);
  expect(page).toContain("line buffer: some rows of a value");
  expect(reportText(data)).toContain("stage 1");
});

test("the bytes in use stay within the arena and come near it", () => {
  const most = Math.max(...data.timeline.steps.map(({ liveBytes }) => liveBytes));
  expect(most).toBeLessThanOrEqual(data.arenaBytes);
  expect(most).toBeGreaterThan(0.8 * data.arenaBytes);
});

test("a node that takes several steps is one layer with all of their instructions", () => {
  const { program } = compiled;
  const random = new Xorshift32(3);
  const stepInstructions = program.steps.map(() => random.int(1, 1000));
  const core = { instructions: 1, stepInstructions, stackBytes: 0, codeBytes: 0, weightBytes: 0, flashBytes: 0, ramBytes: 0 };
  const execution = { via: "cortex-m4", compiled, outputs: [], warnings: "", core } as const;
  const { layers } = reportData(compiled, { version: "1.0.0", runs: [{ via: "cortex-m4", execution }] });
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, x) => total + x, 0);
  expect(sum(layers.map(({ instructions }) => instructions ?? 0))).toBe(sum(stepInstructions));
  expect(sum(layers.map(({ macs }) => macs))).toBe(compiled.macs);
  const read = new Set(program.steps.flatMap(({ args }) => args.flatMap((arg) => (arg.kind === "constant" ? [arg.index] : []))));
  expect(sum(layers.map(({ weightBytes }) => weightBytes))).toBe(sum([...read].map((index) => program.constants[index]!.data.byteLength)));
  const names = layers.filter(({ op }) => op === "conv2d" || op === "depthwiseConv2d").map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

test("without stages there is no band and no column for them", () => {
  const plain = reportData(compileGraph(graph, { target: "c-dsp" }), { version: "1.0.0" });
  expect(plain.timeline.stages).toEqual([]);
  expect(renderReport(plain)).not.toContain('class="stage"');
  expect(reportText(plain)).not.toContain("Fused");
});
