import type { ReportBlock, ReportData } from "./types.ts";

/** A chain of `steps` layers whose values lie at the two ends of the arena in turn; for tests only. */
export function inventedReport(steps: number, changes: Partial<ReportData> = {}): ReportData {
  const arenaBytes = 4096;
  const between = Array.from({ length: steps }, (_, at): ReportBlock => {
    const bytes = 256 + ((at * 5) % 7) * 64;
    return {
      name: `value ${at}`,
      kind: at === steps - 1 ? "output" : "value",
      first: at,
      last: Math.min(steps - 1, at + 1),
      offset: at % 2 === 0 ? arenaBytes - bytes : 0,
      bytes,
    };
  });
  const blocks: ReportBlock[] = [{ name: "image", kind: "input", first: 0, last: 0, offset: 0, bytes: 1024 }, ...between];
  const live = (at: number): number => blocks.filter((block) => block.first <= at && at <= block.last).reduce((sum, block) => sum + block.bytes, 0);
  return {
    version: "1.2.3",
    network: "invented",
    target: "c",
    parameters: 1000,
    macs: 50_000,
    arenaBytes,
    lowerBoundBytes: arenaBytes,
    proved: true,
    weightBytes: 1200,
    inputs: [{ name: "image", dtype: "int8", shape: [1, 32, 32, 1], bytes: 1024, quantization: { scale: 0.5, zeroPoint: -128 } }],
    outputs: [{ name: "classes", dtype: "int8", shape: [1, 10], bytes: 10 }],
    layers: between.map((block, step) => ({
      name: block.name,
      op: "conv2d",
      step,
      outputShape: [1, 8, 8, 4],
      outputType: "int8",
      macs: 1000 * step,
      weightBytes: 40,
      outputBytes: block.bytes,
    })),
    timeline: {
      blocks,
      steps: between.map((block, at) => ({ name: block.name, op: "conv2d", liveBytes: live(at) })),
      stages: [],
      peakStep: 0,
      arenaBytes,
    },
    boards: [
      { id: "roomy", title: "Roomy board", chip: "R1", fits: true, sramBytes: 65_536, flashBytes: 131_072, clockMHz: 48 },
      {
        id: "tiny",
        title: "Tiny board",
        chip: "T1",
        fits: false,
        sramBytes: 2048,
        flashBytes: 32_768,
        clockMHz: 16,
        reason: "2,048 bytes of RAM too few",
      },
    ],
    verified: [],
    metadata: {},
    ...changes,
  };
}
