export * from "./artefact.ts";
export * from "./compare.ts";
export * from "./compile.ts";
export * from "./execute.ts";
export * from "./inspect.ts";
export * from "./output-folder.ts";
export * from "./samples.ts";
export * from "./verify.ts";
