import type { BufferRef, Expr } from "./expr.ts";
import { heliumOp } from "./helium.ts";
import type { Func, Stmt } from "./program.ts";
import { MEMORY_BYTES } from "./types.ts";

/** What generated JavaScript needs beside the functions; each helper is exact. */
export const JS_PRELUDE = `const $f = Math.fround;
const $bits = new Int32Array(1);
const $float = new Float32Array($bits.buffer);
function $toFloat(a) { $bits[0] = a; return $float[0]; }
function $toBits(a) { $float[0] = a; return $bits[0]; }
function $min(a, b) { return a < b ? a : b; }
function $max(a, b) { return a > b ? a : b; }
function $rint(a) {
  const low = Math.floor(a);
  const rest = a - low;
  const nearest = rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
  return nearest === 0 && a < 0 ? -0 : nearest;
}
function $word8(b, i) { return (b[i] & 255) | (b[i + 1] & 255) << 8 | (b[i + 2] & 255) << 16 | b[i + 3] << 24; }
function $word16(b, i) { return (b[i] & 65535) | b[i + 1] << 16; }
function $word32(b, i) { return b[i]; }
function roundingHighMul(a, b) {
  // a * b needs 62 bits: multiply by the halves of b, whose products a double holds exactly.
  const low = a * (b & 65535) + 1073741824;
  return Math.floor((a * (b >> 16) + Math.floor(low / 65536)) / 32768) | 0;
}
const roundingHighMulSmall = roundingHighMul;
function smlad(a, b, acc) { return (Math.imul(a << 16 >> 16, b << 16 >> 16) + Math.imul(a >> 16, b >> 16) + acc) | 0; }
function smlabt(a, b, acc) { return (Math.imul(a << 16 >> 16, b >> 16) + acc) | 0; }
function smlatb(a, b, acc) { return (Math.imul(a >> 16, b << 16 >> 16) + acc) | 0; }
function pkhbt(a, b) { return (a & 65535) | b << 16; }
function pkhtb(a, b) { return a >>> 16 | (b & -65536); }
function sadd16(a, b) { return ((a + b) & 65535) | ((a >> 16) + (b >> 16)) << 16; }
function smmla(a, b, acc) { return (Math.floor((a * (b >> 16) + Math.floor((a * (b & 65535)) / 65536)) / 65536) + acc) | 0; }
function smmulr(a, b) { return Math.floor((a * (b >> 16) + Math.floor((a * (b & 65535) + 2147483648) / 65536)) / 65536) | 0; }
function ssub16(a, b) { return ((a - b) & 65535) | ((a >> 16) - (b >> 16)) << 16; }
function multiplyAdd(a, b, c) { return $f(c + $f(a * b)); }
function addHighHalf(a, b) { return a + (b + 32768 >> 16) | 0; }
function addProduct(acc, a, b) { return acc + Math.imul(a, b) | 0; }
function addAside(acc, a) { return acc + a | 0; }
function addShiftedProduct(acc, a, b) { return acc + Math.imul(a, b >>> 8) | 0; }
function addMaskedProduct(acc, a, b, mask) { return acc + Math.imul(a, b & mask) | 0; }
function saturate8(a) { return a < -128 ? -128 : a > 127 ? 127 : a; }
function sxtb16(a) { return ((a << 24 >> 24) & 65535) | (a << 8 >> 24) << 16; }
function sxtb16High(a) { return ((a << 16 >> 24) & 65535) | (a >> 24) << 16; }
function sxtab16(a, b) { return (((a << 24 >> 24) + b) & 65535) | ((a << 8 >> 24) + (b >> 16)) << 16; }
function sxtab16High(a, b) { return (((a << 16 >> 24) + b) & 65535) | ((a >> 24) + (b >> 16)) << 16; }
`;

type Binary = (a: string, b: string) => string;

const INT: Readonly<Record<string, Binary>> = {
  add: (a, b) => `(${a} + ${b} | 0)`,
  sub: (a, b) => `(${a} - ${b} | 0)`,
  mul: (a, b) => `Math.imul(${a}, ${b})`,
  div: (a, b) => `(${a} / ${b} | 0)`,
  rem: (a, b) => `(${a} % ${b} | 0)`,
  min: (a, b) => `Math.min(${a}, ${b})`,
  max: (a, b) => `Math.max(${a}, ${b})`,
  and: (a, b) => `(${a} & ${b})`,
  or: (a, b) => `(${a} | ${b})`,
  xor: (a, b) => `(${a} ^ ${b})`,
  shl: (a, b) => `(${a} << ${b})`,
  shr: (a, b) => `(${a} >> ${b})`,
  shru: (a, b) => `(${a} >>> ${b} | 0)`,
  wrapAdd: (a, b) => `(${a} + ${b} | 0)`,
  wrapSub: (a, b) => `(${a} - ${b} | 0)`,
  wrapMul: (a, b) => `Math.imul(${a}, ${b})`,
};

const wrap64 = (text: string): string => `BigInt.asIntN(64, ${text})`;

const LONG: Readonly<Record<string, Binary>> = {
  add: (a, b) => `(${a} + ${b})`,
  sub: (a, b) => `(${a} - ${b})`,
  mul: (a, b) => `(${a} * ${b})`,
  div: (a, b) => `(${a} / ${b})`,
  rem: (a, b) => `(${a} % ${b})`,
  min: (a, b) => `$min(${a}, ${b})`,
  max: (a, b) => `$max(${a}, ${b})`,
  and: (a, b) => `(${a} & ${b})`,
  or: (a, b) => `(${a} | ${b})`,
  xor: (a, b) => `(${a} ^ ${b})`,
  shl: (a, b) => wrap64(`${a} << ${b}`),
  shr: (a, b) => `(${a} >> ${b})`,
  shru: (a, b) => wrap64(`BigInt.asUintN(64, ${a}) >> ${b}`),
  wrapAdd: (a, b) => wrap64(`${a} + ${b}`),
  wrapSub: (a, b) => wrap64(`${a} - ${b}`),
  wrapMul: (a, b) => wrap64(`${a} * ${b}`),
};

const FLOAT: Readonly<Record<string, Binary>> = {
  add: (a, b) => `$f(${a} + ${b})`,
  sub: (a, b) => `$f(${a} - ${b})`,
  mul: (a, b) => `$f(${a} * ${b})`,
  div: (a, b) => `$f(${a} / ${b})`,
  min: (a, b) => `$min(${a}, ${b})`,
  max: (a, b) => `$max(${a}, ${b})`,
};

const COMPARE = { eq: "===", ne: "!==", lt: "<", le: "<=", gt: ">", ge: ">=" } as const;

function constantText(e: Expr, value: number | bigint): string {
  if (e.type === "i64") return `${value}n`;
  const text = Object.is(value, -0) ? "-0" : String(value);
  return text.startsWith("-") ? `(${text})` : text;
}

function convertText(from: Expr, to: string): string {
  const a = exprText(from);
  if (to === "i64") return from.type === "f32" ? `BigInt(Math.trunc(${a}))` : `BigInt(${a})`;
  if (to === "i32") return from.type === "i64" ? `Number(BigInt.asIntN(32, ${a}))` : `(${a} | 0)`;
  return from.type === "i64" ? `$f(Number(${a}))` : `$f(${a})`;
}

function unaryText(op: string, operand: Expr): string {
  const a = exprText(operand);
  const int = operand.type === "i32";
  switch (op) {
    case "neg":
      return int ? `(-${a} | 0)` : `(-${a})`;
    case "abs":
      return operand.type === "i64" ? `(${a} < 0n ? -${a} : ${a})` : int ? `(Math.abs(${a}) | 0)` : `Math.abs(${a})`;
    case "sqrt":
      return `$f(Math.sqrt(${a}))`;
    case "floor":
    case "ceil":
    case "trunc":
      return `Math.${op}(${a})`;
    case "rint":
      return `$rint(${a})`;
    case "clz":
      return `Math.clz32(${a})`;
    case "bitsToFloat":
      return `$toFloat(${a})`;
    case "floatToBits":
      return `$toBits(${a})`;
    default:
      throw new TypeError(`JavaScript has no ${op}`);
  }
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
      return `${node.buffer.name}[${exprText(node.index)}]`;
    case "loadWord": {
      const bits = node.buffer.type.endsWith("8") ? 8 : node.buffer.type.endsWith("16") ? 16 : 32;
      return `$word${bits}(${node.buffer.name}, ${exprText(node.index)})`;
    }
    case "binary": {
      const table = e.type === "i64" ? LONG : e.type === "f32" ? FLOAT : INT;
      const print = table[node.op];
      if (print === undefined) throw new TypeError(`JavaScript has no ${node.op} of ${e.type}`);
      return print(exprText(node.a), exprText(node.b));
    }
    case "compare":
      return `(${conditionText(e)} ? 1 : 0)`;
    case "unary":
      return unaryText(node.op, node.a);
    case "convert":
      return convertText(node.a, e.type);
    case "select":
      return `(${conditionText(node.condition)} ? ${exprText(node.a)} : ${exprText(node.b)})`;
    case "call":
      return `${node.func}(${node.args.map(exprText).join(", ")})`;
    case "intrinsic":
      return `${node.name}(${node.args.map(exprText).join(", ")})`;
    case "vectorLoad":
      return vectorLoadText(e.type, node);
    case "vector":
      if (heliumOp(node.op) === undefined) throw new TypeError(`JavaScript has no ${node.op}: lower with scalar schedules`);
      return `$helium.ops["${node.op}"](${node.args.map(exprText).join(", ")})`;
    default:
      return node satisfies never;
  }
}

/** A buffer as bytes, and an element's place in them. */
function viewText({ name }: BufferRef): string {
  return `new Uint8Array(${name}.buffer, ${name}.byteOffset, ${name}.byteLength)`;
}

function byteText(buffer: BufferRef, index: Expr): string {
  return `${exprText(index)} * ${MEMORY_BYTES[buffer.type]}`;
}

function vectorLoadText(type: string, node: Extract<Expr["node"], { kind: "vectorLoad" }>): string {
  const extra = node.form === "full" ? String(node.count ?? 16) : node.stride === undefined ? "" : exprText(node.stride);
  return `$helium.load.${node.form}("${type}", ${viewText(node.buffer)}, ${byteText(node.buffer, node.index)}, ${extra})`;
}

function conditionText(e: Expr): string {
  if (e.node.kind === "compare") return `${exprText(e.node.a)} ${COMPARE[e.node.op]} ${exprText(e.node.b)}`;
  return `${exprText(e)} !== 0`;
}

function simple(e: Expr): boolean {
  return e.node.kind === "const" || e.node.kind === "param" || e.node.kind === "local";
}

function forLines(stmt: Extract<Stmt, { kind: "for" }>, indent: string): string[] {
  const end = simple(stmt.to) ? exprText(stmt.to) : `${stmt.name}$end`;
  const declare = simple(stmt.to) ? "" : `, ${end} = ${exprText(stmt.to)}`;
  const step = stmt.step === 1 ? `${stmt.name}++` : `${stmt.name} += ${stmt.step}`;
  return [
    `${indent}for (let ${stmt.name} = ${exprText(stmt.from)}${declare}; ${stmt.name} < ${end}; ${step}) {`,
    ...blockLines(stmt.body, `${indent}  `),
    `${indent}}`,
  ];
}

function ifLines(stmt: Extract<Stmt, { kind: "if" }>, indent: string): string[] {
  const lines = [`${indent}if (${conditionText(stmt.condition)}) {`, ...blockLines(stmt.body, `${indent}  `)];
  if (stmt.otherwise.length > 0) lines.push(`${indent}} else {`, ...blockLines(stmt.otherwise, `${indent}  `));
  return [...lines, `${indent}}`];
}

function stmtLines(stmt: Stmt, indent: string): string[] {
  switch (stmt.kind) {
    case "let":
      return [`${indent}const ${stmt.name} = ${exprText(stmt.value)};`];
    case "var":
      return [`${indent}let ${stmt.name} = ${exprText(stmt.value)};`];
    case "assign":
      return [`${indent}${stmt.name} = ${exprText(stmt.value)};`];
    case "store":
      return [`${indent}${stmt.buffer.name}[${exprText(stmt.index)}] = ${exprText(stmt.value)};`];
    case "copy": {
      const from = exprText(stmt.fromIndex);
      const end = `${from} + ${exprText(stmt.count)}`;
      return [`${indent}${stmt.to.name}.set(${stmt.from.name}.subarray(${from}, ${end}), ${exprText(stmt.toIndex)});`];
    }
    case "return":
      return [`${indent}return ${exprText(stmt.value)};`];
    case "for":
      return forLines(stmt, indent);
    case "if":
      return ifLines(stmt, indent);
    case "vectorStore": {
      const values = [stmt.value, ...(stmt.rest ?? [])].map(exprText).join(", ");
      return [`${indent}$helium.store(${viewText(stmt.buffer)}, ${byteText(stmt.buffer, stmt.index)}, "${stmt.form}", [${values}]);`];
    }
    default:
      return stmt satisfies never;
  }
}

function blockLines(body: readonly Stmt[], indent: string): string[] {
  return body.flatMap((stmt) => stmtLines(stmt, indent));
}

/** One function as JavaScript. Buffers are typed arrays that start at element 0. */
export function printJsFunction(func: Func): string {
  const params = func.params.map((param) => param.name).join(", ");
  return [`/** ${func.doc} */`, `function ${func.name}(${params}) {`, ...blockLines(func.body, "  "), "}", ""].join("\n");
}

/** A pure helper as a JavaScript function, for what is computed at compile time with the same arithmetic. */
export function compileHelper(func: Func): (...args: number[]) => number {
  const all = new Map<string, Func>();
  const collect = (f: Func): void => {
    for (const used of f.uses) collect(used);
    all.set(f.name, f);
  };
  collect(func);
  return new Function(`${JS_PRELUDE}\n${[...all.values()].map(printJsFunction).join("\n")}\nreturn ${func.name};`)() as (...args: number[]) => number;
}
