export { checkConfig, CONFIG_FILE, type Features, NETWORK_NAMES, type ProjectConfig } from "./config.ts";
export {
  judgedPart,
  learn,
  type Learned,
  type LearnOptions,
  type LearnTask,
  PROJECT_CHECKPOINT,
  PROJECT_DATA,
  projectData,
  projectSplit,
  type TrainingPlan,
} from "./learn.ts";
export { isProject, loadConfig } from "./load.ts";
export { readSamples, spread, startingNetwork } from "./network.ts";
export { readStartWeights, readWeightsFile } from "./weights.ts";
export { KINDS, type ProjectKind, projectFiles } from "./template.ts";
