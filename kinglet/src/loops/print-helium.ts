import { heliumOp } from "./helium.ts";
import type { ExprNode } from "./expr.ts";
import type { VectorStore } from "./program.ts";

/** What the C of kernels with Helium vectors includes. */
export const HELIUM_INCLUDE = `#if !defined(__ARM_FEATURE_MVE)
#error "these kernels need Helium (MVE): compile for a core that has it, or make the library for another target"
#endif
#include <arm_mve.h>`;

/** The little inline functions behind some operations: what compilers do not make of intrinsics by themselves. */
export const HELIUM_HELPERS: readonly { readonly marker: string; readonly text: string }[] = [
  {
    marker: "k_lanes(",
    text: `K_INLINE int32x4_t k_lanes(int32_t a, int32_t b, int32_t c, int32_t d) {
  int32x4_t v;
  __asm__("vmov %q0[2], %q0[0], %1, %2\\n\\tvmov %q0[3], %q0[1], %3, %4" : "=&w"(v) : "r"(a), "r"(c), "r"(b), "r"(d));
  return v;
}`,
  },
  {
    marker: "k_saturate8(",
    text: `K_INLINE int32x4_t k_saturate8(int32x4_t v) {
  __asm__("vqmovnb.s32 %q0, %q0\\n\\tvqmovnb.s16 %q0, %q0" : "+w"(v));
  return v;
}`,
  },
  {
    marker: "k_add_sign(",
    text: "K_INLINE int32x4_t k_add_sign(int32x4_t v) { return vaddq_s32(v, vshrq_n_s32(v, 31)); }",
  },
  {
    marker: "k_interleave(",
    text: `K_INLINE void k_interleave(k_int32 *p, int8x16_t a, int8x16_t b, int8x16_t c, int8x16_t d) {
  int8x16x4_t v;
  v.val[0] = a;
  v.val[1] = b;
  v.val[2] = c;
  v.val[3] = d;
  /* A pointer of its own: GCC 12 would move a loop's pointer along with the store by a register, which VST4 cannot. */
  __asm__("" : "+r"(p));
  vst4q_s8((int8_t *)p, v);
}`,
  },
  {
    marker: "k_gather(",
    text: "K_INLINE int8x16_t k_gather(const k_int32 *p, int32_t stride) { return vreinterpretq_s8_s32(vldrwq_gather_shifted_offset_s32((const int32_t *)p, vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)stride))); }",
  },
];

/** C of a vector operation. */
export function heliumText(op: string, args: readonly string[]): string {
  const spec = heliumOp(op);
  if (spec === undefined) throw new TypeError(`C has no ${op}: lower with the schedules of its target`);
  return spec.c.replace(/\$(\d)/g, (_, i: string) => args[Number(i)]!);
}

/** C of a vector load from `address`. Loads of bytes may lie anywhere, those of words on words. */
export function heliumLoadText(node: Extract<ExprNode, { kind: "vectorLoad" }>, type: string, address: string, stride: string): string {
  if (node.form === "gather") return `k_gather(${address}, ${stride})`;
  if (node.form === "widen4s") return `vldrbq_s32(${address})`;
  const words = node.buffer.type === "i32";
  if (node.form !== "full" || (type === "i32x4" && !words))
    throw new TypeError(`C has no vector load ${node.form} of ${type} from ${node.buffer.type}`);
  if (node.count !== undefined) return `vldrbq_z_s8(${address}, ${2 ** node.count - 1})`;
  if (!words) return `vldrbq_s8(${address})`;
  const load = `vldrwq_s32((const int32_t *)(${address}))`;
  return type === "i8x16" ? `vreinterpretq_s8_s32(${load})` : load;
}

/** C of a vector store. */
export function heliumStoreText(stmt: VectorStore, address: string, values: readonly string[]): string {
  if (stmt.form === "narrow") return `vstrbq_s32(${address}, ${values[0]})`;
  if (stmt.form === "interleave4" && stmt.buffer.type === "i32") return `k_interleave(${address}, ${values.join(", ")})`;
  if (stmt.form !== "full" || stmt.buffer.type !== "i8") throw new TypeError(`C has no vector store ${stmt.form} to ${stmt.buffer.type}`);
  return `vstrbq_s8(${address}, ${values[0]})`;
}
