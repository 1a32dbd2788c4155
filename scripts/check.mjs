// `npm test`: the one command. Types, lint and unused code count as one check each, then every test case counts.
// Plain JavaScript, because nothing is installed yet when it starts.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { installWhenMissing, requireNode, ROOT } from "./install.mjs";

/** The script behind a package's command: started with this Node, it needs no shell on any system. */
function commandOf(name, command) {
  const manifest = packageFile(name);
  const { bin } = JSON.parse(readFileSync(manifest, "utf8"));
  return join(dirname(manifest), typeof bin === "string" ? bin : bin[command]);
}

/** A package's package.json by folder, since many do not export it. */
function packageFile(name) {
  const folders = createRequire(join(ROOT, "package.json")).resolve.paths(name) ?? [];
  const found = folders.map((folder) => join(folder, name, "package.json")).find((file) => existsSync(file));
  if (found === undefined) throw new Error(`${name} is not installed; remove node_modules and run this again`);
  return found;
}

function run(script, args, env = {}) {
  const result = spawnSync(process.execPath, [script, ...args], { cwd: ROOT, stdio: "inherit", env: { ...process.env, ...env } });
  return result.status ?? 1;
}

const CHECKS = [
  { name: "types", package: "typescript", command: "tsc", args: ["-p", "tsconfig.json"] },
  { name: "lint", package: "@biomejs/biome", command: "biome", args: ["check", "--max-diagnostics=50", "."] },
  { name: "unused", package: "knip", command: "knip", args: ["--no-progress"] },
];

function runCheck({ name, package: from, command, args }) {
  console.log(`\n── ${name}`);
  const ok = run(commandOf(from, command), args) === 0;
  console.log(`${name}: ${ok ? "passed" : "FAILED"}`);
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

/** docs/support.md says what a whole run of the tests shows; what a machine cannot run is named and not compared. */
function checkSupport(file) {
  console.log("\n── support");
  const ok = spawnSync(process.execPath, ["--import", "tsx", "bench/support.ts", "--check", file], { cwd: ROOT, stdio: "inherit" }).status === 0;
  console.log(`support: ${ok ? "passed" : "FAILED"}`);
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

function runTests(args) {
  console.log("\n── tests");
  const folder = mkdtempSync(join(tmpdir(), "kinglet-check-"));
  const [file, support] = [join(folder, "counts.json"), process.env.KINGLET_SUPPORT || join(folder, "support.json")];
  try {
    const status = run(commandOf("vitest", "vitest"), ["run", ...args], { KINGLET_TEST_COUNTS: file, KINGLET_SUPPORT: support });
    const counts = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { passed: 0, failed: 0, skipped: 0 };
    // A run that failed without a failed test (a crash, nothing to run) must not look like success.
    const tests = status !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
    return args.length === 0 && existsSync(support) ? [tests, checkSupport(support)] : [tests];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

requireNode();
installWhenMissing();
const results = [...CHECKS.map(runCheck), ...runTests(process.argv.slice(2))];
const sum = (key) => results.reduce((total, result) => total + result[key], 0);
console.log(`\n${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`);
process.exitCode = sum("failed") > 0 ? 1 : 0;
