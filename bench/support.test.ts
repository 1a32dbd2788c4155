import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { compareSupport, loadSupport, SUPPORT_PAGE, type Tally } from "./support.ts";
import { supportText } from "./support-page.ts";

test("docs/support.md is what the stored results make: npm run support", () => {
  expect(readFileSync(SUPPORT_PAGE, "utf8")).toBe(supportText(loadSupport()));
});

const STORED: Tally = { cases: { js: { add: { int8: 2 } }, c: { add: { int8: 2 } } }, onnx: { node: { Add: { float: 1 } } } };

test("a run that shows something else is told by suite and way", () => {
  const tally: Tally = { ...STORED, cases: { js: { add: { int8: 2 } }, c: { add: { int8: 3 } } } };
  expect(compareSupport(STORED, { tally, missing: [] })).toEqual({ different: ["cases/c"], unknown: [] });
  expect(compareSupport(STORED, { tally: STORED, missing: [] })).toEqual({ different: [], unknown: [] });
});

test("an operator that came or went is a difference", () => {
  const tally: Tally = { ...STORED, cases: { js: {}, c: { add: { int8: 2 }, sub: { int8: 1 } } } };
  expect(compareSupport(STORED, { tally, missing: [] }).different).toEqual(["cases/c", "cases/js"]);
});

test("what a machine did not run, or only in part, is not compared but named", () => {
  const tally: Tally = { cases: { js: { add: { int8: 2 } }, c: {} } };
  expect(compareSupport(STORED, { tally, missing: ["cases/c"] })).toEqual({ different: [], unknown: ["cases/c", "onnx/node"] });
});
