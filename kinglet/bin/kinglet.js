#!/usr/bin/env node
// Runs the TypeScript sources as they are: no build step to remember.
import { register } from "tsx/esm/api";

register();
const { runProcess } = await import("../src/cli/process.ts");
await runProcess(process.argv.slice(2));
