import { KingletError } from "../../base/index.ts";
import { parseTensor } from "./schema.ts";
import { decodeTensor, type Tensor } from "./tensor.ts";

/** A tensor in a file of its own (.pb), as conformance cases store their inputs and outputs. @throws KingletError `bad-file`, `unsupported` */
export function readTensorFile(bytes: Uint8Array, name: string): Tensor {
  return decodeTensor(parseTensor(bytes, name), name, (_, place) => {
    throw new KingletError("bad-file", "the tensor lies in another file", { place });
  });
}
