/** What kind of trouble it is; stable, so that programs may test it. */
export type ErrorCode =
  | "bad-file"
  | "bad-graph"
  | "bad-input"
  | "unsupported"
  | "missing-tool"
  | "does-not-fit"
  | "check-failed"
  | "misuse"
  | "interrupted"
  | "internal";

/** Where the trouble is and what a person can do about it. */
export interface ErrorDetail {
  /** The file, node or tensor it happened in. */
  readonly place?: string;
  /** What to do next. */
  readonly hint?: string;
}

/**
 * The one error type Kinglet throws on purpose. `message` is one complete sentence for a person;
 * the library never prints and never exits.
 */
export class KingletError extends Error {
  readonly code: ErrorCode;
  readonly place: string | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message);
    this.name = "KingletError";
    this.code = code;
    this.place = detail.place;
    this.hint = detail.hint;
  }

  /** One message: place, what is wrong, what to do. */
  describe(): string {
    const place = this.place === undefined ? "" : `${this.place}: `;
    const hint = this.hint === undefined ? "" : `\n  ${this.hint}`;
    return `${place}${this.message}${hint}`;
  }
}
