// A thread does not read TypeScript by itself, however its process was started.
import { register } from "tsx/esm/api";

register();
await import("./node-worker-thread.ts");
