import { writeFileSync } from "node:fs";

/** Adds what a test showed to the tally: by suite, way, operator and label. */
function add(tally, { suite, way, rows }) {
  const operators = ((tally[suite] ??= {})[way] ??= {});
  for (const [operator, counts] of Object.entries(rows)) {
    const own = (operators[operator] ??= {});
    for (const [label, count] of Object.entries(counts)) own[label] = (own[label] ?? 0) + count;
  }
}

/**
 * Where KINGLET_SUPPORT names a file, writes there what the tests showed about operators (kinglet/src/driver/support-testing.ts), for
 * bench/support.ts. `missing` are the suites and ways of which a test was skipped or failed.
 */
export default class SupportReporter {
  onTestRunEnd(modules) {
    const file = process.env.KINGLET_SUPPORT;
    if (!file) return;
    const tally = {};
    const missing = new Set();
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        for (const support of test.meta().support ?? []) {
          if (test.result().state === "passed") add(tally, support);
          else missing.add(`${support.suite}/${support.way}`);
        }
      }
    }
    writeFileSync(file, JSON.stringify({ tally, missing: [...missing] }));
  }
}
