import type { Core, MemoryRegion } from "./cores.ts";

function region(name: string, rights: string, { start, bytes }: MemoryRegion): string {
  return `  ${name} (${rights}) : ORIGIN = 0x${start.toString(16)}, LENGTH = 0x${bytes.toString(16)}`;
}

/**
 * The linker script of a core: vectors first, `.rodata` behind the code or in its own region,
 * the one thread's local variables (picolibc's errno) at the start of `.bss`,
 * the stack of `stackBytes` at the bottom of RAM, then `.data`, `.bss` and what is left as heap. `.bss` loads at its own address: QEMU clears it there.
 */
export function linkerScript(core: Core, stackBytes: number): string {
  const constants = core.constants === undefined ? "CODE" : "CONSTANTS";
  const regions = [region("CODE", "rx", core.code), region("RAM", "rwx", core.ram), region("BIG", "rwx", core.big)];
  if (core.constants !== undefined) regions.push(region("CONSTANTS", "r", core.constants));
  return `MEMORY {
${regions.join("\n")}
}
ENTRY(board_reset)
SECTIONS {
  .vectors : { KEEP(*(.vectors)) } > CODE
  .text : { *(.text .text.*) } > CODE
  .init_array : {
    . = ALIGN(4);
    __init_array_start = .;
    KEEP(*(SORT_BY_INIT_PRIORITY(.init_array.*) .init_array))
    __init_array_end = .;
  } > CODE
  .ARM.extab : { *(.ARM.extab*) } > ${constants}
  .ARM.exidx : { *(.ARM.exidx*) } > ${constants}
  .rodata : { *(.rodata .rodata.* .srodata .srodata.*) . = ALIGN(8); } > ${constants}
  .stack (NOLOAD) : { __stack_limit = .; . += ${stackBytes}; __stack_top = .; } > RAM
  .data : {
    . = ALIGN(8);
    __data_start = .;
    *(.data .data.*)
    __global_pointer$ = . + 0x800;
    *(.sdata .sdata.*)
    . = ALIGN(4);
    __data_end = .;
  } > RAM AT> ${constants}
  __data_load = LOADADDR(.data);
  .tbss : { *(.tbss .tbss.*) } > RAM
  .bss (NOLOAD) : {
    . = ALIGN(8);
    __bss_start = .;
    __tls_start = .;
    . += SIZEOF(.tbss);
    . = ALIGN(8);
    *(.sbss .sbss.* .bss .bss.* COMMON)
    . = ALIGN(8);
    __bss_end = .;
  } > RAM AT> RAM
  kinglet_heap_start = .;
  kinglet_heap_end = ORIGIN(RAM) + LENGTH(RAM);
  .tdata : { *(.tdata .tdata.*) } > RAM
  ASSERT(SIZEOF(.tdata) == 0, "thread-local variables with initial values are not supported")
  .big_rodata : { *(.big_rodata .big_rodata.*) } > BIG
  .big_bss (NOLOAD) : { *(.big_bss .big_bss.*) } > BIG
}
`;
}
