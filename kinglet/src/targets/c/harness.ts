import { MEMORY_BYTES, type Placement, type Program } from "../../loops/index.ts";
import { arenaAlignment } from "./library.ts";

/** What a test program around the library shall do. */
export interface HarnessOptions {
  readonly samples: number;
  /** After every sample print the whole arena instead of the outputs. */
  readonly dumpArena?: boolean;
  /** Print the instructions of every step of the first sample (boards only). */
  readonly profile?: boolean;
}

function bytesOfBuffer(program: Program, index: number): number {
  const buffer = program.buffers[index]!;
  return buffer.length * MEMORY_BYTES[buffer.type];
}

export function inputBytes(program: Program): number {
  return program.inputs.reduce((sum, port) => sum + bytesOfBuffer(program, port.buffer), 0);
}

function fillInputs(program: Program, id: string): string[] {
  let at = 0;
  return program.inputs.map((port, i) => {
    const bytes = bytesOfBuffer(program, port.buffer);
    const line = `    memcpy(${id}_input${i}(arena), sample + ${at}, ${bytes});`;
    at += bytes;
    return line;
  });
}

function printOutputs(program: Program, id: string, print: string, options: HarnessOptions): string[] {
  if (options.dumpArena === true) return [`    ${print}(arena, ${id.toUpperCase()}_ARENA_BYTES);`];
  return program.outputs.map((port, i) => `    ${print}(${id}_output${i}(arena), ${bytesOfBuffer(program, port.buffer)});`);
}

/** A program that reads the samples from stdin and prints one line of hexadecimal digits for each. */
export function hostHarness(program: Program, placement: Placement, id: string, options: HarnessOptions): string {
  const upper = id.toUpperCase();
  const length = inputBytes(program);
  return `#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define ${upper}_ARENA_CAPACITY ${placement.arenaBytes}
#include "${id}.h"

static void print_hex(const void *data, size_t n) {
  const unsigned char *bytes = (const unsigned char *)data;
  for (size_t i = 0; i < n; i++) {
    putchar("0123456789abcdef"[bytes[i] >> 4]);
    putchar("0123456789abcdef"[bytes[i] & 15]);
  }
}

int main(void) {
  unsigned char *sample = (unsigned char *)malloc(${Math.max(1, length)});
  void *arena = malloc(${upper}_ARENA_BYTES);
  if (sample == NULL || arena == NULL) return 1;
  memset(arena, 0xa5, ${upper}_ARENA_BYTES);
  for (int k = 0; k < ${options.samples}; k++) {
    if (fread(sample, 1, ${length}, stdin) != ${length}) return 2;
    ${id}_init(arena);
${fillInputs(program, id).join("\n")}
    ${id}_run(arena);
${printOutputs(program, id, "print_hex", options).join("\n")}
    putchar('\\n');
  }
  free(arena);
  free(sample);
  return 0;
}
`;
}

/** Firmware that runs the samples of `samples_bin` and prints a line for each: instructions, then outputs. */
export function boardHarness(program: Program, placement: Placement, id: string, options: HarnessOptions & { readonly bigArena: boolean }): string {
  const upper = id.toUpperCase();
  const align = Math.max(8, arenaAlignment(program));
  return `#include <string.h>
#include "kinglet_board.h"
#define ${upper}_ARENA_CAPACITY ${placement.arenaBytes}
#include "${id}.h"

extern const unsigned char samples_bin[];
${options.bigArena ? "BOARD_BIG " : ""}static uint8_t arena[${Math.max(1, placement.arenaBytes)}] __attribute__((aligned(${align})));
${options.profile === true ? `static uint64_t marks[${program.steps.length + 1}];\nvoid kinglet_probe(int step) { marks[step] = board_instructions(); }\n` : ""}
int main(void) {
  for (int k = 0; k < ${options.samples}; k++) {
    const unsigned char *sample = samples_bin + k * ${inputBytes(program)};
    (void)sample;
    ${id}_init(arena);
${fillInputs(program, id).join("\n")}
    board_stack_paint();
    const uint64_t start = board_instructions();
    ${id}_run(arena);
    const uint64_t end = board_instructions();
    (void)board_stack_used();
    board_print_u64(end - start);
    board_print(" ");
${printOutputs(program, id, "board_print_hex", options).join("\n")}
    board_print("\\n");
${
  options.profile === true
    ? `    marks[${program.steps.length}] = end;
    if (k == 0) {
      board_print("steps");
      for (int i = 0; i < ${program.steps.length}; i++) {
        board_print(" ");
        board_print_u64(marks[i + 1] - marks[i]);
      }
      board_print("\\n");
    }`
    : ""
}
  }
  return 0;
}
`;
}

/** A header to include before the library so that every step is timed by the harness. */
export function probeHeader(id: string): string {
  return `#ifndef __ASSEMBLER__\nvoid kinglet_probe(int step);\n#define ${id.toUpperCase()}_STEP(step, arena) kinglet_probe(step)\n#endif\n`;
}
