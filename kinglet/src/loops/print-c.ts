import type { Expr } from "./expr.ts";
import { HELPERS, INLINE } from "./print-c-helpers.ts";
import { heliumLoadText, heliumStoreText, heliumText } from "./print-helium.ts";
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
