import { writeFileSync } from "node:fs";

/** A suite that could not even be loaded, or an error outside of any test, counts as one failure. */
function countErrors(modules, unhandled) {
  const broken = modules.filter((module) => module.errors().length > 0).length;
  return broken + unhandled.length;
}

function tally(modules) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const reasons = new Map();
  for (const module of modules) {
    for (const test of module.children.allTests()) {
      const result = test.result();
      const state = result.state === "passed" || result.state === "failed" ? result.state : "skipped";
      counts[state]++;
      if (state !== "skipped") continue;
      const reason = result.note ?? "no reason given";
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
  }
  return { counts, reasons };
}

/**
 * Names at the end what was skipped and why, since a skipped test proves nothing. Where KINGLET_TEST_COUNTS names
 * a file, the counts go there too, for scripts/check.mjs.
 */
export default class SkipReporter {
  onTestRunEnd(modules, unhandled) {
    const { counts, reasons } = tally(modules);
    if (counts.skipped > 0) {
      console.log(`\n ${counts.skipped} test${counts.skipped === 1 ? " was" : "s were"} skipped:`);
      for (const [reason, count] of [...reasons].sort((a, b) => b[1] - a[1])) console.log(`   ${String(count).padStart(4)} × ${reason}`);
      console.log(" `npx kinglet doctor` says how to install what is missing.\n");
    }
    const file = process.env.KINGLET_TEST_COUNTS;
    if (file) writeFileSync(file, JSON.stringify({ ...counts, failed: counts.failed + countErrors(modules, unhandled) }));
  }
}
