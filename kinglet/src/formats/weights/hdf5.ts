import type { Dataset, Group } from "h5wasm";
import { elementCount, KingletError } from "../../base/index.ts";
import { MOST_DEFLATE } from "../unzip.ts";
import { checkCount, checkShape, decodeFloats, refuseWeights, type WeightTensor } from "./tensors.ts";

/** A folder of an HDF5 file. */
export interface Hdf5Group {
  /** The lists of texts among its attributes. */
  readonly texts: ReadonlyMap<string, readonly string[]>;
  readonly groups: ReadonlyMap<string, Hdf5Group>;
  /** A tensor's name is its name in this folder. */
  readonly tensors: ReadonlyMap<string, WeightTensor>;
}

const MAGIC = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];

export function isHdf5(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

type Library = Awaited<ReturnType<typeof load>>;

/** The library is four megabytes of WebAssembly: who reads no HDF5 does not load it. It sees no file system but its own, in memory. */
async function load() {
  const library = await import("h5wasm");
  const { FS, activate_throwing_error_handler } = await library.ready;
  // Otherwise it prints what it finds wrong.
  activate_throwing_error_handler();
  return { FS, File: library.File, Group: library.Group, Dataset: library.Dataset };
}

const FLOATS: ReadonlyMap<unknown, string> = new Map([
  ["<e", "float16"],
  ["<f", "float32"],
  ["<d", "float64"],
]);

/** Folders lie in folders at most so deep; a link may point to a folder above. */
const MAX_DEPTH = 24;

/** Reads the folders and tensors of one file, and counts what they cost. */
class Walker {
  private readonly library: Library;
  private readonly place: string;
  private readonly wanted: (path: string) => boolean;
  private budget: number;
  private count = 0;

  constructor(library: Library, place: string, bytes: number, wanted: (path: string) => boolean) {
    this.library = library;
    this.place = place;
    this.wanted = wanted;
    this.budget = MOST_DEFLATE * bytes;
  }

  private tensor(name: string, dataset: Dataset): WeightTensor {
    const where = `${this.place}, "${dataset.path.slice(0, 80)}"`;
    const { dtype } = dataset;
    const shape = checkShape(dataset.shape ?? [0], where);
    this.budget -= elementCount(shape) * dataset.metadata.size;
    if (this.budget < 0) refuseWeights(where, "the tensors hold far more than the file");
    const float = FLOATS.get(dtype);
    if (float === undefined) return { name, dtype: typeof dtype === "string" ? dtype.slice(0, 16) : "a compound", shape, data: null };
    const contents = elementCount(shape) === 0 ? new Uint8Array(0) : (dataset.value as Float32Array | Float64Array | Uint8Array);
    const data = decodeFloats(float, new Uint8Array(contents.buffer, contents.byteOffset, contents.byteLength));
    if (data?.length !== elementCount(shape)) refuseWeights(where, `the contents do not fit [${shape.join(",")}]`);
    return { name, dtype: float, shape, data };
  }

  private textsOf(group: Group): Map<string, readonly string[]> {
    const texts = new Map<string, readonly string[]>();
    const { attrs } = group;
    for (const name of Object.keys(attrs)) {
      const attribute = attrs[name]!;
      this.budget -= attribute.metadata.size * attribute.metadata.total_size;
      if (this.budget < 0) refuseWeights(this.place, "the attributes hold far more than the file");
      const { value } = attribute;
      const list: readonly unknown[] = Array.isArray(value) ? value : [value];
      if (list.every((each) => typeof each === "string")) texts.set(name, list);
    }
    return texts;
  }

  group(group: Group, path: string, depth: number): Hdf5Group {
    if (depth > MAX_DEPTH) refuseWeights(this.place, "its folders lie in each other without an end");
    const [groups, tensors] = [new Map<string, Hdf5Group>(), new Map<string, WeightTensor>()];
    for (const name of group.keys()) {
      const below = `${path}${name}`;
      if (!this.wanted(below)) continue;
      checkCount(++this.count, this.place);
      const entity = group.get(name);
      if (entity instanceof this.library.Group) groups.set(name, this.group(entity, `${below}/`, depth + 1));
      else if (entity instanceof this.library.Dataset) tensors.set(name, this.tensor(name, entity));
      else refuseWeights(this.place, `"${below.slice(0, 80)}" is neither a folder nor a tensor of this file`);
    }
    return { texts: this.textsOf(group), groups, tensors };
  }
}

/** Names in the library's file system, so that two files may be read at once. */
let files = 0;

/**
 * What the library throws leaves some of its stack and its handles behind. It was seen to break after about a thousand damaged files, so
 * long before that it is not used any more.
 */
const MOST_FAILURES = 200;
let failures = 0;

/**
 * All that an HDF5 file holds, or what of it is `wanted` by its path ("layers/dense").
 * @throws KingletError `bad-file` for a damaged file, or one with links out of it; `internal` after hundreds of those in one process
 */
export async function readHdf5(bytes: Uint8Array, place: string, wanted: (path: string) => boolean): Promise<Hdf5Group> {
  if (failures >= MOST_FAILURES)
    throw new KingletError("internal", `the HDF5 library has met ${failures} damaged files in this process and is not trusted with another`, {
      place,
      hint: "Start the program again.",
    });
  const library = await load();
  const path = `/${files++}.h5`;
  library.FS.writeFile(path, bytes);
  try {
    const file = new library.File(path, "r");
    const all = new Walker(library, place, bytes.length, wanted).group(file, "", 0);
    file.close();
    return all;
  } catch (error) {
    failures++;
    if (error instanceof KingletError) throw error;
    return refuseWeights(place, "the HDF5 file is damaged, or is written in a way that its library does not know");
  } finally {
    library.FS.unlink(path);
  }
}
