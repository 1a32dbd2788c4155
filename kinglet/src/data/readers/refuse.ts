import { KingletError } from "../../base/index.ts";

/** A file that is damaged or not what it claims to be. `place` names the file and, where known, the spot in it. */
export function refuse(place: string, message: string, hint?: string): never {
  throw new KingletError("bad-input", message, { place, ...(hint === undefined ? {} : { hint }) });
}

/** A sound file of a kind that Kinglet does not read. */
export function unsupported(place: string, message: string, hint?: string): never {
  throw new KingletError("unsupported", message, { place, ...(hint === undefined ? {} : { hint }) });
}
