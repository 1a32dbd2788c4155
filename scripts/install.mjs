import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The repository's folder; every script runs from there, wherever it was called. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** npm under Windows is a .cmd file, which only a shell can start. */
export function runNpm(args) {
  return spawnSync("npm", args, { cwd: ROOT, stdio: "inherit", shell: process.platform === "win32" }).status ?? 1;
}

/** Installs the npm packages where they are missing, and says so; npm's own file tells that an install was complete. */
export function installWhenMissing() {
  if (existsSync(new URL("../node_modules/.package-lock.json", import.meta.url))) return;
  console.log("Installing the npm packages of package-lock.json into node_modules/, which this clone does not have yet.");
  const status = runNpm(["ci", "--no-audit", "--no-fund"]);
  if (status === 0) return;
  console.error("npm ci failed; the lines above say why.");
  process.exit(status);
}

/** Node 20 is the oldest that runs Kinglet. */
export function requireNode() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major >= 20) return;
  console.error(`Kinglet needs Node 20 or newer; this is ${process.versions.node}.`);
  process.exit(1);
}
