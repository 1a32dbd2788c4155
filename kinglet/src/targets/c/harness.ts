import { type Placement, portBytes, type Program } from "../../loops/index.ts";
import { arenaAlignment } from "./library.ts";

/** What a test program around the library shall do. */
export interface HarnessOptions {
  readonly samples: number;
  /** After every sample print the whole arena instead of the outputs. */
  readonly dumpArena?: boolean;
  /** Print the instructions of every step of the first sample (boards only). */
  readonly profile?: boolean;
}

export function inputBytes(program: Program): number {
  return program.inputs.reduce((sum, port) => sum + portBytes(program, port), 0);
}

/** Fills the inputs that lie whole in memory. */
function fillInputs(program: Program, id: string): string[] {
  let at = 0;
  return program.inputs.flatMap((port, i) => {
    const from = at;
    at += portBytes(program, port);
    return port.rows === undefined ? [`    memcpy(${id}_input${i}(arena), sample + ${from}, ${at - from});`] : [];
  });
}

/** One inference; `around` wraps what is the library's own work, row by row where the input streams. */
function runInference(program: Program, id: string, around: (call: string) => string): string[] {
  const streamed = program.inputs.findIndex((port) => port.rows !== undefined);
  const learn = program.learnsFrom === undefined ? "" : ` ${id}_learn(arena);`;
  if (streamed < 0) return [`    ${around(`${id}_run(arena);${learn}`)}`];
  const port = program.inputs[streamed]!;
  const at = program.inputs.slice(0, streamed).reduce((sum, each) => sum + portBytes(program, each), 0);
  const rowBytes = portBytes(program, port) / port.rows!.count;
  return [
    `    ${around(`${id}_begin(arena);`)}`,
    `    for (int row = 0; row < ${port.rows!.count}; row++) {`,
    `      memcpy(${id}_input${streamed}(arena), sample + ${at} + row * ${rowBytes}, ${rowBytes});`,
    `      ${around(`(void)${id}_push_row(arena);`)}`,
    "    }",
  ];
}

function printOutputs(program: Program, id: string, print: string, options: HarnessOptions): string[] {
  if (options.dumpArena === true) return [`    ${print}(arena, ${id.toUpperCase()}_ARENA_BYTES);`];
  return program.outputs.map((port, i) => `    ${print}(${id}_output${i}(arena), ${portBytes(program, port)});`);
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
${runInference(program, id, (call) => call).join("\n")}
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
${
  options.profile === true
    ? `static uint64_t counts[${program.steps.length}];
static uint64_t since;
static int running = -1;
void kinglet_probe(int step) {
  const uint64_t now = board_instructions();
  if (running >= 0) counts[running] += now - since;
  running = step;
  since = board_instructions();
}
`
    : ""
}
int main(void) {
  for (int k = 0; k < ${options.samples}; k++) {
    const unsigned char *sample = samples_bin + k * ${inputBytes(program)};
    (void)sample;
    ${id}_init(arena);
${fillInputs(program, id).join("\n")}
    board_stack_paint();
    uint64_t used = 0;
${runInference(program, id, (call) => `{ const uint64_t start = board_instructions(); ${call} used += board_instructions() - start; }`).join("\n")}
${options.profile === true ? "    const uint64_t last = board_instructions();\n" : ""}    (void)board_stack_used();
    board_print_u64(used);
    board_print(" ");
${printOutputs(program, id, "board_print_hex", options).join("\n")}
    board_print("\\n");
${
  options.profile === true
    ? `    if (k == 0 && running >= 0) {
      counts[running] += last - since;
      board_print("steps");
      for (int i = 0; i < ${program.steps.length}; i++) {
        board_print(" ");
        board_print_u64(counts[i]);
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
