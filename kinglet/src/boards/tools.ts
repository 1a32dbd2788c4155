import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { KingletError } from "../base/index.ts";

/** The programs outside npm that Kinglet can make use of. */
export type ToolId =
  | "cc"
  | "clang"
  | "arm-none-eabi-gcc"
  | "riscv64-unknown-elf-gcc"
  | "qemu-system-arm"
  | "qemu-system-riscv32"
  | "chromium"
  | "postgres"
  | "redis-server";

/** How to install a tool on the three families of systems. */
export interface ToolInstall {
  readonly debian: string;
  readonly macos: string;
  readonly windows: string;
}

interface Tool {
  /** Names to look for on the path, first come first taken, or absolute paths. */
  readonly names: readonly string[];
  readonly adds: string;
  readonly install: ToolInstall;
}

/** A tool's state on this machine; `version` is the first line it prints about itself. */
export interface ToolStatus {
  readonly id: ToolId;
  readonly found: boolean;
  readonly path: string | null;
  readonly version: string | null;
  readonly adds: string;
  readonly install: ToolInstall;
}

const TOOLS: { readonly [Id in ToolId]: Tool } = {
  cc: {
    names: ["gcc", "cc"],
    adds: "runs compiled C on this computer and checks it against the plain loops",
    install: { debian: "apt install gcc", macos: "xcode-select --install", windows: "winget install BrechtSanders.WinLibs.POSIX.UCRT" },
  },
  clang: {
    names: ["clang"],
    adds: "checks the generated C with a second compiler and its sanitizers",
    install: { debian: "apt install clang", macos: "xcode-select --install", windows: "winget install LLVM.LLVM" },
  },
  "arm-none-eabi-gcc": {
    names: ["arm-none-eabi-gcc"],
    adds: "builds firmware for Arm Cortex-M and measures its size",
    install: {
      debian: "apt install gcc-arm-none-eabi libnewlib-arm-none-eabi",
      macos: "brew install --cask gcc-arm-embedded",
      windows: "winget install Arm.GnuArmEmbeddedToolchain",
    },
  },
  "riscv64-unknown-elf-gcc": {
    names: ["riscv64-unknown-elf-gcc"],
    adds: "builds firmware for RISC-V RV32IMC and measures its size",
    install: {
      debian: "apt install gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
      macos: "brew tap riscv-software-src/riscv && brew install riscv-tools",
      windows: "use WSL and apt install gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    },
  },
  "qemu-system-arm": {
    names: ["qemu-system-arm"],
    adds: "runs firmware on emulated Cortex-M cores and counts instructions and stack",
    install: { debian: "apt install qemu-system-arm", macos: "brew install qemu", windows: "winget install SoftwareFreedomConservancy.QEMU" },
  },
  "qemu-system-riscv32": {
    names: ["qemu-system-riscv32"],
    adds: "runs firmware on an emulated RV32IMC core and counts instructions and stack",
    install: { debian: "apt install qemu-system-misc", macos: "brew install qemu", windows: "winget install SoftwareFreedomConservancy.QEMU" },
  },
  chromium: {
    names: [
      "chromium",
      "chromium-browser",
      "google-chrome",
      "google-chrome-stable",
      "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
      "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
    ],
    adds: "runs the browser tests and measures WebAssembly in a real browser",
    install: { debian: "apt install chromium", macos: "brew install --cask chromium", windows: "winget install Google.Chrome" },
  },
  postgres: {
    // Debian keeps it beside the path, by version.
    names: ["postgres", ...[18, 17, 16, 15, 14, 13].map((version) => `/usr/lib/postgresql/${version}/bin/postgres`)],
    adds: "keeps the state of a federation for a coordinator of several processes",
    install: { debian: "apt install postgresql", macos: "brew install postgresql", windows: "winget install PostgreSQL.PostgreSQL.17" },
  },
  "redis-server": {
    names: ["redis-server"],
    adds: "carries what the processes of a coordinator say to each other, and the work of a simulation over several machines",
    install: { debian: "apt install redis-server", macos: "brew install redis", windows: "use WSL and apt install redis-server" },
  },
};

export const TOOL_IDS: readonly ToolId[] = Object.keys(TOOLS) as ToolId[];

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The full path of a program by its name, as the shell would find it; null when there is none. */
export function findProgram(name: string): string | null {
  if (name.includes("/") || name.includes("\\")) return isProgram(name) ? name : null;
  const suffixes = process.platform === "win32" ? [".exe", ".cmd", ""] : [""];
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    if (folder === "") continue;
    for (const suffix of suffixes) {
      const path = join(folder, name + suffix);
      if (isProgram(path)) return path;
    }
  }
  return null;
}

/** The path of a tool on this machine, or null. Never throws. */
export function findTool(id: ToolId): string | null {
  for (const name of TOOLS[id].names) {
    const path = findProgram(name);
    if (path !== null) return path;
  }
  return null;
}

function missingText(ids: readonly ToolId[]): string {
  if (ids.length === 1) return `${ids[0]} is not installed; it ${TOOLS[ids[0]!].adds}`;
  return `${ids.map((id) => `${id} (${TOOLS[id].adds})`).join(" and ")} are not installed`;
}

/** The commands for one family of systems; one command may bring several tools. */
function commandsFor(ids: readonly ToolId[], system: keyof ToolInstall): string {
  return [...new Set(ids.map((id) => TOOLS[id].install[system]))].join("; ");
}

/**
 * The paths of tools that cannot be done without, in the order of their names.
 * @throws KingletError `missing-tool` that names all that are absent and says how to install them.
 */
export function requireTools<const Ids extends readonly ToolId[]>(ids: Ids): { [I in keyof Ids]: string } {
  const paths = ids.map(findTool);
  const missing = ids.filter((_, i) => paths[i] === null);
  if (missing.length === 0) return paths as { [I in keyof Ids]: string };
  throw new KingletError("missing-tool", missingText(missing), {
    hint: `Debian and Ubuntu: ${commandsFor(missing, "debian")}. macOS: ${commandsFor(missing, "macos")}. Windows: ${commandsFor(missing, "windows")}.`,
  });
}

/** The path of one tool; see `requireTools`. */
export function requireTool(id: ToolId): string {
  return requireTools([id])[0];
}

function versionOf(path: string): string | null {
  const result = spawnSync(path, ["--version"], { encoding: "utf8", timeout: 10_000 });
  const line = (result.stdout ?? "").split("\n")[0]?.trim();
  return line === undefined || line === "" ? null : line;
}

/** What is here, what is not, and what each would add. Never throws. */
export function toolReport(): ToolStatus[] {
  return TOOL_IDS.map((id) => {
    const path = findTool(id);
    const { adds, install } = TOOLS[id];
    return { id, found: path !== null, path, version: path === null ? null : versionOf(path), adds, install };
  });
}
