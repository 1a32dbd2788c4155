import { MEMORY_BYTES } from "../loops/index.ts";
import type { Compiled } from "./compile.ts";

function bytesOf(compiled: Compiled, buffer: number): number {
  const { length, type } = compiled.program.buffers[buffer]!;
  return length * MEMORY_BYTES[type];
}

function copies(
  compiled: Compiled,
  kind: "inputs" | "outputs",
  line: (index: number, at: number, bytes: number) => string,
): { lines: string; bytes: number } {
  let at = 0;
  const lines = compiled.program[kind].map((port, i) => {
    const bytes = bytesOf(compiled, port.buffer);
    const text = line(i, at, bytes);
    at += bytes;
    return text;
  });
  return { lines: lines.join("\n"), bytes: at };
}

/**
 * A C++ program around the library, so that its header is read as C++ too. Two instances, each with guard bytes
 * around its arena, walk through opposite sequences of two samples (read from stdin): one after the other, then
 * taking turns, then on two threads. All three must agree; the first outputs of both are printed as hexadecimal digits.
 */
export function instancesProgram(compiled: Compiled, id: string): string {
  const upper = id.toUpperCase();
  const fill = copies(compiled, "inputs", (i, at, bytes) => `  std::memcpy(${id}_input${i}(arena), sample + ${at}, ${bytes});`);
  const keep = copies(compiled, "outputs", (i, at, bytes) => `  std::memcpy(output + ${at}, ${id}_output${i}(arena), ${bytes});`);
  return `#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>
#include <pthread.h>
#include "${id}.h"

enum : size_t { GUARD = 64, IN = ${fill.bytes}, OUT = ${keep.bytes} };
static unsigned char samples[2][IN];
static int steps = 1;

struct Instance {
  alignas(64) unsigned char before[GUARD];
  alignas(64) unsigned char arena[${upper}_ARENA_BYTES];
  unsigned char after[GUARD];
  int first;
  std::vector<unsigned char> outputs;
};
static Instance pair[2];
static std::vector<unsigned char> want[2];

extern "C" void __asan_poison_memory_region(void const volatile *, size_t);
extern "C" void __asan_unpoison_memory_region(void const volatile *, size_t);

static void fence(Instance &it, void (*mark)(void const volatile *, size_t)) {
  mark(it.before, GUARD);
  mark(it.after, GUARD);
}

static void start(Instance &it) {
  it.outputs.assign(static_cast<size_t>(steps) * OUT, 0);
  std::memset(it.before, 0x5a, GUARD);
  std::memset(it.arena, 0xa5, sizeof it.arena);
  std::memset(it.after, 0x5a, GUARD);
  ${id}_init(it.arena);
}

static void step(Instance &it, int t) {
  void *const arena = it.arena;
  const unsigned char *const sample = samples[(it.first + t) % 2];
  unsigned char *const output = it.outputs.data() + static_cast<size_t>(t) * OUT;
  (void)sample;
${fill.lines}
  ${id}_run(arena);
${keep.lines}
}

static void *walk(void *instance) {
  for (int t = 0; t < steps; t++) step(*static_cast<Instance *>(instance), t);
  return nullptr;
}

static void check(const char *what) {
  for (int i = 0; i < 2; i++) {
    for (size_t k = 0; k < GUARD; k++) {
      if (pair[i].before[k] == 0x5a && pair[i].after[k] == 0x5a) continue;
      std::fprintf(stderr, "%s: instance %d wrote outside its arena\\n", what, i);
      std::exit(3);
    }
    if (!want[i].empty() && want[i] != pair[i].outputs) {
      std::fprintf(stderr, "%s: the outputs of instance %d changed\\n", what, i);
      std::exit(4);
    }
  }
}

int main(int argc, char **argv) {
  if (argc > 1) steps = std::atoi(argv[1]);
  if (std::fread(samples, 1, sizeof samples, stdin) != sizeof samples) return 2;
  for (int i = 0; i < 2; i++) {
    pair[i].first = i;
    start(pair[i]);
    // Once: reads outside the arena are found too.
    if (argc > 2) fence(pair[i], __asan_poison_memory_region);
    walk(&pair[i]);
    if (argc > 2) fence(pair[i], __asan_unpoison_memory_region);
  }
  check("one after the other");
  for (int i = 0; i < 2; i++) {
    for (size_t k = 0; k < OUT; k++) std::printf("%02x", static_cast<unsigned>(pair[i].outputs[k]));
    std::printf("\\n");
    want[i] = pair[i].outputs;
  }
  if (argc > 2) return 0;
  start(pair[0]);
  start(pair[1]);
  for (int t = 0; t < steps; t++) for (int i = 0; i < 2; i++) step(pair[i], t);
  check("taking turns");
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) start(pair[i]);
  for (int i = 0; i < 2; i++) if (pthread_create(&threads[i], nullptr, walk, &pair[i]) != 0) return 5;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], nullptr);
  check("on two threads");
  return 0;
}
`;
}
