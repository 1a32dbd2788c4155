import { main } from "./main.ts";

/** A reader that goes away early (`| head`) is no failure. */
function endQuietlyWhenReaderLeaves(stream: NodeJS.WriteStream): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

/** The first Ctrl-C asks to end, a second one ends at once. */
function onStop(stop: () => void): () => void {
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  return () => {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  };
}

/** The command line as a process: real streams, and the exit code set when all is written. */
export async function runProcess(argv: readonly string[]): Promise<void> {
  endQuietlyWhenReaderLeaves(process.stdout);
  endQuietlyWhenReaderLeaves(process.stderr);
  process.exitCode = await main(argv, {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    colour: process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined,
    live: process.stderr.isTTY === true && process.env["TERM"] !== "dumb",
    onStop,
    debug: process.env["KINGLET_DEBUG"] === "1",
  });
}
