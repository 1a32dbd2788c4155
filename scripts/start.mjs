// `npm start`: installs what is missing, then runs the demo. Plain JavaScript, because nothing is installed yet.
import { spawnSync } from "node:child_process";
import { installWhenMissing, requireNode, ROOT } from "./install.mjs";

requireNode();
installWhenMissing();
const run = spawnSync(process.execPath, ["--import", "tsx", "kinglet/src/demo/main.ts", ...process.argv.slice(2)], { cwd: ROOT, stdio: "inherit" });
process.exit(run.status ?? 1);
