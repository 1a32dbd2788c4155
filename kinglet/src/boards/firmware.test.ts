import { afterEach, describe, expect, it, vi } from "vitest";
import { CORE_IDS, CORES } from "./cores.ts";
import { buildFirmware, runOnCore } from "./firmware.ts";
import { mapContributions, objectBytes } from "./sections.ts";
import { coreTools, needTools } from "./tool-gate.ts";

const MINUTE = 60_000;

const program = (body: string, before = ""): { "main.c": string } => ({
  "main.c": `#include "kinglet_board.h"\n#include <math.h>\n${before}\nint main(void) {\n${body}\nreturn 0;\n}\n`,
});

/** Prints the counts of a million and of ten million rounds of two instructions. */
const CALIBRATE = program(`
  board_print_u64((uint64_t)board_calibrate() * BOARD_INSTRUCTIONS_PER_TICK_NUM / BOARD_INSTRUCTIONS_PER_TICK_DEN);
  board_print(" ");
  board_print_u32(BOARD_QUANTUM);
  board_print(" ");
  uint64_t before = board_instructions();
  for (int i = 0; i < 10; i++) board_calibrate();
  board_print_u64(board_instructions() - before);`);

describe.each(CORE_IDS)("%s", (core) => {
  it("counts 2e6 instructions to within one tick", { timeout: MINUTE }, async (context) => {
    needTools(context, ...coreTools(CORES[core]));
    const [one, quantum, ten] = (await runOnCore({ core, sources: CALIBRATE })).output.split(" ").map(Number);
    expect(Math.abs(one! - 2_000_000)).toBeLessThanOrEqual(quantum!);
    expect(ten! - 20_000_000).toBeGreaterThanOrEqual(-quantum!);
    expect(ten! - 20_000_000).toBeLessThan(1000);
    const [fine] = (await runOnCore({ core, sources: CALIBRATE, fine: true })).output.split(" ").map(Number);
    expect(Math.abs(fine! - 2_000_000)).toBeLessThan(32); // the two reads of the timer included
  });

  it("carries 100 KB in and out", { timeout: MINUTE }, async (context) => {
    needTools(context, ...coreTools(CORES[core]));
    const data = Uint8Array.from({ length: 100_003 }, (_, i) => (i * 37) ^ (i >> 8));
    const sources = {
      ...program("board_print_hex(data_bin, (uint32_t)(data_bin_end - data_bin));", "extern const unsigned char data_bin[], data_bin_end[];"),
      "data.bin": data,
    };
    expect((await runOnCore({ core, sources })).output).toBe(Buffer.from(data).toString("hex"));
  });

  it("has room for 2.3 MB of weights and 2.5 MB of arena, computes floats, and measures stack", { timeout: MINUTE }, async (context) => {
    needTools(context, ...coreTools(CORES[core]));
    const before = `
      extern const unsigned char weights_bin[], weights_bin_end[];
      static uint8_t arena[2500000];
      static BOARD_BIG uint8_t more[8000000];
      static volatile float two = 2.0f;
      static volatile int word = -7;
      __attribute__((noinline)) int deep(int n) { volatile char room[100]; room[n] = (char)n; return n == 0 ? room[0] : deep(n - 1) + room[n]; }`;
    const body = `
      for (uint32_t i = 0; i < sizeof arena; i++) arena[i] = (uint8_t)i;
      more[7999999] = 5;
      board_print_u32(weights_bin[2299999] + arena[2499999] + more[7999999]);
      board_print(word == -7 ? " data " : " lost ");
      board_print_u32((uint32_t)(1000 * sqrtf(two)));
      board_stack_paint();
      word = deep(10);
      board_print(board_stack_used() > 1100 ? " deep" : " shallow");
      board_exit(3);`;
    const run = await runOnCore({ core, sources: { ...program(body, before), "weights.bin": new Uint8Array(2_300_000).fill(9) } });
    expect(run.output).toBe("173 data 1414 deep");
    expect(run.exitCode).toBe(3);
    expect(run.stackBytes).toBeGreaterThan(1100);
    expect(run.stackBytes).toBeLessThan(2000);
  });

  it("accounts for every byte of the linked sections", { timeout: MINUTE }, async (context) => {
    needTools(context, ...coreTools(CORES[core]));
    const sources = {
      ...program("board_print_u32((uint32_t)(1000 * expf(table[board_ticks() & 3])));", "extern const float table[4];"),
      "table.c": "const float table[4] = {1, 2, 3, 4};\nint unused(void) { return 5; }\n",
    };
    const run = await runOnCore({ core, sources });
    const pieces = mapContributions(run.map);
    for (const section of run.sizes.sections) {
      if (section.name === ".stack") continue; // reserved by the linker script, not by an object
      const sum = pieces.filter((piece) => piece.section === section.name).reduce((total, { bytes }) => total + bytes, 0);
      expect({ section: section.name, bytes: sum }).toEqual({ section: section.name, bytes: section.bytes });
    }
    expect(objectBytes(pieces, "table.o", [".text", ".rodata"])).toBe(16);
    expect(run.objects["table.o"]?.rodataBytes).toBe(16);
    expect(run.objects["table.o"]?.textBytes).toBeGreaterThan(0);
  });

  it("reports a stack overflow, a wild pointer and an endless loop", { timeout: MINUTE }, async (context) => {
    needTools(context, ...coreTools(CORES[core]));
    const deep =
      "__attribute__((noinline)) int deep(int n) { volatile char room[100]; room[n & 63] = (char)n; return n == 0 ? 0 : deep(n - 1) + room[n & 63]; }";
    await expect(runOnCore({ core, stackBytes: 2048, sources: program("board_print_u32((uint32_t)deep(40));", deep) })).rejects.toMatchObject({
      code: "check-failed",
      message: expect.stringMatching(/fault/),
    });
    await expect(runOnCore({ core, sources: program("*(volatile int *)0xF0000000u = 1;") })).rejects.toMatchObject({
      code: "check-failed",
      message: expect.stringMatching(/faulted/),
    });
    await expect(runOnCore({ core, sources: program("for (;;) board_ticks();"), timeoutMs: 1000 })).rejects.toMatchObject({
      code: "check-failed",
      message: expect.stringMatching(/did not end in 1 s/),
    });
  });
});

describe("building firmware", () => {
  afterEach(() => void vi.unstubAllEnvs());

  it("hands on the compiler's words", { timeout: MINUTE }, async (context) => {
    needTools(context, ...coreTools(CORES["cortex-m4"]));
    await expect(runOnCore({ core: "cortex-m4", sources: { "main.c": "int main(void) { return nothing; }" } })).rejects.toMatchObject({
      code: "check-failed",
      message: expect.stringMatching(/main\.c:1:.*nothing/s),
    });
  });

  it("has a heap only on request", { timeout: MINUTE }, async (context) => {
    needTools(context, ...coreTools(CORES["cortex-m4"]), ...coreTools(CORES.rv32));
    const sources = program(
      "char *p = malloc(1000); p[999] = 7; word = p; board_print_u32((uint32_t)p[999]);",
      "#include <stdlib.h>\nchar *volatile word;",
    );
    for (const core of ["cortex-m4", "rv32"] as const) {
      await expect(runOnCore({ core, sources })).rejects.toMatchObject({ code: "check-failed", message: expect.stringMatching(/sbrk/) });
      expect((await runOnCore({ core, sources, heapless: false })).output).toBe("7");
    }
  });

  it("says by how much firmware is too large", { timeout: MINUTE }, async (context) => {
    needTools(context, ...coreTools(CORES["cortex-m4"]));
    const sources = program("huge[5] = 1; board_print_u32(huge[board_ticks()]);", "static uint8_t huge[5000000];");
    await expect(runOnCore({ core: "cortex-m4", sources })).rejects.toMatchObject({
      code: "does-not-fit",
      message: expect.stringMatching(/\d+ bytes too large for the RAM/),
    });
  });

  it("names all missing tools at once, and their Debian packages", async () => {
    vi.stubEnv("PATH", "/nonexistent");
    await expect(runOnCore({ core: "cortex-m4", sources: program("") })).rejects.toMatchObject({
      code: "missing-tool",
      message: expect.stringMatching(/^arm-none-eabi-gcc .* and qemu-system-arm .* are not installed$/),
      hint: expect.stringMatching(/apt install gcc-arm-none-eabi libnewlib-arm-none-eabi; apt install qemu-system-arm\./),
    });
    await expect(runOnCore({ core: "rv32", sources: program("") })).rejects.toMatchObject({
      code: "missing-tool",
      hint: expect.stringContaining("apt install qemu-system-misc"),
    });
    await expect(buildFirmware({ core: "rv32", sources: program("") })).rejects.toMatchObject({
      code: "missing-tool",
      message: expect.stringMatching(/^riscv64-unknown-elf-gcc is not installed; it builds/),
    });
  });
});
