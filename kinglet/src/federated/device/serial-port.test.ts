import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { buildFirmware, coreById, requireTool } from "../../boards/index.ts";
import { coreTools, needTools } from "../../boards/tool-gate.ts";
import { mlp } from "../../zoo/index.ts";
import { LocalTrainer, type LocalTraining } from "../local.ts";
import { clientFirmware, DeviceLearner, emulatedMain, openSerialPort, samplesSource } from "./index.ts";

const network = mlp({ inputs: 2, hidden: [4], classes: 2 });
const LOCAL: LocalTraining = { optimizer: { kind: "sgd", momentum: 0 }, epochs: 1, batchSize: 1, rate: 0.1 };

test("a terminal's file is a line to a device", async (context) => {
  const core = coreById("cortex-m4");
  needTools(context, ...coreTools(core));
  const folder = mkdtempSync(join(tmpdir(), "kinglet-port-"));
  const { id, sources } = clientFirmware(network, { id: "net" });
  const samples = { features: Float32Array.of(1, 2, 3, 4, 5, 6), labels: [0, 1, 1] };
  const { elf } = await buildFirmware({
    core: "cortex-m4",
    sources: { ...sources, "samples.c": samplesSource(id, samples), "main.c": emulatedMain(id) },
  });
  writeFileSync(join(folder, "firmware.elf"), elf);
  const args = [
    ...core.machine,
    "-display",
    "none",
    "-monitor",
    "none",
    "-chardev",
    "pty,id=line",
    "-serial",
    "chardev:line",
    "-kernel",
    "firmware.elf",
  ];
  const emulator = spawn(requireTool(core.qemu), args, { cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
  try {
    const path = await new Promise<string>((done) => {
      let said = "";
      emulator.stdout.on("data", (chunk: Buffer) => {
        said += chunk.toString();
        const [, name] = /redirected to (\S+)/.exec(said) ?? [];
        if (name !== undefined) done(name);
      });
    });
    const learner = await DeviceLearner.open(await openSerialPort(path), network, LOCAL);
    const parameters = new LocalTrainer(network, LOCAL).initialParameters();
    const { delta, samples: count } = await learner.train({ parameters, seed: 1, round: 1 });
    expect(count).toBe(3);
    expect(delta.some((x) => x !== 0)).toBe(true);
    await learner.close();
    await expect(openSerialPort(join(folder, "firmware.elf"))).rejects.toMatchObject({ code: "bad-input" });
  } finally {
    emulator.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
});
