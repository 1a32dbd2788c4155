export { keywordSpotter, sampleInput } from "./network.ts";
