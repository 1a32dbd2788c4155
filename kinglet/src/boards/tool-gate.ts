import type { TestContext } from "vitest";
import { findProgram, findTool, type ToolId } from "./tools.ts";

export { coreTools } from "./cores.ts";

/** Skips a test, with its reason, when a tool is not on this machine; in CI (`CI` is set) that is a failure. */
export function needTools(context: TestContext, ...ids: readonly ToolId[]): void {
  const missing = ids.filter((id) => findTool(id) === null);
  if (missing.length > 0) lack(context, missing);
}

/** The same for a program that Kinglet itself makes no use of; gives its path. */
export function needProgram(context: TestContext, name: string): string {
  return findProgram(name) ?? lack(context, [name]);
}

function lack(context: TestContext, missing: readonly string[]): never {
  const reason = `needs ${missing.join(" and ")}, which this machine does not have`;
  if (process.env["CI"]) throw new Error(`${reason}; in CI nothing may be missing`);
  return context.skip(reason);
}

/** The browser's path; CHROMIUM may name it. */
export function needBrowser(context: TestContext): string {
  const named = process.env["CHROMIUM"];
  if (named) return named;
  needTools(context, "chromium");
  return findTool("chromium")!;
}
