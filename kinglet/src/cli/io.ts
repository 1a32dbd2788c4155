/** Where a command writes; a test passes its own. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  /** Whether the reader of `out` understands colours. */
  readonly colour?: boolean;
  /** Whether `err` is a terminal whose lines can be written anew. */
  readonly live?: boolean;
  /** Where commands without a path work; the process's own folder by default. */
  readonly folder?: string;
  /** Calls back when a person wants to stop (Ctrl-C); what it gives ends the waiting. */
  readonly onStop?: (stop: () => void) => () => void;
  /** Show stacks of unexpected errors. */
  readonly debug?: boolean;
}

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
}

/** One JSON document on stdout, or the text for a person. */
export function answer(io: Io, options: CommonOptions, json: unknown, text: () => string): void {
  io.out(`${options.json === true ? JSON.stringify(json, null, 2) : text()}\n`);
}

const PATIENCE_MS = 1000;

/** Says on stderr what is going on when it takes more than a second. */
export async function withProgress<T>(io: Io, what: string, work: () => Promise<T>): Promise<T> {
  const timer = setTimeout(() => io.err(`${what} …\n`), PATIENCE_MS);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}

/** Work that keeps this thread busy announces itself first where the model is large enough to take a while. */
const SLOW_MODEL_BYTES = 512 * 1024;

export function announceIfLarge(io: Io, bytes: number, what: string): void {
  if (bytes > SLOW_MODEL_BYTES) io.err(`${what} …\n`);
}
