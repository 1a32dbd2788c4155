import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { unzipSync } from "fflate";
import { describe, expect, test, type TestContext } from "vitest";
import { needShared } from "../formats/test-files.ts";
import type { Via } from "./execute.ts";
import { type Conformance, type OnnxCase, runOnnxCases } from "./onnx-cases.ts";
import { type Counts, countsOf, shows } from "./support-testing.ts";

interface Suite {
  /** How many of its cases pass at least; all others are refused by name. */
  readonly least: number;
  readonly ways: readonly Via[];
}

const BOTH: readonly Via[] = ["js", "wasm"];

/** Suites of the ONNX project. Those of "light" are whole networks of up to 4,000 million multiply-accumulates. */
const SUITES: Readonly<Record<string, Suite>> = {
  node: { least: 1083, ways: BOTH },
  simple: { least: 5, ways: BOTH },
  "pytorch-converted": { least: 57, ways: BOTH },
  "pytorch-operator": { least: 25, ways: BOTH },
  light: { least: 6, ways: ["wasm"] },
};

async function runSuite(context: TestContext, suite: string, ways: readonly Via[]): Promise<Conformance> {
  const archive = readFileSync(needShared(context, join("data", "onnx-backend", `${suite}.zip`)));
  const folder = mkdtempSync(join(tmpdir(), "kinglet-onnx-"));
  try {
    for (const [name, bytes] of Object.entries(unzipSync(archive))) {
      if (name.endsWith("/")) continue;
      mkdirSync(join(folder, dirname(name)), { recursive: true });
      writeFileSync(join(folder, name), bytes);
    }
    return await runOnnxCases(folder, ways);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What cases have in common, by their operator; those of several are one row. */
function byOperator(cases: readonly OnnxCase[], labelOf: (one: OnnxCase) => string): Record<string, Counts> {
  const rows = new Map<string, string[]>();
  for (const one of cases) {
    const operator = one.operators.length === 1 ? one.operators[0]! : "several operators";
    rows.set(operator, [...(rows.get(operator) ?? []), labelOf(one)]);
  }
  return Object.fromEntries([...rows].map(([operator, labels]) => [operator, countsOf(labels)]));
}

describe("ONNX backend cases as JavaScript and WebAssembly, the largest as WebAssembly", () => {
  for (const [suite, { least, ways }] of Object.entries(SUITES)) {
    test(`${suite}: at least ${least} pass, none is wrong`, { timeout: 900_000 }, async (context) => {
      shows(context, { suite: "onnx", way: suite, rows: {} }, { suite: "onnx-refused", way: suite, rows: {} });
      const found = await runSuite(context, suite, ways);
      expect(found.cases.filter((one) => one.outcome === "wrong")).toEqual([]);
      expect(found.passed).toBeGreaterThanOrEqual(least);
      for (const one of found.cases) if (one.outcome === "refused") expect(one.reason, one.name).not.toBe("");
      const [passed, refused] = ["passed", "refused"].map((outcome) => found.cases.filter((one) => one.outcome === outcome));
      shows(
        context,
        { suite: "onnx", way: suite, rows: byOperator(passed!, ({ type }) => type ?? "no tensor") },
        { suite: "onnx-refused", way: suite, rows: byOperator(refused!, ({ reason }) => reason!) },
      );
    });
  }
});
