import { type Json, JsonReader } from "../json-reader.ts";

/** What Keras calls a class in the paths of a file: DepthwiseConv2D is depthwise_conv2d, ReLU re_lu. */
function snakeCase(className: string): string {
  return className
    .replace(/\W+/g, "")
    .replace(/(.)([A-Z][a-z]+)/g, "$1_$2")
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase();
}

/** Names of a model's layers by their paths in the file with its weights, in the model's order. */
export type LayerNames = ReadonlyMap<string, string>;

const MAX_DEPTH = 24;

function addLayers(reader: JsonReader, model: Json, path: string, prefix: string, names: Map<string, string>, depth: number): void {
  if (depth > MAX_DEPTH) reader.fail("", "models lie in models without an end");
  const config = reader.field(model, "config", "a model");
  const layers = typeof config === "object" && config !== null ? reader.field(config, "layers", "a model") : undefined;
  if (layers === undefined) return;
  const counts = new Map<string, number>();
  for (const layer of reader.list(layers, "layers")) {
    const base = snakeCase(reader.text(reader.field(layer, "class_name", "a layer"), "class_name"));
    const before = counts.get(base) ?? 0;
    counts.set(base, before + 1);
    const below = `${path}layers/${before === 0 ? base : `${base}_${before}`}`;
    const name = `${prefix}${reader.text(reader.field(reader.field(layer, "config", "a layer"), "name", "a layer"), "name")}`;
    names.set(below, name);
    addLayers(reader, layer, `${below}/`, `${name}/`, names, depth + 1);
  }
}

/** @throws KingletError `bad-file` where `config.json` does not describe a model */
export function layerNames(config: Uint8Array, place: string): LayerNames {
  const reader = new JsonReader(place, "Save or download the model again.");
  const names = new Map<string, string>();
  addLayers(reader, reader.parse(config, ""), "", "", names, 0);
  return names;
}
