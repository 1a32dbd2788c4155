// Loaded before a program (`node --import ./bench/peak.mjs PROGRAM`): says at its end how much memory and processor time it took.
import { readFileSync } from "node:fs";

/** Linux's own mark: what `getrusage` says of a child begins with what its parent had. */
function peakBytes() {
  try {
    return 1024 * Number(/VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

process.on("exit", () => {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  process.stderr.write(`${JSON.stringify({ peakBytes: peakBytes(), seconds: (userCPUTime + systemCPUTime) / 1e6 })}\n`);
});
