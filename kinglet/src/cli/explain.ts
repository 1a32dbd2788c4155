import type { Program } from "../loops/index.ts";
import { formatTable } from "../report/index.ts";

const COLUMNS = [
  { title: "layer", most: 32 },
  { title: "kernel" },
  { title: "weights" },
  { title: "channels by requantization" },
  { title: "why no faster one" },
];

/** What is known of each layer's kernel, as a table; layers whose kernels say nothing show their function only. */
export function explainText(program: Program): string {
  const rows = program.steps.map(({ name, func, notes }) => {
    const channels = Object.entries(notes?.channels ?? {}).map(([form, count]) => `${count} ${form}`);
    return [name, func, notes?.weights ?? "", channels.join(", "), notes?.why ?? ""];
  });
  return formatTable(COLUMNS, rows);
}
