import { Refusal } from "../protocol/index.ts";
import { lockFederation } from "./client-requests.ts";
import type { Database, Queries } from "./database.ts";

/** Something that a client asked for, and who waits for it. */
interface Waiting {
  readonly work: (queries: Queries) => Promise<unknown>;
  readonly done: (result: unknown) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Does what many clients ask for with one commit: whoever asks while one goes on is in the next, so a process that is busy commits seldom, and uses one
 * connection for all of them. A refusal changes nothing, so the others of a group are not harmed.
 */
export class GroupCommit {
  private readonly database: Database;
  private readonly waiting: Waiting[] = [];
  private committing = false;

  constructor(database: Database) {
    this.database = database;
  }

  /** Gives what `work` gives once that is durable. @throws Refusal what `work` gives as one; Error where the commit fails, with all of its group. */
  add<T>(work: (queries: Queries) => Promise<T | Refusal>): Promise<T> {
    return new Promise((resolve, reject) => {
      const done = (result: unknown): void => (result instanceof Refusal ? reject(result) : resolve(result as T));
      this.waiting.push({ work, done, fail: reject });
      if (this.committing) return;
      this.committing = true;
      setImmediate(() => void this.commitAll());
    });
  }

  private async commitAll(): Promise<void> {
    while (this.waiting.length > 0) await this.commit(this.waiting.splice(0));
    this.committing = false;
  }

  private async commit(group: readonly Waiting[]): Promise<void> {
    try {
      const results = await this.database.transaction(async (queries) => {
        await lockFederation(queries);
        const found: unknown[] = [];
        for (const { work } of group) found.push(await work(queries));
        return found;
      });
      group.forEach(({ done }, i) => done(results[i]));
    } catch (error) {
      for (const { fail } of group) fail(error);
    }
  }
}
