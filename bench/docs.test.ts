import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { currentDocs, DOCS, docsText } from "./docs.ts";
import { peer } from "./peers.ts";
import { loadJs, loadMcu } from "./results.ts";
import { atMost, markdown, shareAtMost } from "./table.ts";

test("docs/benchmarks.md is what the stored results make: npm run bench:docs", () => {
  expect(readFileSync(DOCS, "utf8")).toBe(currentDocs());
});

test("a placeholder that stands for nothing is an error", () => {
  expect(() => docsText("# {{speed}} {{nothing}}", loadMcu(), loadJs())).toThrow("{{nothing}}");
});

test("hits and misses", () => {
  expect(atMost(10, 10)).toBe("≤ 10 hit");
  expect(atMost(11, 10)).toBe("≤ 10 MISS");
  expect(atMost(undefined, 10)).toBe("≤ 10 –");
  expect(shareAtMost(1, 4, 0.25)).toBe("0.250 ≤ 0.25 hit");
  expect(shareAtMost(26, 100, 0.25)).toBe("0.260 ≤ 0.25 MISS");
});

test("tables as text for the page", () => {
  expect(markdown({ titles: ["a", "b"], rows: [["x", "1"]] })).toBe("| a | b |\n|---|---:|\n| x | 1 |");
});

test("peers by model, engine and core", () => {
  expect(peer("kws", "cmsis-nn")?.instructions).toBe(7_696_960);
  expect(peer("vww96", "tinyengine", "cortex-m7")?.arenaBytes).toBe(60_736);
  expect(peer("kws", "tinyengine")).toBeUndefined();
});
