// `npm run bench:train [-- --json] [MODEL…]`: training steps a second on one thread and on two, all interleaved in one process.
import { availableParallelism, loadavg } from "node:os";
import { elementCount } from "../kinglet/src/base/index.ts";
import { type StepOptions, TrainingSession } from "../kinglet/src/train/index.ts";
import { dsCnn, mlp, mobilenetV1, resnet8 } from "../kinglet/src/zoo/index.ts";
import type { Graph } from "../kinglet/src/graph/index.ts";
import { interleave, type Timing } from "./js/interleave.ts";
import { figure, NONE, ratio, terminal } from "./table.ts";

/** Samples a second of other engines on one thread of a like machine, when they were last measured; not in this process. */
interface Peers {
  /** PyTorch 1.13, the better of its two layouts. */
  readonly torch: number;
  /** The fastest library in JavaScript. */
  readonly javascript: number;
  /** The least that Kinglet's speed divided by PyTorch's is to be. */
  readonly target: number;
}

interface Subject extends Peers {
  readonly model: string;
  readonly make: () => Graph;
}

const SUBJECTS: readonly Subject[] = [
  { model: "ds_cnn", make: () => dsCnn({ batch: 32 }), torch: 1343, javascript: 35.2, target: 1.3 },
  { model: "resnet8", make: () => resnet8({ batch: 32 }), torch: 777, javascript: 3.18, target: 0.75 },
  {
    model: "mobilenet_v1_0.25_96",
    make: () => mobilenetV1({ batch: 32, width: 0.25, resolution: 96, classes: 2 }),
    torch: 687,
    javascript: 8.3,
    target: 1,
  },
  { model: "mlp_784_128_10", make: () => mlp({ batch: 64 }), torch: 124_900, javascript: 45_100, target: 0.5 },
];

/** Each network gets some slices in every round. */
const ROUNDS = { sliceMs: 60, budgetMs: 30_000, mostRounds: 400 };

interface Candidate {
  readonly subject: Subject;
  readonly batch: number;
  readonly compileMs: number;
  readonly memoryBytes: number;
  /** A step on one thread, and on two. */
  readonly step: () => number;
  readonly shared: () => number;
  readonly close: () => void;
}

interface Result extends Peers {
  readonly model: string;
  readonly batch: number;
  readonly samplesPerSecond: number;
  readonly median: number;
  readonly compileMs: number;
  readonly memoryBytes: number;
  /** Time on the wall on one thread divided by that on two: by tenth percentiles, and by medians. */
  readonly gain: number;
  readonly medianGain: number;
}

/** The least that two threads are to gain on convolutional networks. */
const LEAST_GAIN = 1.4;

const OPTIONS: StepOptions = { optimizer: { kind: "sgd", momentum: 0.9 } };

async function candidateOf(subject: Subject): Promise<Candidate> {
  const graph = subject.make();
  const start = performance.now();
  const session = new TrainingSession(graph, OPTIONS);
  const compileMs = performance.now() - start;
  const shared = await TrainingSession.onThreads(graph, OPTIONS, 2);
  const [batch, classes] = graph.outputs[0]!.shape as [number, number];
  const data = Float32Array.from({ length: elementCount(graph.inputs[0]!.shape) }, (_, i) => Math.sin(0.37 * i));
  const targets = Float32Array.from({ length: batch * classes }, (_, i) => (i % classes === Math.floor(i / classes) % classes ? 1 : 0));
  const stepOf = (each: TrainingSession) => (): number => each.run([data], targets, 0.001).loss;
  const { memoryBytes } = session;
  return { subject, batch, compileMs, memoryBytes, step: stepOf(session), shared: stepOf(shared), close: () => shared.close() };
}

function resultOf({ subject, batch, compileMs, memoryBytes }: Candidate, one: Timing, two: Timing): Result {
  const { cpuP10Ms, cpuMedianMs } = one;
  const { model, torch, javascript, target } = subject;
  return {
    model,
    torch,
    javascript,
    target,
    batch,
    samplesPerSecond: (1000 * batch) / cpuP10Ms,
    median: (1000 * batch) / cpuMedianMs,
    compileMs: Math.round(compileMs),
    memoryBytes,
    gain: one.wallP10Ms / two.wallP10Ms,
    medianGain: one.wallMedianMs / two.wallMedianMs,
  };
}

function gainText({ model, gain }: Result): string {
  return model.startsWith("mlp") ? NONE : `≥ ${LEAST_GAIN} ${gain >= LEAST_GAIN ? "hit" : "MISS"}`;
}

function print(results: readonly Result[]): void {
  const titles = [
    "network",
    "batch",
    "samples/s",
    "median",
    "PyTorch",
    "÷ PyTorch",
    "target",
    "fastest JS",
    "÷ JS",
    "memory B",
    "compile ms",
    "2 threads",
    "median",
    "target",
  ];
  const rows = results.map((r) => [
    r.model,
    String(r.batch),
    figure(r.samplesPerSecond),
    figure(r.median),
    figure(r.torch),
    ratio(r.samplesPerSecond, r.torch, 2),
    `≥ ${r.target} ${r.samplesPerSecond / r.torch >= r.target ? "hit" : "MISS"}`,
    r.javascript < 100 ? r.javascript.toFixed(1) : figure(r.javascript),
    r.javascript > 0 ? ratio(r.samplesPerSecond, r.javascript, 1) : NONE,
    figure(r.memoryBytes),
    figure(r.compileMs),
    `× ${r.gain.toFixed(2)}`,
    `× ${r.medianGain.toFixed(2)}`,
    gainText(r),
  ]);
  console.log("Training steps with SGD and momentum, float32: one thread's tenth percentile and median of processor time, and what two threads gain");
  console.log(
    `on the wall, by tenth percentiles and by medians. Load of this machine meanwhile: ${loadavg()[0]!.toFixed(1)} on ${availableParallelism()} processors.\n`,
  );
  console.log(terminal({ titles, rows }));
  console.log("\nPyTorch (native, one thread) and the fastest JavaScript library are figures from a like machine, not of this run.");
}

const args = process.argv.slice(2);
const wanted = args.filter((arg) => !arg.startsWith("-"));
const unknown = wanted.filter((name) => !SUBJECTS.some(({ model }) => model === name));
if (unknown.length > 0) throw new Error(`no network ${unknown.join(", ")}; there are ${SUBJECTS.map(({ model }) => model).join(", ")}`);
const candidates: Candidate[] = [];
for (const subject of SUBJECTS.filter(({ model }) => wanted.length === 0 || wanted.includes(model))) candidates.push(await candidateOf(subject));
const sharedName = ({ subject }: Candidate): string => `${subject.model} on two threads`;
const times = await interleave(
  candidates.flatMap((each) => [
    { name: each.subject.model, run: each.step },
    { name: sharedName(each), run: each.shared },
  ]),
  ROUNDS,
);
const results = candidates.map((candidate) => resultOf(candidate, times.get(candidate.subject.model)!, times.get(sharedName(candidate))!));
for (const { close } of candidates) close();
if (args.includes("--json")) console.log(JSON.stringify(results, null, 2));
else print(results);
