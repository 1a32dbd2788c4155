/**
 * Startup of the Cortex-M machines: vector table, VTOR, FPU and MVE enable, stack guard, `.data`, `.bss`, constructors.
 * Register addresses: Arm DDI0403E (Armv7-M) B3.2 and DDI0553B (Armv8-M) for CPACR, VTOR, CCR, CFSR, BFAR.
 */
export const ARM_STARTUP: string = String.raw`#include "kinglet_board.h"
#define REG(address) (*(volatile uint32_t *)(address))

extern uint32_t __stack_limit[], __stack_top[], __data_start[], __data_end[], __data_load[], __bss_start[], __bss_end[];
extern void (*__init_array_start[])(void);
extern void (*__init_array_end[])(void);
int main(void);
void board_reset(void);
void board_trap(void);
void board_fault(uint32_t cause, uint32_t pc, uint32_t address);
void board_timer_start(void);

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
  (void (*)(void))__stack_top, board_reset, board_trap, board_trap, board_trap, board_trap, board_trap, board_trap,
  board_trap, board_trap, board_trap, board_trap, board_trap, board_trap, board_trap, board_trap,
};

__attribute__((used)) void board_trap_c(const uint32_t *frame) {
  board_fault(REG(0xE000ED28), frame == 0 ? 0 : frame[6], REG(0xE000ED38));
}

/* Moves to the stack's top before it calls C: the fault may be a stack overflow. A frame that could not be pushed is not read. */
__attribute__((naked, used)) void board_trap(void) {
  __asm volatile(
    "mov r0, sp\n"
    "ldr r1, =__stack_limit\n"
    "cmp r0, r1\n"
    "bhs 1f\n"
    "movs r0, #0\n"
    "1: ldr r1, =__stack_top\n"
    "mov sp, r1\n"
    "ldr r1, =board_trap_c\n"
    "bx r1\n"
    ".ltorg\n");
}

static void start(void) {
  for (uint32_t *to = __data_start, *from = __data_load; to < __data_end;) *to++ = *from++;
  for (uint32_t *to = __bss_start; to < __bss_end;) *to++ = 0;
  __stack_limit[0] = 0xa5a5a5a5u;
  board_timer_start();
  for (void (**each)(void) = __init_array_start; each < __init_array_end; each++) (*each)();
  board_exit(main());
}

void board_reset(void) {
  REG(0xE000ED08) = (uint32_t)vectors;               /* VTOR */
#ifdef KINGLET_FPU
  REG(0xE000ED88) |= 0xFu << 20;                     /* CPACR: CP10 and CP11, the FPU and MVE */
#endif
#ifdef KINGLET_STRICT_ALIGNMENT
  REG(0xE000ED14) |= 1u << 3;                        /* CCR.UNALIGN_TRP: Armv6-M has no unaligned access */
#endif
  __asm volatile("dsb\nisb" ::: "memory");
  start();
}

/* No frames in these three: they must not disturb what they measure. */
__attribute__((naked)) void board_stack_paint(void) {
  __asm volatile(
    "mov r1, sp\n"
    "ldr r0, =board_painted_at\n"
    "str r1, [r0]\n"
    "ldr r0, =__stack_limit\n"
    "ldr r2, =0xa5a5a5a5\n"
    "1: cmp r0, r1\n"
    "bhs 2f\n"
    "str r2, [r0]\n"
    "adds r0, #4\n"
    "b 1b\n"
    "2: bx lr\n"
    ".ltorg\n");
}

__attribute__((naked)) uint32_t board_stack_scan(void) {
  __asm volatile(
    "ldr r0, =__stack_limit\n"
    "ldr r2, =0xa5a5a5a5\n"
    "ldr r1, =board_painted_at\n"
    "ldr r1, [r1]\n"
    "1: cmp r0, r1\n"
    "bhs 2f\n"
    "ldr r3, [r0]\n"
    "cmp r3, r2\n"
    "bne 2f\n"
    "adds r0, #4\n"
    "b 1b\n"
    "2: bx lr\n"
    ".ltorg\n");
}

__attribute__((naked)) long board_semihost(long operation, const void *argument) {
  (void)operation;
  (void)argument;
  __asm volatile("bkpt 0xAB\nbx lr\n");
}

uint32_t board_calibrate(void) {
  uint32_t count = 1000000;
  uint32_t before = board_ticks();
  __asm volatile(".balign 4\n1: subs %0, %0, #1\nbne 1b\n" : "+l"(count)::"cc");
  return board_ticks() - before;
}
`;

/** CMSDK APB timer (Arm DDI0479D §4.4): a 32-bit down counter, extended to 64 bits by counting wraps between reads. */
export const CMSDK_TIMER: string = String.raw`#include "kinglet_board.h"
#define TIMER ((volatile uint32_t *)KINGLET_TIMER)
static uint32_t last;
static uint32_t wraps;

void board_timer_start(void) {
  TIMER[0] = 0;
  TIMER[2] = 0xffffffffu;
  TIMER[1] = 0xffffffffu;
  TIMER[0] = 1;
}

/* Sees every wrap as long as it is called at least once per 2^32 ticks. */
uint64_t board_ticks64(void) {
  uint32_t now = 0xffffffffu - TIMER[1];
  if (now < last) wraps++;
  last = now;
  return (uint64_t)wraps << 32 | now;
}
`;

/**
 * CMSDK APB UART (Arm DDI0479D §4.3), both ways at 115,200 baud. Its interrupt only wakes the core, which takes none: PRIMASK is set
 * (Armv7-M, DDI0403E B1.5.18 on WFI).
 */
export const CMSDK_SERIAL: string = String.raw`#include "kinglet_board.h"
#define UART ((volatile uint32_t *)KINGLET_SERIAL)
#define REG(address) (*(volatile uint32_t *)(address))
enum { DATA, STATE, CONTROL, INTERRUPT, DIVIDER };

void board_serial_start(void) {
  __asm volatile("cpsid i");
  UART[DIVIDER] = 217;                                  /* 25 MHz / 115,200 */
  UART[CONTROL] = 1u | 2u | 8u;                         /* send, receive, an interrupt for a byte that came */
  REG(0xE000E100) = 1u << KINGLET_SERIAL_INTERRUPT;     /* NVIC_ISER0 */
}

uint8_t board_serial_read(void) {
  while ((UART[STATE] & 2u) == 0) __asm volatile("wfi");
  UART[INTERRUPT] = 2;
  REG(0xE000E280) = 1u << KINGLET_SERIAL_INTERRUPT;     /* NVIC_ICPR0 */
  return (uint8_t)UART[DATA];
}

void board_serial_write(uint8_t byte) {
  while ((UART[STATE] & 1u) != 0) {
  }
  UART[DATA] = byte;
}
`;

/** SSE-300 system counter and timer 0 (Arm 101773, SSE-300 TRM, §5.5): a 64-bit up counter at the 32 MHz system clock. */
export const SSE_TIMER: string = String.raw`#include "kinglet_board.h"
#define COUNTER_CONTROL (*(volatile uint32_t *)0x58100000u)
#define TIMER ((volatile uint32_t *)KINGLET_TIMER)

void board_timer_start(void) { COUNTER_CONTROL = 1; }

uint64_t board_ticks64(void) {
  uint32_t high = TIMER[1];
  uint32_t low = TIMER[0];
  uint32_t again = TIMER[1];
  if (again != high) low = TIMER[0];
  return (uint64_t)again << 32 | low;
}
`;
