/**
 * Startup of RV32IMC on QEMU's `virt` machine, in machine mode. Output and exit by semihosting
 * (RISC-V semihosting specification 0.3), instructions from `minstret`, which under
 * `-icount shift=0` counts one by one. A locked PMP entry (privileged specification §3.7) guards the stack.
 */
export const RV32_STARTUP: string = String.raw`
  .option arch, +zicsr
  .section .vectors, "ax"
  .globl board_reset
board_reset:
  .option push
  .option norelax
  la gp, __global_pointer$
  .option pop
  la tp, __tls_start
  la sp, __stack_top
  la t0, board_trap
  csrw mtvec, t0
  la t0, __stack_limit       # PMP entry 0, locked: no access to the 64 KiB below the stack
  li t1, -65536
  add t0, t0, t1
  srli t0, t0, 2
  li t1, 0x1fff
  or t0, t0, t1
  csrw pmpaddr0, t0
  li t0, 0x98
  csrw pmpcfg0, t0
  la a0, __data_start
  la a1, __data_end
  la a2, __data_load
1: bgeu a0, a1, 2f
  lw t0, 0(a2)
  sw t0, 0(a0)
  addi a0, a0, 4
  addi a2, a2, 4
  j 1b
2: la a0, __bss_start
  la a1, __bss_end
3: bgeu a0, a1, 4f
  sw zero, 0(a0)
  addi a0, a0, 4
  j 3b
4: la t0, __stack_limit
  li t1, 0xa5a5a5a5
  sw t1, 0(t0)
  la s0, __init_array_start
  la s1, __init_array_end
5: bgeu s0, s1, 6f
  lw t0, 0(s0)
  jalr t0
  addi s0, s0, 4
  j 5b
6: call main
  call board_exit

  .balign 4
board_trap:
  la sp, __stack_top
  csrr a0, mcause
  csrr a1, mepc
  csrr a2, mtval
  call board_fault

  .section .text.board_stack_paint, "ax"
  .globl board_stack_paint
board_stack_paint:
  la t0, board_painted_at
  sw sp, 0(t0)
  la t0, __stack_limit
  li t1, 0xa5a5a5a5
1: bgeu t0, sp, 2f
  sw t1, 0(t0)
  addi t0, t0, 4
  j 1b
2: ret

  .section .text.board_stack_scan, "ax"
  .globl board_stack_scan
board_stack_scan:
  la a0, __stack_limit
  li t1, 0xa5a5a5a5
  la t0, board_painted_at
  lw t0, 0(t0)
1: bgeu a0, t0, 2f
  lw t2, 0(a0)
  bne t2, t1, 2f
  addi a0, a0, 4
  j 1b
2: ret

  .section .text.board_semihost, "ax"
  .globl board_semihost
  .balign 16
board_semihost:
  .option push
  .option norvc
  slli x0, x0, 0x1f
  ebreak
  srai x0, x0, 7
  ret
  .option pop

  .section .text.board_ticks64, "ax"
  .globl board_ticks64
board_ticks64:
  csrr a1, minstreth
  csrr a0, minstret
  csrr t0, minstreth
  bne a1, t0, board_ticks64
  ret

  .section .text.board_calibrate, "ax"
  .globl board_calibrate
board_calibrate:
  li a0, 1000000
  csrr t0, minstret
1: addi a0, a0, -1
  bnez a0, 1b
  csrr t1, minstret
  sub a0, t1, t0
  addi a0, a0, -1           # the first read itself
  ret
`;
