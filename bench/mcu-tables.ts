import type { CoreId } from "../kinglet/src/boards/index.ts";
import type { Optimize } from "../kinglet/src/targets/share.ts";
import { EXTRA_TREES } from "./extra-trees.ts";
import { type PeerEngine, type PeerFigures, peer } from "./peers.ts";
import type { McuResults, McuRun, PlanName } from "./results.ts";
import { atMost, figure, NONE, ratio, shareAtMost, type Table } from "./table.ts";
import { ARENA_TARGETS, CLOSED_CYCLES, CODE_TARGETS, CORE_TARGETS, compileTargetMs, INSTRUCTION_TARGETS } from "./targets.ts";

/** Looks runs up by model, core and goal. */
class Figures {
  private readonly results: McuResults;

  constructor(results: McuResults) {
    this.results = results;
  }

  /** int8 networks, or those whose figures are compared with float kernels. */
  models(float: boolean): string[] {
    const names = new Set(this.results.runs.map(({ model }) => model).filter((model) => model !== EXTRA_TREES));
    return [...names].filter((model) => (peer(model, "cmsis-nn") === undefined && peer(model, "reference") !== undefined) === float);
  }

  run(model: string, core: CoreId, goal: Optimize, plan: PlanName = "default"): McuRun | undefined {
    return this.results.runs.find((run) => run.model === model && run.core === core && run.goal === goal && run.plan === plan);
  }

  facts(model: string): McuResults["models"][number] | undefined {
    return this.results.models.find((facts) => facts.model === model);
  }
}

const better = (a: PeerFigures | undefined, b: PeerFigures | undefined, key: keyof PeerFigures): number | undefined =>
  a === undefined || b === undefined ? (a ?? b)?.[key] : Math.min(a[key], b[key]);

function tinyEngine(model: string, key: keyof PeerFigures, core?: CoreId): number | undefined {
  return better(peer(model, "tinyengine", core), peer(model, "tinyengine patches", core), key);
}

/** Instructions on the Cortex-M4 beside both peers, with `--optimize speed`. */
export function speedTable(results: McuResults): Table {
  const figures = new Figures(results);
  const titles = ["model", "MACs", "CMSIS-NN", "TinyEngine", "closed, cycles", "Kinglet", "a MAC", "÷ CMSIS-NN", "target"];
  const rows = figures.models(false).map((model) => {
    const [is, macs] = [figures.run(model, "cortex-m4", "speed")?.instructions, figures.facts(model)?.macs];
    const cmsis = peer(model, "cmsis-nn")?.instructions;
    const others = [figure(cmsis), figure(tinyEngine(model, "instructions")), figure(CLOSED_CYCLES[model])];
    return [model, figure(macs), ...others, figure(is), ratio(is, macs, 2), ratio(is, cmsis), atMost(is, INSTRUCTION_TARGETS[model])];
  });
  return { titles, rows };
}

/** Bytes of arena beside both peers: layer by layer, with fused stages, and with the input arriving by rows. */
export function arenaTable(results: McuResults): Table {
  const figures = new Figures(results);
  const plans = [
    ["default", "layers"],
    ["fused", "fused"],
    ["streamed", "streamed"],
    ["traded", "traded"],
  ] as const;
  const titles = [
    "model",
    "TFLM",
    "TinyEngine",
    "by layers",
    "÷ TFLM",
    "target",
    "fused stages",
    "target",
    "streamed input",
    "target",
    "with MACs x1.2",
    "target",
  ];
  const rows = figures.models(false).map((model) => {
    const [tflm, targets] = [peer(model, "cmsis-nn")?.arenaBytes, ARENA_TARGETS[model] ?? {}];
    const own = plans.flatMap(([plan, target]) => {
      const is = figures.run(model, "cortex-m4", "balanced", plan)?.arenaBytes;
      return [figure(is), ...(plan === "default" ? [ratio(is, tflm)] : []), atMost(is, targets[target])];
    });
    return [model, figure(tflm), figure(tinyEngine(model, "arenaBytes")), ...own];
  });
  return { titles, rows };
}

/** What the smaller plans cost. */
export function planTable(results: McuResults): Table {
  const figures = new Figures(results);
  const titles = ["model", "plan", "arena B", "lower bound", "stack B", "code B", "instructions", "÷ by layers"];
  const names: readonly (readonly [PlanName, string])[] = [
    ["default", "by layers"],
    ["fused", "fused stages"],
    ["streamed", "streamed input"],
    ["traded", "streamed, MACs x1.2"],
  ];
  const rows = figures.models(false).flatMap((model) => {
    const whole = figures.run(model, "cortex-m4", "balanced");
    return names.flatMap(([plan, name]) => {
      const run = figures.run(model, "cortex-m4", "balanced", plan);
      if (run === undefined) return [];
      const bytes = [run.arenaBytes, run.lowerBoundBytes, run.stackBytes, run.codeBytes, run.instructions].map(figure);
      return [[model, name, ...bytes, ratio(run.instructions, whole?.instructions)]];
    });
  });
  return { titles, rows };
}

/** Code, tables and instructions by goal. */
export function goalTable(results: McuResults): Table {
  const figures = new Figures(results);
  const goals = ["size", "balanced", "speed"] as const;
  const titles = ["model", "goal", "code B", "÷ CMSIS-NN", "TinyEngine code B", "tables B", "arena B", "stack B", "instructions"];
  const rows = figures.models(false).flatMap((model) =>
    goals.flatMap((goal) => {
      const run = figures.run(model, "cortex-m4", goal);
      if (run === undefined) return [];
      const share = shareAtMost(run.codeBytes, peer(model, "cmsis-nn")?.codeBytes, goal === "size" ? undefined : CODE_TARGETS[goal]);
      const own = [figure(run.weightBytes), figure(run.arenaBytes), figure(run.stackBytes), figure(run.instructions)];
      return [[model, goal, figure(run.codeBytes), share, figure(tinyEngine(model, "codeBytes")), ...own]];
    }),
  );
  return { titles, rows };
}

/** Instructions on every core, `--optimize speed`. */
export function coreTable(results: McuResults): Table {
  const figures = new Figures(results);
  const cores: readonly CoreId[] = ["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55", "rv32"];
  const rows = figures.models(false).map((model) => [model, ...cores.map((core) => figure(figures.run(model, core, "speed")?.instructions))]);
  return { titles: ["model", ...cores], rows: rows.filter((row) => row.slice(1).some((cell) => cell !== NONE)) };
}

/** The other cores beside what was counted of peers. */
export function coreTargetTable(results: McuResults): Table {
  const figures = new Figures(results);
  const names: Readonly<Partial<Record<PeerEngine, string>>> = { "cmsis-nn": "CMSIS-NN", reference: "reference kernels" };
  const m7 = ["kws", "vww96", "resnet8", "ad01", "mcunet_vww"].map((model) => {
    const [is, cmsis] = [figures.run(model, "cortex-m7", "speed")?.instructions, peer(model, "cmsis-nn", "cortex-m7")?.instructions];
    return [model, "cortex-m7", "CMSIS-NN on cortex-m7", figure(cmsis), figure(is), ratio(is, cmsis)];
  });
  const rest = CORE_TARGETS.flatMap(({ core, share, engine, counted, models }) =>
    models.map((model) => {
      const [is, was] = [figures.run(model, core, "speed")?.instructions, peer(model, engine, counted)?.instructions];
      return [model, core, `${names[engine]} on ${counted}`, figure(was), figure(is), shareAtMost(is, was, share)];
    }),
  );
  return { titles: ["model", "core", "peer", "its instructions", "Kinglet", "share"], rows: [...m7, ...rest].filter((row) => row[4] !== NONE) };
}

/** Float networks beside the reference kernels, which are all that the peer has for them. */
export function floatTable(results: McuResults): Table {
  const figures = new Figures(results);
  const titles = ["model", "arena B", "÷ TFLM", "code B", "÷ TFLM", "instructions", "÷ TFLM"];
  const rows = figures.models(true).map((model) => {
    const [run, other] = [figures.run(model, "cortex-m4", "balanced"), peer(model, "reference")];
    const pairs = (["arenaBytes", "codeBytes", "instructions"] as const).flatMap((key) => [figure(run?.[key]), ratio(run?.[key], other?.[key])]);
    return [model, ...pairs];
  });
  return { titles, rows };
}

/** Trees on every core. */
export function treeTable(results: McuResults): Table {
  const titles = ["core", "goal", "code B", "tables B", "arena B", "stack B", "instructions"];
  const runs = results.runs.filter(({ model }) => model === EXTRA_TREES);
  const rows = runs.map(({ core, goal, codeBytes, weightBytes, arenaBytes, stackBytes, instructions }) => [
    core,
    goal,
    ...[codeBytes, weightBytes, arenaBytes, stackBytes, instructions].map(figure),
  ]);
  return { titles, rows };
}

/** From the file to C, and what a browser fetches. */
export function compileTable(results: McuResults): Table {
  const titles = ["model", "compile ms", "target", "module and loader, gzipped B"];
  const rows = results.models.map(({ model, compileMs, wasmGzipBytes }) => [
    model,
    figure(compileMs),
    atMost(compileMs, compileTargetMs(model)),
    figure(wasmGzipBytes),
  ]);
  return { titles, rows };
}
