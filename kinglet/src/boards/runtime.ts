/** The header a harness includes: everything firmware may ask of the board. */
export const BOARD_HEADER: string = String.raw`/* kinglet_board.h: what a harness may ask of an emulated board. Entry point: int main(void). */
#ifndef KINGLET_BOARD_H
#define KINGLET_BOARD_H
#include <stdint.h>

/* Instructions per timer tick, as the fraction NUM / DEN (DEN is a power of two). */
#define BOARD_INSTRUCTIONS_PER_TICK_NUM KINGLET_TICK_NUM
#define BOARD_INSTRUCTIONS_PER_TICK_DEN KINGLET_TICK_DEN
/* A difference of two board_instructions() is exact to within this many instructions. */
#define BOARD_QUANTUM ((BOARD_INSTRUCTIONS_PER_TICK_NUM + BOARD_INSTRUCTIONS_PER_TICK_DEN - 1) / BOARD_INSTRUCTIONS_PER_TICK_DEN)

/* Arrays too large for the board's flash or RAM go into its big memory (16 MiB or more).
   BOARD_BIG is not cleared by the startup code (the emulator starts it as zeros). */
#define BOARD_BIG __attribute__((section(".big_bss")))
#define BOARD_BIG_CONST __attribute__((section(".big_rodata")))

void board_print(const char *text);                   /* zero-terminated */
void board_print_u32(uint32_t value);                 /* decimal */
void board_print_u64(uint64_t value);                 /* decimal */
void board_print_hex(const void *bytes, uint32_t n);  /* 2 n lower-case digits in memory order, no newline */

uint32_t board_ticks(void);         /* free-running timer, counts up, wraps at 2^32 */
uint64_t board_instructions(void);  /* guest instructions since reset, in steps of one tick */
uint32_t board_calibrate(void);     /* ticks of exactly 2,000,000 instructions (1e6 times subtract, branch) */

/* Paint the free stack below the caller's frame; later: the most bytes used below that point. */
void board_stack_paint(void);
uint32_t board_stack_used(void);

/* A serial line, on cores that have one here: start it once; read waits, asleep, for the next byte. */
void board_serial_start(void);
uint8_t board_serial_read(void);
void board_serial_write(uint8_t byte);

void board_exit(int code) __attribute__((noreturn));
#endif
`;

/** Output, timer arithmetic and exit: the part of the runtime that is the same on every core. */
export const BOARD_SOURCE: string = String.raw`#include "kinglet_board.h"

long board_semihost(long operation, const void *argument);
uint64_t board_ticks64(void);
uint32_t board_stack_scan(void);

extern uint32_t __stack_limit[];
uint32_t board_painted_at;          /* stack pointer at the last paint; 0: never painted */
static uint32_t most_stack;
static int stack_probed;

void board_print(const char *text) { board_semihost(4, text); }

void board_print_u64(uint64_t value) {
  char text[21];
  char *at = text + 20;
  *at = 0;
  do {
    *--at = (char)('0' + (int)(value % 10u));
    value /= 10u;
  } while (value != 0);
  board_print(at);
}

void board_print_u32(uint32_t value) {
  char text[11];
  char *at = text + 10;
  *at = 0;
  do {
    *--at = (char)('0' + (int)(value % 10u));
    value /= 10u;
  } while (value != 0);
  board_print(at);
}

void board_print_hex(const void *bytes, uint32_t n) {
  static char buffer[2049];
  static const char digits[] = "0123456789abcdef";
  const uint8_t *in = (const uint8_t *)bytes;
  while (n != 0) {
    uint32_t part = n < 1024 ? n : 1024;
    for (uint32_t i = 0; i < part; i++) {
      buffer[2 * i] = digits[in[i] >> 4];
      buffer[2 * i + 1] = digits[in[i] & 15];
    }
    buffer[2 * part] = 0;
    board_print(buffer);
    in += part;
    n -= part;
  }
}

uint32_t board_ticks(void) { return (uint32_t)board_ticks64(); }

uint64_t board_instructions(void) {
  return board_ticks64() * BOARD_INSTRUCTIONS_PER_TICK_NUM / BOARD_INSTRUCTIONS_PER_TICK_DEN;
}

uint32_t board_stack_used(void) {
  uint32_t used = board_painted_at == 0 ? 0 : board_painted_at - board_stack_scan();
  stack_probed = board_painted_at != 0;
  if (used > most_stack) most_stack = used;
  return used;
}

static void leave(int code) {
  const uint32_t block[2] = {0x20026u, (uint32_t)code};
  board_semihost(0x20, block);
}

static void print_word(const char *name, uint32_t word) {
  char text[9];
  for (int i = 0; i < 8; i++) text[i] = "0123456789abcdef"[(word >> (28 - 4 * i)) & 15];
  text[8] = 0;
  board_print(name);
  board_print(text);
}

void board_exit(int code) {
  if (__stack_limit[0] != 0xa5a5a5a5u) {
    board_print("\n\036kinglet-fault the stack overflowed\n");
    leave(125);
  }
  if (stack_probed) {
    board_print("\n\036kinglet-stack ");
    board_print_u32(most_stack);
    board_print("\n");
  }
  for (;;) leave(code);
}

/* Called by the trap handler on a small stack of its own. */
void board_fault(uint32_t cause, uint32_t pc, uint32_t address) {
  board_print("\n\036kinglet-fault cause ");
  print_word("0x", cause);
  print_word(" at pc 0x", pc);
  print_word(", address 0x", address);
  board_print("\n");
  for (;;) leave(125);
}
`;

/** A heap for harnesses that ask for one: everything from the end of .bss to the end of RAM. */
export const HEAP_SOURCE: string = String.raw`#include <stddef.h>
extern char kinglet_heap_start[], kinglet_heap_end[];
static char *heap = kinglet_heap_start;
void *_sbrk(ptrdiff_t step) {
  char *old = heap;
  if (step > kinglet_heap_end - heap) return (void *)-1;
  heap += step;
  return old;
}
void *sbrk(ptrdiff_t step) { return _sbrk(step); }
`;
