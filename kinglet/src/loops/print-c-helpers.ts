import { HELIUM_HELPERS } from "./print-helium.ts";

/** A little inline function of the printed C. */
interface Helper {
  /** Present in the text of a function that needs the helper. */
  readonly marker: string;
  readonly text: string;
}

function inline(result: string, name: string, params: string, body: string): Helper {
  return { marker: `${name}(`, text: `K_INLINE ${result} ${name}(${params}) { ${body} }` };
}

/** A helper long enough for the compiler to decide. */
function notInlined(result: string, name: string, params: string, body: string): Helper {
  return { marker: `${name}(`, text: `static inline ${result} ${name}(${params}) { ${body} }` };
}

export const HELPERS: readonly Helper[] = [
  inline("int32_t", "k_min", "int32_t a, int32_t b", "return a < b ? a : b;"),
  inline("int32_t", "k_max", "int32_t a, int32_t b", "return a > b ? a : b;"),
  inline("int64_t", "k_min64", "int64_t a, int64_t b", "return a < b ? a : b;"),
  inline("int64_t", "k_max64", "int64_t a, int64_t b", "return a > b ? a : b;"),
  inline("float", "k_minf", "float a, float b", "return a < b ? a : b;"),
  inline("float", "k_maxf", "float a, float b", "return a > b ? a : b;"),
  inline("int32_t", "k_abs", "int32_t a", "return a < 0 ? -a : a;"),
  inline("int64_t", "k_abs64", "int64_t a", "return a < 0 ? -a : a;"),
  inline("int32_t", "k_word", "const void *p", "int32_t v; memcpy(&v, p, 4); return v;"),
  inline("float", "k_bits_to_float", "int32_t a", "float v; memcpy(&v, &a, 4); return v;"),
  inline("int32_t", "k_float_to_bits", "float a", "int32_t v; memcpy(&v, &a, 4); return v;"),
  notInlined(
    "int32_t",
    "k_clz",
    "int32_t a",
    "int32_t n = 0; if (a == 0) return 32; while (a > 0) { a = (int32_t)((uint32_t)a << 1); n++; } return n;",
  ),
  notInlined("int32_t", "roundingHighMul", "int32_t a, int32_t b", "return (int32_t)(((int64_t)a * b + INT32_C(1073741824)) >> 31);"),
  {
    marker: "roundingHighMulSmall(",
    text: `#if defined(__ARM_FEATURE_SIMD32)
K_INLINE int32_t roundingHighMulSmall(int32_t a, int32_t b) {
  int32_t result;
  __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a * 2), "r"(b));
  return result;
}
#else
K_INLINE int32_t roundingHighMulSmall(int32_t a, int32_t b) { return (int32_t)(((int64_t)a * b + INT32_C(1073741824)) >> 31); }
#endif`,
  },
  {
    marker: "smlad(",
    text: `#if defined(__ARM_FEATURE_SIMD32)
K_INLINE int32_t smlad(int32_t a, int32_t b, int32_t acc) { return (int32_t)__smlad((int16x2_t)a, (int16x2_t)b, acc); }
#else
K_INLINE int32_t smlad(int32_t a, int32_t b, int32_t acc) {
  const int32_t low = (int16_t)((uint32_t)a & 0xffffu) * (int16_t)((uint32_t)b & 0xffffu);
  const int32_t high = (a >> 16) * (b >> 16);
  return (int32_t)((uint32_t)acc + (uint32_t)low + (uint32_t)high);
}
#endif`,
  },
  halfProduct("smlabt", "(int16_t)((uint32_t)a & 0xffffu) * (b >> 16)"),
  halfProduct("smlatb", "(a >> 16) * (int16_t)((uint32_t)b & 0xffffu)"),
  dspOperation("pkhbt", "%1, %2, lsl #16", "((uint32_t)a & 0xffffu) | ((uint32_t)b << 16)"),
  dspOperation("pkhtb", "%2, %1, asr #16", "((uint32_t)a >> 16) | ((uint32_t)b & 0xffff0000u)"),
  dspOperation("smmulr", "%1, %2", "((int64_t)a * b + INT64_C(2147483648)) >> 32"),
  dspOperation("ssub16", "%1, %2", "(((uint32_t)a - (uint32_t)b) & 0xffffu) | ((((uint32_t)a >> 16) - ((uint32_t)b >> 16)) << 16)"),
  dspOperation("sadd16", "%1, %2", "(((uint32_t)a + (uint32_t)b) & 0xffffu) | ((((uint32_t)a >> 16) + ((uint32_t)b >> 16)) << 16)"),
  {
    marker: "smmla(",
    text: `#if defined(__ARM_FEATURE_SIMD32)
K_INLINE int32_t smmla(int32_t a, int32_t b, int32_t acc) {
  int32_t result;
  __asm__("smmla %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(acc));
  return result;
}
#elif defined(__ARM_ARCH_6M__)
/* Armv6-M has no long products: the upper word from four short ones. It stays a function: kernels have few registers.
   low and cross hold the middle products, whose lower halves make the carry. */
static __attribute__((noinline)) int32_t smmla(int32_t a, int32_t b, int32_t acc) {
  int32_t low, cross, t;
  __asm__(".syntax unified\\n\\t"
          "uxth %3, %0\\n\\tasrs %0, %0, #16\\n\\tuxth %4, %1\\n\\tasrs %1, %1, #16\\n\\tmovs %5, %4\\n\\t"
          "muls %5, %3, %5\\n\\tmuls %4, %0, %4\\n\\tmuls %3, %1, %3\\n\\tmuls %0, %1, %0\\n\\t"
          "lsrs %5, %5, #16\\n\\tadds %3, %3, %5\\n\\tasrs %5, %4, #16\\n\\tadds %2, %2, %5\\n\\tasrs %5, %3, #16\\n\\tadds %2, %2, %5\\n\\t"
          "lsls %4, %4, #16\\n\\tlsls %3, %3, #16\\n\\tadds %4, %4, %3\\n\\tadcs %0, %0, %2"
          : "+l"(a), "+l"(b), "+l"(acc), "=&l"(low), "=&l"(cross), "=&l"(t) : : "cc");
  return a;
}
#else
K_INLINE int32_t smmla(int32_t a, int32_t b, int32_t acc) { return (int32_t)((uint32_t)acc + (uint32_t)(int32_t)(((int64_t)a * b) >> 32)); }
#endif`,
  },
  {
    marker: "sxtb16(",
    text: `#if defined(__ARM_FEATURE_SIMD32)
K_INLINE int32_t sxtb16(int32_t a) { return (int32_t)__sxtb16((int8x4_t)a); }
#else
K_INLINE int32_t sxtb16(int32_t a) { return (int32_t)(((uint32_t)(int8_t)((uint32_t)a & 255u) & 0xffffu) | ((uint32_t)(int8_t)(((uint32_t)a >> 16) & 255u) << 16)); }
#endif`,
  },
  {
    marker: "sxtb16High(",
    text: `#if defined(__ARM_FEATURE_SIMD32)
K_INLINE int32_t sxtb16High(int32_t a) {
  int32_t result;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(a));
  return result;
}
#else
K_INLINE int32_t sxtb16High(int32_t a) { return (int32_t)(((uint32_t)(int8_t)(((uint32_t)a >> 8) & 255u) & 0xffffu) | ((uint32_t)(int8_t)(((uint32_t)a >> 24) & 255u) << 16)); }
#endif`,
  },
  {
    marker: "multiplyAdd(",
    text: `#if defined(__ARM_FEATURE_FMA)
static inline float multiplyAdd(float a, float b, float c) { return fmaf(a, b, c); }
#else
static inline float multiplyAdd(float a, float b, float c) { return c + a * b; }
#endif`,
  },
  {
    marker: "addHighHalf(",
    text: `#if defined(__ARM_ARCH_6M__)
K_INLINE int32_t addHighHalf(int32_t a, int32_t b) {
  __asm__(".syntax unified\\n\\tasrs %1, %1, #16\\n\\tadcs %0, %0, %1" : "+l"(a), "+l"(b) : : "cc");
  return a;
}
#else
K_INLINE int32_t addHighHalf(int32_t a, int32_t b) { return a + ((b + 32768) >> 16); }
#endif`,
  },
  laneProduct("addShiftedProduct", "int32_t acc, int32_t a, int32_t b", "lsrs %1, %3, #8", "srli %1, %3, 8", "((uint32_t)b >> 8)"),
  laneProduct(
    "addMaskedProduct",
    "int32_t acc, int32_t a, int32_t b, int32_t mask",
    "ands %1, %1, %4",
    "and %1, %3, %4",
    "((uint32_t)b & (uint32_t)mask)",
  ),
  {
    marker: "addAside(",
    text: `#if defined(__ARM_ARCH_6M__)
K_INLINE int32_t addAside(int32_t acc, int32_t a) {
  __asm__("add %0, %0, %1" : "+h"(acc) : "l"(a));
  return acc;
}
#else
K_INLINE int32_t addAside(int32_t acc, int32_t a) { return (int32_t)((uint32_t)acc + (uint32_t)a); }
#endif`,
  },
  {
    marker: "addProduct(",
    text: `#if defined(__ARM_ARCH_6M__)
/* In two fixed steps: left to itself the compiler sums products apart and runs out of registers. */
K_INLINE int32_t addProduct(int32_t acc, int32_t a, int32_t b) {
  __asm__(".syntax unified\\n\\tmuls %1, %2, %1\\n\\tadds %0, %0, %1" : "+l"(acc), "+l"(b) : "l"(a) : "cc");
  return acc;
}
#elif defined(__riscv_mul)
K_INLINE int32_t addProduct(int32_t acc, int32_t a, int32_t b) {
  int32_t result, t;
  __asm__("mul %1, %2, %3\\n\\tadd %0, %4, %1" : "=r"(result), "=&r"(t) : "r"(a), "r"(b), "r"(acc));
  return result;
}
#else
K_INLINE int32_t addProduct(int32_t acc, int32_t a, int32_t b) { return (int32_t)((uint32_t)acc + (uint32_t)a * (uint32_t)b); }
#endif`,
  },
  {
    marker: "saturate8(",
    text: `#if defined(__ARM_FEATURE_SAT) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 11
K_INLINE int32_t saturate8(int32_t a) { return (int32_t)__builtin_arm_ssat(a, 8); }
#elif defined(__ARM_FEATURE_SAT) && defined(__clang__)
K_INLINE int32_t saturate8(int32_t a) { return __builtin_arm_ssat(a, 8); }
#else
K_INLINE int32_t saturate8(int32_t a) { return a < -128 ? -128 : a > 127 ? 127 : a; }
#endif`,
  },
  extendAndAdd("sxtab16", 0),
  extendAndAdd("sxtab16High", 8),
  ...HELIUM_HELPERS,
];

/** Armv7E-M's products of one half of each word, and what they mean elsewhere. */
function halfProduct(name: string, product: string): Helper {
  return {
    marker: `${name}(`,
    text: `#if defined(__ARM_FEATURE_SIMD32)
K_INLINE int32_t ${name}(int32_t a, int32_t b, int32_t acc) { return __${name}(a, b, acc); }
#else
K_INLINE int32_t ${name}(int32_t a, int32_t b, int32_t acc) { return (int32_t)((uint32_t)acc + (uint32_t)(${product})); }
#endif`,
  };
}

/** Products of some lanes of a word, in fixed steps: compilers mix many of them until registers run out. */
function laneProduct(name: string, params: string, armv6: string, riscv: string, lanes: string): Helper {
  const masked = params.endsWith("mask");
  const mask = (kind: string): string => (masked ? `, "${kind}"(mask)` : "");
  const fromB = masked ? `"=&l"(t) : "l"(a), "1"(b)` : `"=&l"(t) : "l"(a), "l"(b)`;
  return {
    marker: `${name}(`,
    text: `#if defined(__ARM_ARCH_6M__)
K_INLINE int32_t ${name}(${params}) {
  int32_t t;
  __asm__(".syntax unified\\n\\t${armv6}\\n\\tmuls %1, %2, %1\\n\\tadds %0, %0, %1" : "+l"(acc), ${fromB}${mask("l")} : "cc");
  return acc;
}
#elif defined(__riscv_mul)
K_INLINE int32_t ${name}(${params}) {
  int32_t result, t;
  __asm__("${riscv}\\n\\tmul %1, %2, %1\\n\\tadd %0, ${masked ? "%5" : "%4"}, %1" : "=r"(result), "=&r"(t) : "r"(a), "r"(b)${mask("r")}, "r"(acc));
  return result;
}
#else
K_INLINE int32_t ${name}(${params}) { return (int32_t)((uint32_t)acc + (uint32_t)a * ${lanes}); }
#endif`,
  };
}

/** Operations of Armv7E-M that compilers do not find on their own. */
function dspOperation(name: string, operands: string, plain: string): Helper {
  return {
    marker: `${name}(`,
    text: `#if defined(__ARM_FEATURE_SIMD32)
K_INLINE int32_t ${name}(int32_t a, int32_t b) {
  int32_t result;
  __asm__("${name} %0, ${operands}" : "=r"(result) : "r"(a), "r"(b));
  return result;
}
#else
K_INLINE int32_t ${name}(int32_t a, int32_t b) { return (int32_t)(${plain}); }
#endif`,
  };
}

/** Armv7E-M's SXTAB16 and what it means elsewhere; `rotate` is the byte it starts from. */
function extendAndAdd(name: string, rotate: 0 | 8): Helper {
  const byte = (shift: number): string => `(int32_t)(int8_t)(((uint32_t)a >> ${shift}) & 255u)`;
  return {
    marker: `${name}(`,
    text: `#if defined(__ARM_FEATURE_SIMD32)
K_INLINE int32_t ${name}(int32_t a, int32_t b) {
  int32_t result;
  __asm__("sxtab16 %0, %1, %2${rotate === 0 ? "" : ", ror #8"}" : "=r"(result) : "r"(b), "r"(a));
  return result;
}
#else
K_INLINE int32_t ${name}(int32_t a, int32_t b) {
  const uint32_t low = (uint32_t)${byte(rotate)} + (uint32_t)b;
  const uint32_t high = (uint32_t)${byte(rotate + 16)} + ((uint32_t)b >> 16);
  return (int32_t)((low & 0xffffu) | (high << 16));
}
#endif`,
  };
}

/** Functions with an attribute of their own take in others only when told to. */
export const INLINE = `#if defined(__GNUC__)
#define K_INLINE static inline __attribute__((always_inline))
#else
#define K_INLINE static inline
#endif`;
