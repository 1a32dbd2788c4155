export * from "./catalogue.ts";
export * from "./ds-cnn.ts";
export * from "./mobilenet-v1.ts";
export * from "./mobilenet-v2.ts";
