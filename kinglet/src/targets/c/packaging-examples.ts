import type { Program } from "../../loops/index.ts";
import { streamedInput } from "./library.ts";

/** Lines that fill the inputs and run the network: whole, or row by row where its image streams. */
function runLines(program: Program, id: string, indent: string): string {
  const upper = id.toUpperCase();
  const fill = (i: number, length: string): string => `for (int i = 0; i < ${length}; i++) ${id}_input${i}(arena)[i] = 0; /* your data */`;
  const streamed = streamedInput(program);
  const whole = program.inputs.flatMap((_, i) => (i === streamed ? [] : [`${indent}${fill(i, `${upper}_INPUT${i}_LENGTH`)}`]));
  if (streamed < 0) return [...whole, `${indent}${id}_run(arena);`].join("\n");
  return [
    ...whole,
    `${indent}${id}_begin(arena);`,
    `${indent}for (int row = 0; row < ${upper}_INPUT${streamed}_ROWS; row++) {`,
    `${indent}  ${fill(streamed, `${upper}_INPUT${streamed}_ROW_LENGTH`)}`,
    `${indent}  ${id}_push_row(arena);`,
    `${indent}}`,
  ].join("\n");
}

/** How `printf` takes the elements of an output. */
function format(dtype: string): { readonly cast: string; readonly spec: string } {
  if (dtype === "float32") return { cast: "(double)", spec: "%g" };
  return dtype.endsWith("64") ? { cast: "(long long)", spec: "%lld" } : { cast: "(long)", spec: "%ld" };
}

/** A program for any machine with stdio: zeros in, outputs on the screen. */
export function hostExample(program: Program, id: string): string {
  const upper = id.toUpperCase();
  const prints = program.outputs.map((port, i) => {
    const { cast, spec } = format(port.dtype);
    return `  for (int i = 0; i < ${upper}_OUTPUT${i}_LENGTH; i++) printf("${spec}\\n", ${cast}${id}_output${i}(arena)[i]);`;
  });
  return `/* Runs ${id} once on zeros and prints its outputs: a start for your own program. */
#include <stdio.h>

#define ${upper}_ARENA_CAPACITY ${upper}_ARENA_BYTES
#include "${id}.h"

/* Elements of 64 bits give the array the alignment that any tensor may need. */
static int64_t arena[(${upper}_ARENA_BYTES + 7) / 8 + 1];

int main(void) {
  ${id}_init(arena);
${runLines(program, id, "  ")}
${prints.join("\n")}
  return 0;
}
`;
}

export function arduinoExample(program: Program, id: string): string {
  const upper = id.toUpperCase();
  const prints = program.outputs.map((port, i) => {
    const value = port.dtype.endsWith("64") ? `(long)${id}_output${i}(arena)[i]` : `${id}_output${i}(arena)[i]`;
    return `  for (int i = 0; i < ${upper}_OUTPUT${i}_LENGTH; i++) Serial.println(${value});`;
  });
  return `/* Runs ${id} once a second on zeros and prints its outputs: a start for your own sketch. */
#include <${id}.h>

alignas(8) static uint8_t arena[${upper}_ARENA_BYTES + 1];

void setup() {
  Serial.begin(115200);
  ${id}_init(arena);
}

void loop() {
  const unsigned long start = micros();
${runLines(program, id, "  ")}
  Serial.print("microseconds ");
  Serial.println(micros() - start);
${prints.join("\n")}
  delay(1000);
}
`;
}

/** The manifest of an Arduino library; its values are one line each. */
export function libraryProperties(program: Program, id: string): string {
  const name = program.name.replace(/[^A-Za-z0-9 ._-]/g, "_");
  return `name=${id}
version=1.0.0
author=Kinglet
maintainer=Kinglet
sentence=The neural network ${name} as a C library.
paragraph=No allocation, no dependencies; working memory is the sketch's own.
category=Data Processing
architectures=*
includes=${id}.h
`;
}
