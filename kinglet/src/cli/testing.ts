import type { Io } from "./io.ts";
import { main } from "./main.ts";

/** What a command left. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs commands in this process, as they would be typed; for tests only. */
export function commandsIn(io: Partial<Io>): (...argv: readonly string[]) => Promise<Ran> {
  return async (...argv) => {
    let [out, err] = ["", ""];
    const code = await main(argv, { ...io, out: (text) => void (out += text), err: (text) => void (err += text) });
    return { code, out, err };
  };
}

/** Runs one command where nothing but its arguments matters. */
export const kinglet: (...argv: readonly string[]) => Promise<Ran> = commandsIn({});
