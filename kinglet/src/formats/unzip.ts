import { unzipSync } from "fflate";
import { KingletError } from "../base/index.ts";

/** Deflate cannot shrink further than this; an entry that claims more is an attack. */
export const MOST_DEFLATE = 1032;

/**
 * Unpacks the wanted files of a zip: those for which `most` gives the bytes that they may have, and not 0. `fail` throws the
 * format's own error.
 */
export function unzipWanted(
  bytes: Uint8Array,
  most: (name: string) => number,
  fail: (where: string, message: string) => never,
): Readonly<Record<string, Uint8Array>> {
  try {
    return unzipSync(bytes, {
      filter: ({ name, size, originalSize }) => {
        const allowed = most(name);
        if (allowed > 0 && originalSize > Math.min(allowed, MOST_DEFLATE * size + 1024))
          fail(name, `it claims to unpack ${size} bytes to ${originalSize}`);
        return allowed > 0;
      },
    });
  } catch (error) {
    if (error instanceof KingletError) throw error;
    return fail("", "the zip archive is damaged");
  }
}
