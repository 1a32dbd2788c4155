import { defineConfig } from "vitest/config";

/** Firmware tests start compilers and emulators, so two workers fill a small machine and a test may take minutes. */
export default defineConfig({
  test: {
    include: ["kinglet/src/**/*.test.ts", "kinglet/test/**/*.test.ts", "bench/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ["default", "./scripts/skip-reporter.mjs", "./scripts/support-reporter.mjs"],
  },
});
