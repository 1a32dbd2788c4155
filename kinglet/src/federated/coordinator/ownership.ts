import { randomBytes } from "node:crypto";
import { appendFile, open, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { KingletError } from "../../base/index.ts";

/** When a process began, so that another one with its number is not taken for it; null where the system does not tell in this way. */
async function startOf(pid: number): Promise<string | null> {
  const status = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  // Behind the name, which may hold anything and ends with the last parenthesis, the start is the twentieth word.
  return status === null ? null : (status.slice(status.lastIndexOf(")") + 2).split(" ")[19] ?? null);
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

interface Claim {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly start: string | null;
}

/** A process of another machine cannot be looked at: it counts as alive. */
async function isAlive({ host, pid, start }: Claim): Promise<boolean> {
  if (host !== hostname()) return true;
  return exists(pid) && (await startOf(pid)) === start;
}

/** Lines of the file: a claim as JSON, or "released ID". A line that a crash cut short claims nothing. */
function standing(text: string): Claim[] {
  const claims = new Map<string, Claim>();
  for (const line of text.split("\n")) {
    if (line.startsWith("released ")) claims.delete(line.slice(9));
    else if (line.endsWith("}")) {
      const claim = JSON.parse(line) as Claim;
      claims.set(claim.id, claim);
    }
  }
  return [...claims.values()];
}

async function append(path: string, line: string): Promise<void> {
  await appendFile(path, `\n${line}\n`);
  const file = await open(path);
  await file.sync().finally(() => file.close());
}

/**
 * Makes this process the only owner of a file until `release`, or until it ends in whatever way. Everybody who wants it first adds a line to
 * `path.owner` and then reads all of them: the first of those who are alive has it, so two can never think so both.
 * @throws KingletError `misuse` where somebody else has it.
 */
export async function own(path: string): Promise<{ release(): Promise<void> }> {
  const file = `${path}.owner`;
  const claim: Claim = { id: randomBytes(8).toString("hex"), host: hostname(), pid: process.pid, start: await startOf(process.pid) };
  const release = async (): Promise<void> => await append(file, `released ${claim.id}`);
  await append(file, JSON.stringify(claim));
  for (const other of standing(await readFile(file, "utf8"))) {
    if (other.id === claim.id) return { release };
    if (!(await isAlive(other))) continue;
    await release();
    const elsewhere = other.host === hostname() ? "" : ` on ${other.host}`;
    throw new KingletError("misuse", `process ${other.pid}${elsewhere} is a coordinator on this file already`, {
      place: path,
      hint: elsewhere === "" ? "Stop it first, or name another file." : `If that machine is gone for good, remove ${file}.`,
    });
  }
  throw new KingletError("check-failed", "somebody removes the owners of this file", { place: file });
}
