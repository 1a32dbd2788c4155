import type { Command } from "commander";
import { type ToolStatus, toolReport } from "../boards/index.ts";
import { answer, type CommonOptions, type Io } from "./io.ts";

const SYSTEMS: readonly [string, keyof ToolStatus["install"]][] = [
  ["Debian", "debian"],
  ["macOS", "macos"],
  ["Windows", "windows"],
];

function toolText(tool: ToolStatus): string {
  const head = `${tool.found ? "  ok     " : "  missing"}  ${tool.id}`;
  if (tool.found) return `${head}\n             ${(tool.version ?? tool.path ?? "").slice(0, 66)}\n             ${tool.adds}`;
  const install = SYSTEMS.map(([title, key]) => `             ${title.padEnd(8)} ${tool.install[key]}`);
  return [head, `             ${tool.adds}`, ...install].join("\n");
}

function doctorText(tools: readonly ToolStatus[]): string {
  const missing = tools.filter((tool) => !tool.found).length;
  const end =
    missing === 0 ? "Everything is here." : `${missing} of ${tools.length} tools are missing. JavaScript and WebAssembly work without any of them.`;
  return [`Node.js ${process.version} on ${process.platform} ${process.arch}`, "", ...tools.map(toolText), "", end].join("\n");
}

export function addDoctor(program: Command, io: Io): void {
  program
    .command("doctor")
    .description("Which tools are here, what a missing one would add, and how to install it.")
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", "\nExample:\n  kinglet doctor")
    .action((options: CommonOptions) => {
      const tools = toolReport();
      answer(io, options, { node: process.version, platform: process.platform, arch: process.arch, tools }, () => doctorText(tools));
    });
}
