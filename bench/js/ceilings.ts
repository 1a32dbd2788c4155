import wabt from "wabt";

/** Inner steps of a matrix product whose rate bounds any engine of WebAssembly on this machine. */
export type CeilingKind = "int8" | "float32" | "int8-relaxed" | "float32-relaxed";

interface Step {
  /** Multiply-accumulates of one 4 × 8 tile at one step of the reduction. */
  readonly macs: number;
  /** acc + a · b as text. */
  readonly text: (acc: string, a: string, b: string) => string;
}

const STEPS: Readonly<Record<CeilingKind, Step>> = {
  // int8 widened to int16 beforehand: two products a lane.
  int8: { macs: 64, text: (acc, a, b) => `(i32x4.add ${acc} (i32x4.dot_i16x8_s ${a} ${b}))` },
  float32: { macs: 32, text: (acc, a, b) => `(f32x4.add ${acc} (f32x4.mul ${a} ${b}))` },
  // Four products of bytes a lane, in newer browsers only.
  "int8-relaxed": { macs: 128, text: (acc, a, b) => `(i32x4.relaxed_dot_i8x16_i7x16_add_s ${a} ${b} ${acc})` },
  "float32-relaxed": { macs: 32, text: (acc, a, b) => `(f32x4.relaxed_madd ${a} ${b} ${acc})` },
};
const [ROWS, REDUCTION, A_BYTES, B_BYTES] = [4, 256, 16, 32];
const TILES_A_RUN = 1000;

/** A tile of 4 rows by 8 columns, operands in the first-level cache, the reduction unrolled by one: the shape that V8 does not spill. */
function tileText(step: Step): string {
  const cells = Array.from({ length: ROWS }, (_, row) => [0, 1].map((half) => ({ name: `$c${row}${half}`, half })));
  const row = (cells: readonly { name: string; half: number }[], i: number): string =>
    `(local.set $a (v128.load32_splat offset=${4 * i} (local.get $pa)))
     ${cells.map(({ name, half }) => `(local.set ${name} ${step.text(`(local.get ${name})`, "(local.get $a)", `(local.get $b${half})`)})`).join("\n")}`;
  const names = cells.flat().map(({ name }) => name);
  return `(module (memory (export "memory") 1) (func (export "run")
    (local $n i32) (local $pa i32) (local $pb i32) (local $a v128) (local $b0 v128) (local $b1 v128) ${names.map((name) => `(local ${name} v128)`).join(" ")}
    (local.set $n (i32.const ${TILES_A_RUN}))
    (loop $tiles
      ${names.map((name) => `(local.set ${name} (v128.const i32x4 0 0 0 0))`).join("\n")}
      (local.set $pa (i32.const 0)) (local.set $pb (i32.const ${REDUCTION * A_BYTES}))
      (loop $k
        (local.set $b0 (v128.load (local.get $pb))) (local.set $b1 (v128.load offset=16 (local.get $pb)))
        ${cells.map(row).join("\n")}
        (local.set $pb (i32.add (local.get $pb) (i32.const ${B_BYTES})))
        (br_if $k (i32.lt_u (local.tee $pa (i32.add (local.get $pa) (i32.const ${A_BYTES}))) (i32.const ${REDUCTION * A_BYTES}))))
      ${names.map((name, i) => `(v128.store offset=${REDUCTION * (A_BYTES + B_BYTES) + 16 * i} (i32.const 0) (local.get ${name}))`).join("\n")}
      (br_if $tiles (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  )`;
}

interface Ceiling {
  /** WebAssembly whose exported `run` does `macs` multiply-accumulates on its exported memory. */
  readonly module: Uint8Array;
  readonly macs: number;
}

export async function ceilingOf(kind: CeilingKind): Promise<Ceiling> {
  const { parseWat } = await wabt();
  const parsed = parseWat(`${kind}.wat`, tileText(STEPS[kind]), { simd: true, relaxed_simd: true });
  return { module: parsed.toBinary({}).buffer, macs: STEPS[kind].macs * REDUCTION * TILES_A_RUN };
}

/** Numbers of ordinary size, so that no product is denormal. */
function fillOperands(kind: CeilingKind, memory: ArrayBuffer): void {
  if (kind === "int8") new Int16Array(memory).forEach((_, i, all) => (all[i] = (i % 251) - 125));
  else new Float32Array(memory).forEach((_, i, all) => (all[i] = ((i % 251) - 125) / 128));
}

/** The ceiling as something to run here. */
export async function ceilingRunner(kind: CeilingKind): Promise<{ readonly run: () => void; readonly macs: number }> {
  const { module, macs } = await ceilingOf(kind);
  const { instance } = await WebAssembly.instantiate(module as Uint8Array<ArrayBuffer>);
  const { memory, run } = instance.exports as { memory: WebAssembly.Memory; run: () => void };
  fillOperands(kind, memory.buffer);
  return { run, macs };
}
