import { plain } from "./format.ts";

/** Where a project keeps its data set. */
export const DATA_FOLDER = ".kinglet/data";

const BAR = 24;

/** "[16000,1] int16 at 16,000 Hz". */
export function shapeText(info: { readonly shape: readonly number[]; readonly dtype: string; readonly rateHz: number | null }): string {
  const rate = info.rateHz === null ? "" : ` at ${info.rateHz.toLocaleString("en-US")} Hz`;
  return `[${info.shape.join(",")}] ${info.dtype}${rate}`;
}

/** One class with its count and a bar of its share. */
export function classLine(
  { name, samples, test }: { readonly name: string; readonly samples: number; readonly test: number },
  all: number,
  most = all,
): string {
  const bar = "█".repeat(Math.round((BAR * samples) / Math.max(1, most)));
  const held = test > 0 ? `, ${test.toLocaleString("en-US")} of them test` : "";
  return `  ${plain(name, 24).padEnd(24)} ${samples.toLocaleString("en-US").padStart(9)}  ${bar}${bar === "" ? "" : " "}${((100 * samples) / Math.max(1, all)).toFixed(1)} %${held}`;
}
