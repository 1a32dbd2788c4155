// Kinglet's own model files and arrays: all that a worker needs which trains, and loaded without the readers of others' models.
export { readKinglet, writeKinglet } from "./kinglet/index.ts";
export { type NpyArray, readNpy, writeNpy } from "./npy.ts";
