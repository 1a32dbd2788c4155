import type { TestContext } from "vitest";

/** How many cases of each label (an element type, or a reason) an operator has. */
export type Counts = Readonly<Record<string, number>>;

/** What a test shows about operators if it passes: a line of the table in docs/support.md, see bench/support.ts. */
export interface Support {
  readonly suite: "cases" | "tflite" | "kinglet" | "tflm" | "onnx" | "onnx-refused";
  /** The back end, or what else is done with the cases. */
  readonly way: string;
  readonly rows: Readonly<Record<string, Counts>>;
}

declare module "vitest" {
  interface TaskMeta {
    /** Several, where one test does several things. */
    support?: readonly Support[];
  }
}

/**
 * Says what a test shows, for the reporter to collect where the test passes. Call it before anything that may skip the test: what
 * was skipped is then known to be missing.
 */
export function shows({ task }: TestContext, ...support: readonly Support[]): void {
  task.meta.support = support;
}

interface Typed {
  readonly dtype: string;
  readonly constant?: boolean;
}

/** The element type of a case, as a person would ask for it: what the operator is given, with the type of weights of another one. */
export function caseType({ inputs, outputs }: { readonly inputs: readonly (Typed | null)[]; readonly outputs: readonly Typed[] }): string {
  const given = inputs.filter((input) => input !== null);
  const { dtype } = given.find(({ constant }) => constant !== true) ?? given[0] ?? outputs[0]!;
  const hasBytes = dtype !== "int8" && given.some((input) => input.constant === true && input.dtype === "int8");
  return hasBytes ? `${dtype} × int8` : dtype;
}

export function countsOf(labels: readonly string[]): Counts {
  const counts: Record<string, number> = {};
  for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
  return counts;
}
