/** Something that happened, as one flat record. */
export interface LogEvent {
  readonly event: string;
  readonly level: "info" | "warn" | "error";
  readonly [field: string]: string | number | boolean | null;
}

/** What a coordinator has from outside: the time, in milliseconds since 1970, and somebody who listens. */
export interface Hooks {
  readonly now: () => number;
  readonly log: (event: LogEvent) => void;
}
