import { closeSync, constants, openSync, write } from "node:fs";
import { ReadStream } from "node:tty";
import { KingletError } from "../../base/index.ts";
import { runProcess } from "../../boards/index.ts";
import type { SerialLine } from "./link.ts";

/** The files of Linux and macOS; Windows has no `stty`. */
async function configure(path: string, baud: number): Promise<void> {
  const args = [process.platform === "darwin" ? "-f" : "-F", path, String(baud), "raw", "-echo", "clocal"];
  const { exitCode, stderr } = await runProcess({ command: "stty", args, timeoutMs: 10_000 });
  if (exitCode !== 0) throw new KingletError("bad-input", `this serial port cannot be used: ${stderr.trim()}`, { place: path });
}

/**
 * Opens a serial port, such as /dev/ttyACM0.
 * @throws KingletError `bad-input` where it is none, or not this user's; `missing-tool` without `stty`.
 */
export async function openSerialPort(path: string, baud = 115_200): Promise<SerialLine> {
  await configure(path, baud);
  const fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY);
  const input = new ReadStream(fd);
  let last: Promise<void> = Promise.resolve();
  const put = (bytes: Uint8Array): Promise<void> =>
    new Promise((done) => {
      write(fd, bytes, 0, bytes.length, null, (error, count) => {
        // A line that is gone is told by its reading side.
        if (error === null && count < bytes.length) void put(bytes.subarray(count)).then(done);
        else done();
      });
    });
  return {
    send: (bytes) => {
      last = last.then(() => put(bytes));
    },
    listen: (hear, lost) => {
      input.on("data", (chunk: Buffer) => hear(chunk));
      input.on("error", (error) => lost(error.message));
      input.on("close", () => lost("the port was closed"));
    },
    close: async () => {
      await last;
      // libuv opens the terminal anew for itself, so this descriptor is still ours.
      const ended = new Promise<void>((done) => input.once("close", () => done()));
      input.destroy();
      await ended;
      try {
        closeSync(fd);
      } catch {
        // Or it did not, and has closed it.
      }
    },
  };
}
