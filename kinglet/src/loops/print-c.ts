import type { Expr } from "./expr.ts";
import { HELIUM_HELPERS, heliumLoadText, heliumStoreText, heliumText } from "./print-helium.ts";
import type { Func, Stmt } from "./program.ts";
import type { MemoryType, ScalarType } from "./types.ts";

/** C types of buffer elements; wider ones may alias because one arena holds them all in turn. */
export const C_MEMORY: Readonly<Record<MemoryType, string>> = {
  i8: "int8_t",
  u8: "uint8_t",
  i16: "k_int16",
  u16: "k_uint16",
  i32: "k_int32",
  i64: "k_int64",
  f32: "k_float",
};

const C_STORED: Readonly<Record<MemoryType, string>> = {
  i8: "int8_t",
  u8: "uint8_t",
  i16: "int16_t",
  u16: "uint16_t",
  i32: "int32_t",
  i64: "int64_t",
  f32: "float",
};

const C_SCALAR: Readonly<Record<ScalarType, string>> = { i32: "int32_t", i64: "int64_t", f32: "float" };
const C_TYPE: Readonly<Record<string, string>> = { ...C_SCALAR, i8x16: "int8x16_t", i16x8: "int16x8_t", i32x4: "int32x4_t" };

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

const HELPERS: readonly Helper[] = [
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
const INLINE = `#if defined(__GNUC__)
#define K_INLINE static inline __attribute__((always_inline))
#else
#define K_INLINE static inline
#endif`;

/** The little inline functions that `code` calls. */
export function cHelpers(code: string): string {
  const used = HELPERS.filter((helper) => new RegExp(`\\b${helper.marker.replace("(", "\\(")}`).test(code));
  return [INLINE, ...used.map((helper) => helper.text)].join("\n");
}

/** Types of arena elements. The arena is bytes; these may alias it. */
export function cTypedefs(code: string): string {
  const lines = ["#if defined(__GNUC__)", "#define K_ALIAS __attribute__((may_alias))", "#else", "#define K_ALIAS", "#endif"];
  const types: readonly (readonly [string, string])[] = [
    ["k_int16", "int16_t"],
    ["k_uint16", "uint16_t"],
    ["k_int32", "int32_t"],
    ["k_int64", "int64_t"],
    ["k_float", "float"],
  ];
  const used = types.filter(([name]) => code.includes(`${name} `));
  return used.length === 0 ? "" : [...lines, ...used.map(([name, type]) => `typedef ${type} K_ALIAS ${name};`), ""].join("\n");
}

const OPERATORS: Readonly<Record<string, string>> = {
  add: "+",
  sub: "-",
  mul: "*",
  div: "/",
  rem: "%",
  and: "&",
  or: "|",
  xor: "^",
  shr: ">>",
};
const WRAPPING: Readonly<Record<string, string>> = { wrapAdd: "+", wrapSub: "-", wrapMul: "*", shl: "<<", shru: ">>" };
const COMPARE = { eq: "==", ne: "!=", lt: "<", le: "<=", gt: ">", ge: ">=" } as const;

export function floatText(value: number): string {
  if (Number.isNaN(value)) return "NAN";
  if (!Number.isFinite(value)) return value > 0 ? "INFINITY" : "(-INFINITY)";
  if (value === 0) return Object.is(value, -0) ? "-0.0f" : "0.0f";
  const text = value
    .toPrecision(9)
    .replace(/(\.\d*?)0+(e|$)/, "$1$2")
    .replace(/\.(e|$)/, ".0$1");
  return `${text.includes(".") || text.includes("e") ? text : `${text}.0`}f`;
}

function constantText(e: Expr, value: number | bigint): string {
  if (e.type === "f32") return value < 0 || Object.is(value, -0) ? `(${floatText(value as number)})` : floatText(value as number);
  if (e.type === "i64") return value === -(2n ** 63n) ? "INT64_MIN" : value < 0 ? `(INT64_C(${value}))` : `INT64_C(${value})`;
  if (value === -(2 ** 31)) return "INT32_MIN";
  return value < 0 ? `(${value})` : String(value);
}

function unsignedOf(type: string): string {
  return type === "i64" ? "uint64_t" : "uint32_t";
}

function binaryText(op: string, type: string, a: Expr, b: Expr): string {
  const left = exprText(a);
  const right = exprText(b);
  if (op === "min" || op === "max") return `k_${op}${type === "i64" ? "64" : type === "f32" ? "f" : ""}(${bare(left)}, ${bare(right)})`;
  const wrapping = WRAPPING[op];
  if (wrapping === undefined) return `(${left} ${OPERATORS[op]} ${right})`;
  const unsigned = unsignedOf(type);
  const second = op.startsWith("sh") ? right : `(${unsigned})${right}`;
  return `((${C_SCALAR[type as ScalarType]})((${unsigned})${left} ${wrapping} ${second}))`;
}

function unaryText(op: string, operand: Expr): string {
  const a = exprText(operand);
  const suffix = operand.type === "i64" ? "64" : "";
  switch (op) {
    case "neg":
      return `(-${a})`;
    case "abs":
      return operand.type === "f32" ? `fabsf(${bare(a)})` : `k_abs${suffix}(${bare(a)})`;
    case "sqrt":
    case "floor":
    case "ceil":
    case "trunc":
    case "rint":
      return `${op}f(${bare(a)})`;
    case "clz":
      return `k_clz(${bare(a)})`;
    case "bitsToFloat":
      return `k_bits_to_float(${bare(a)})`;
    case "floatToBits":
      return `k_float_to_bits(${bare(a)})`;
    default:
      throw new TypeError(`C has no ${op}`);
  }
}

/** Without parentheses around the whole. */
function bare(text: string): string {
  if (!text.startsWith("(") || !text.endsWith(")")) return text;
  let depth = 0;
  for (let i = 0; i < text.length - 1; i++) {
    if (text[i] === "(") depth++;
    else if (text[i] === ")") depth--;
    if (depth === 0) return text;
  }
  return text.slice(1, -1);
}

function addressText(buffer: { name: string }, index: Expr): string {
  const text = exprText(index);
  return text === "0" ? buffer.name : `${buffer.name} + ${text}`;
}

function exprText(e: Expr): string {
  const node = e.node;
  switch (node.kind) {
    case "const":
      return constantText(e, node.value);
    case "local":
    case "param":
      return node.name;
    case "load":
      return `${node.buffer.name}[${bare(exprText(node.index))}]`;
    case "loadWord":
      return `k_word(${addressText(node.buffer, node.index)})`;
    case "binary":
      return binaryText(node.op, e.type, node.a, node.b);
    case "compare":
      return `(${exprText(node.a)} ${COMPARE[node.op]} ${exprText(node.b)})`;
    case "unary":
      return unaryText(node.op, node.a);
    case "convert":
      return `((${C_SCALAR[e.type as ScalarType]})${exprText(node.a)})`;
    case "select":
      return `(${exprText(node.condition)} ? ${exprText(node.a)} : ${exprText(node.b)})`;
    case "call":
      return `${node.func}(${node.args.map((arg) => bare(exprText(arg))).join(", ")})`;
    case "intrinsic":
      return `${node.name}(${node.args.map((arg) => bare(exprText(arg))).join(", ")})`;
    case "vectorLoad":
      return heliumLoadText(node, e.type, addressText(node.buffer, node.index), node.stride === undefined ? "" : bare(exprText(node.stride)));
    case "vector":
      return heliumText(
        node.op,
        node.args.map((arg) => bare(exprText(arg))),
      );
    default:
      return node satisfies never;
  }
}

function simple(e: Expr): boolean {
  return e.node.kind === "const" || e.node.kind === "param" || e.node.kind === "local";
}

function forLines(stmt: Extract<Stmt, { kind: "for" }>, indent: string): string[] {
  const end = simple(stmt.to) ? exprText(stmt.to) : `${stmt.name}_end`;
  const declare = simple(stmt.to) ? "" : `, ${end} = ${bare(exprText(stmt.to))}`;
  const step = stmt.step === 1 ? `${stmt.name}++` : `${stmt.name} += ${stmt.step}`;
  return [
    `${indent}for (int32_t ${stmt.name} = ${bare(exprText(stmt.from))}${declare}; ${stmt.name} < ${end}; ${step}) {`,
    ...blockLines(stmt.body, `${indent}  `),
    `${indent}}`,
  ];
}

function ifLines(stmt: Extract<Stmt, { kind: "if" }>, indent: string): string[] {
  const lines = [`${indent}if (${bare(exprText(stmt.condition))}) {`, ...blockLines(stmt.body, `${indent}  `)];
  if (stmt.otherwise.length > 0) lines.push(`${indent}} else {`, ...blockLines(stmt.otherwise, `${indent}  `));
  return [...lines, `${indent}}`];
}

function storedText(type: MemoryType, value: Expr): string {
  const text = bare(exprText(value));
  if (type === "i32" || type === "i64" || type === "f32") return text;
  return `(${C_STORED[type]})${text === exprText(value) ? text : `(${text})`}`;
}

function stmtLines(stmt: Stmt, indent: string): string[] {
  switch (stmt.kind) {
    case "let":
      return [`${indent}const ${C_TYPE[stmt.value.type]} ${stmt.name} = ${bare(exprText(stmt.value))};`];
    case "var":
      return [`${indent}${C_TYPE[stmt.value.type]} ${stmt.name} = ${bare(exprText(stmt.value))};`];
    case "assign":
      return [`${indent}${stmt.name} = ${bare(exprText(stmt.value))};`];
    case "store":
      return [`${indent}${stmt.buffer.name}[${bare(exprText(stmt.index))}] = ${storedText(stmt.buffer.type, stmt.value)};`];
    case "copy": {
      const bytes = `(size_t)${exprText(stmt.count)} * sizeof(*${stmt.to.name})`;
      return [`${indent}memmove(${addressText(stmt.to, stmt.toIndex)}, ${addressText(stmt.from, stmt.fromIndex)}, ${bytes});`];
    }
    case "return":
      return [`${indent}return ${bare(exprText(stmt.value))};`];
    case "for":
      return forLines(stmt, indent);
    case "if":
      return ifLines(stmt, indent);
    case "vectorStore":
      return [
        `${indent}${heliumStoreText(
          stmt,
          addressText(stmt.buffer, stmt.index),
          [stmt.value, ...(stmt.rest ?? [])].map((e) => bare(exprText(e))),
        )};`,
      ];
    default:
      return stmt satisfies never;
  }
}

function blockLines(body: readonly Stmt[], indent: string): string[] {
  return body.flatMap((stmt) => stmtLines(stmt, indent));
}

/** One static function as C99. Buffers are pointers to their first element. */
export function printCFunction(func: Func): string {
  const params = func.params.map((param) =>
    param.kind === "scalar" ? `${C_SCALAR[param.type]} ${param.name}` : `${param.writes ? "" : "const "}${C_MEMORY[param.type]} *${param.name}`,
  );
  const result = func.result === null ? "void" : C_SCALAR[func.result];
  return [`/* ${func.doc} */`, `static ${result} ${func.name}(${params.join(", ") || "void"}) {`, ...blockLines(func.body, "  "), "}", ""].join("\n");
}
