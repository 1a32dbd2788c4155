// `npm run bench:docs`: docs/benchmarks.md from the saved results and the text of bench/benchmarks.template.md.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { browserRemarks, browserTable, remarks, startTable, threadTable, timeTable } from "./js-tables.ts";
import { arenaTable, compileTable, coreTable, coreTargetTable, floatTable, goalTable, planTable, speedTable, treeTable } from "./mcu-tables.ts";
import { type JsResults, loadJs, loadMcu, type McuResults } from "./results.ts";
import { markdown } from "./table.ts";
import { filled } from "./template.ts";

const TEMPLATE = fileURLToPath(new URL("./benchmarks.template.md", import.meta.url));
export const DOCS = fileURLToPath(new URL("../docs/benchmarks.md", import.meta.url));

/** What every placeholder `{{name}}` of the template stands for. */
function parts(mcu: McuResults, js: JsResults): Readonly<Record<string, string>> {
  return {
    speed: markdown(speedTable(mcu)),
    arena: markdown(arenaTable(mcu)),
    plans: markdown(planTable(mcu)),
    goals: markdown(goalTable(mcu)),
    cores: markdown(coreTable(mcu)),
    coreTargets: markdown(coreTargetTable(mcu)),
    float: markdown(floatTable(mcu)),
    trees: markdown(treeTable(mcu)),
    compile: markdown(compileTable(mcu)),
    tools: Object.entries(mcu.tools)
      .map(([id, version]) => (version.includes(id) ? version : `${id}: ${version}`))
      .join("; "),
    jsMachine: `${js.processor}, Node ${js.node}, ${js.chromium}`,
    jsTimes: markdown(timeTable(js.models)),
    jsStarts: markdown(startTable(js.models)),
    jsBrowser: markdown(browserTable(js.browser)),
    jsThreads: markdown(threadTable(js.threads)),
    jsRemarks: [...remarks(js.models), ...browserRemarks(js.browser)].map((remark) => `- ${remark}`).join("\n"),
  };
}

/** The whole page. @throws Error for a placeholder that stands for nothing. */
export function docsText(template: string, mcu: McuResults, js: JsResults): string {
  return filled(template, parts(mcu, js), "bench/benchmarks.template.md");
}

export function currentDocs(): string {
  return docsText(readFileSync(TEMPLATE, "utf8"), loadMcu(), loadJs());
}

export function writeDocs(): void {
  writeFileSync(DOCS, currentDocs());
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) writeDocs();
