import { afterEach, describe, expect, it, vi } from "vitest";
import { compileAndRunHost } from "./hostc.ts";
import { needTools } from "./tool-gate.ts";
import { toolReport } from "./tools.ts";

const ECHO = {
  "echo.c":
    '#include <stdio.h>\n#include "word.h"\nint main(int n, char **args) { int c; while ((c = getchar()) != EOF) putchar(c); fputs(n > 1 ? args[1] : WORD, stderr); return 0; }',
  "word.h": '#define WORD "none"',
};
const BROKEN = { "broken.c": "int main(int n, char **a) { (void)a; int v[3] = {0}; v[n + 2] = 1; return v[n]; }" };

describe("C on this computer", () => {
  afterEach(() => void vi.unstubAllEnvs());

  it.for(["gcc", "clang"] as const)("%s compiles and runs", { timeout: 60_000 }, async (compiler, context) => {
    needTools(context, compiler === "gcc" ? "cc" : "clang");
    const stdin = "ab".repeat(100_000);
    expect(await compileAndRunHost({ sources: ECHO, compiler, stdin, args: ["x"] })).toMatchObject({ stdout: stdin, stderr: "x" });
  });

  it("reports what the sanitizers find", { timeout: 60_000 }, async (context) => {
    needTools(context, "cc");
    await expect(compileAndRunHost({ sources: BROKEN, flags: ["-fsanitize=address,undefined", "-g"] })).rejects.toMatchObject({
      code: "check-failed",
      message: expect.stringMatching(/out of bounds|stack-buffer-overflow/),
    });
  });

  it("ends a program at its limit", { timeout: 60_000 }, async (context) => {
    needTools(context, "cc");
    await expect(compileAndRunHost({ sources: { "loop.c": "int main(void) { for (;;) {} }" }, timeoutMs: 2000 })).rejects.toMatchObject({
      code: "check-failed",
    });
  });

  it("keeps source files in their folder", async (context) => {
    needTools(context, "cc");
    await expect(compileAndRunHost({ sources: { "../out.c": "" } })).rejects.toMatchObject({ code: "misuse" });
  });

  it("names the Debian package of a missing compiler", async () => {
    vi.stubEnv("PATH", "/nonexistent");
    await expect(compileAndRunHost({ sources: ECHO, compiler: "clang" })).rejects.toMatchObject({
      code: "missing-tool",
      hint: expect.stringContaining("apt install clang"),
    });
  });

  it("reports tools without throwing", () => {
    for (const tool of toolReport()) {
      expect(tool.install.debian).toMatch(/^apt install /);
      expect(tool.found).toBe(tool.path !== null);
    }
    vi.stubEnv("PATH", "");
    expect(toolReport().find((tool) => tool.id === "qemu-system-arm")).toMatchObject({ found: false, path: null, version: null });
  });
});
