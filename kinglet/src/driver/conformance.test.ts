import { describe, expect, test } from "vitest";
import { bytesOf, fromBytes, Xorshift32 } from "../base/index.ts";
import { caseGraph, type OpDef, OPS } from "../ops/index.ts";
import { coreById, isCoreId } from "../boards/index.ts";
import { coreTools, needTools } from "../boards/tool-gate.ts";
import { type ExecuteOptions, execute, type Via } from "./execute.ts";
import { caseType, countsOf, shows, type Support } from "./support-testing.ts";
import { type Part, Together } from "./together-testing.ts";

/** Operators with such schedules. */
const FUSED_OPS = ["conv2d", "fullyConnected"];

/** Operators with kernels of Helium vectors. */
const VECTOR_OPS = ["add", "conv2d", "depthwiseConv2d", "fullyConnected"];

const HERE: readonly Via[] = ["js", "wasm", "wasm-dots", "wasm-scalar"];

const SANITIZED: ExecuteOptions = {
  flags: ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
};

/** Cores with a fused multiply-add may round a product and its sum once. */
const FUSED_TOLERANCE = 1e-5;

/** So many cases are compiled as one C program, if they are not all of one operator: with more, planning takes longer than compiling. */
const CASES_TOGETHER = 40;

interface Subject {
  readonly op: OpDef;
  readonly part: Part;
}

function subjectOf(op: OpDef): Subject {
  const { graph, inputs } = caseGraph(op, new Xorshift32(1));
  return { op, part: { graph, sample: inputs.map(bytesOf) } };
}

/** That all cases of an operator pass in a way. */
function passing({ op }: Subject, way: string): Support {
  return { suite: "cases", way, rows: { [op.name]: countsOf(op.cases.map(caseType)) } };
}

/** Neighbours in the list of operators, as many as go together. */
function grouped(subjects: readonly Subject[]): Subject[][] {
  const groups: Subject[][] = [];
  let cases = Infinity;
  for (const subject of subjects) {
    cases += subject.op.cases.length;
    if (cases > CASES_TOGETHER) {
      groups.push([]);
      cases = subject.op.cases.length;
    }
    groups.at(-1)!.push(subject);
  }
  return groups;
}

function together(subjects: readonly Subject[]): Together {
  return new Together(
    "cases of operators",
    subjects.map(({ part }) => part),
  );
}

function expectCloseFloats(got: Uint8Array, plain: Uint8Array, name: string): void {
  const [a, b] = [fromBytes("float32", got) as Float32Array, fromBytes("float32", plain) as Float32Array];
  const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  a.forEach((value, i) => {
    expect(Math.abs(value - b[i]!) / largest, `${name}[${i}]`).toBeLessThanOrEqual(FUSED_TOLERANCE);
  });
}

/** The plain loops say what is right; every back end must give the same bytes, floats included but for the above. */
function expectSame({ op, part }: Subject, via: Via, got: readonly Uint8Array[], plain: readonly Uint8Array[]): void {
  expect(got.length).toBe(part.graph.outputs.length);
  part.graph.outputs.forEach((output, i) => {
    const name = `${via}: ${output.name}`;
    if (isCoreId(via) && output.dtype === "float32" && FUSED_OPS.includes(op.name)) return expectCloseFloats(got[i]!, plain[i]!, name);
    expect(Buffer.from(got[i]!).toString("hex"), name).toBe(Buffer.from(plain[i]!).toString("hex"));
  });
}

const subjects = Object.values(OPS as Record<string, OpDef>).map(subjectOf);
const vectors = subjects.filter(({ op }) => VECTOR_OPS.includes(op.name));
const vectorGroup = together(vectors);
const rows = grouped(subjects).flatMap((group) => {
  const all = together(group);
  return group.map((subject, place) => ({ name: subject.op.name, subject, all, place }));
});

describe.each(rows)("$name", ({ subject, all, place }) => {
  const alone = together([subject]);
  const plain = async (): Promise<readonly Uint8Array[]> => (await alone.results("plain"))[0]!.outputs;

  test("has at least one case", () => {
    expect(subject.op.cases.length).toBeGreaterThan(0);
  });

  test.for(HERE)("%s equals the plain loops", async (via, context) => {
    shows(context, passing(subject, via));
    const { graph, sample } = subject.part;
    expectSame(subject, via, (await execute(graph, via, [sample])).outputs[0]!, await plain());
  });

  test("host C equals the plain loops, without a warning", async (context) => {
    shows(context, passing(subject, "c"));
    needTools(context, "cc");
    const { outputs, warnings } = (await all.results("c", SANITIZED))[place]!;
    expectSame(subject, "c", outputs, await plain());
    expect(warnings).toBe("");
  });

  if (vectors.includes(subject)) {
    test("firmware on the emulated Cortex-M55 equals the plain loops", async (context) => {
      shows(context, passing(subject, "cortex-m55"));
      needTools(context, ...coreTools(coreById("cortex-m55")));
      const { outputs } = (await vectorGroup.results("cortex-m55"))[vectors.indexOf(subject)]!;
      expectSame(subject, "cortex-m55", outputs, await plain());
    });
  }

  test("firmware on the emulated Cortex-M4 equals the plain loops", async (context) => {
    shows(context, passing(subject, "cortex-m4"));
    needTools(context, ...coreTools(coreById("cortex-m4")));
    expectSame(subject, "cortex-m4", (await all.results("cortex-m4"))[place]!.outputs, await plain());
  });
});
