import { defineConfig } from "vitest/config";

/**
 * Rooms whose tests only compute. They share processes, since loading the modules takes longer than most of their files; tests with servers,
 * threads, browsers or the memory of large models have a process for each file.
 */
const TOGETHER = ["base", "data", "formats", "fusion", "loops", "ops", "passes", "plan", "project", "report", "signal", "targets", "zoo"].map(
  (room) => `kinglet/src/${room}/**/*.test.ts`,
);

/** Firmware tests start compilers and emulators, so two workers fill a small machine and a test may take minutes. */
export default defineConfig({
  test: {
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ["default", "./scripts/skip-reporter.mjs", "./scripts/support-reporter.mjs"],
    projects: [
      {
        extends: true,
        test: {
          name: "apart",
          include: ["kinglet/src/**/*.test.ts", "kinglet/test/**/*.test.ts", "bench/**/*.test.ts"],
          exclude: ["**/node_modules/**", ...TOGETHER],
        },
      },
      { extends: true, test: { name: "together", include: TOGETHER, isolate: false } },
    ],
  },
});
