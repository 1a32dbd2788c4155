import { WireType } from "@bufbuild/protobuf/wire";
import { PackedNumbers } from "../packed.ts";
import type {
  AttributeProto,
  DimProto,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  SparseTensorProto,
  TensorProto,
  ValueInfoProto,
} from "./proto.ts";
import {
  bytes,
  byteStrings,
  entries,
  type Field,
  type Fields,
  flag,
  float,
  floats,
  int,
  list,
  long,
  longs,
  nested,
  packed,
  readMessage,
  readOnly,
  size,
  sizes,
  text,
  texts,
  writeMessage,
  writeNested,
} from "../wire.ts";

/** How the messages are stored: what each field of a message holds, by its number. */

const emptyEntry = (): { key: string; value: string } => ({ key: "", value: "" });
const ENTRY: Fields<{ key: string; value: string }> = { 1: text("key"), 2: text("value") };

/** What a reader only has to know of, and a writer never writes. */
function noticed<T>(notice: (message: T) => void): Field<T> {
  return readOnly((c, m) => {
    c.bytes();
    notice(m);
  });
}

const TENSOR: Fields<TensorProto> = {
  1: sizes("dims"),
  2: int("dataType"),
  3: noticed((m) => {
    m.segmented = true;
  }),
  4: packed("floats", WireType.Bit32),
  5: packed("int32s", WireType.Varint),
  6: byteStrings("strings"),
  7: packed("int64s", WireType.Varint),
  8: text("name"),
  9: bytes("raw"),
  10: packed("doubles", WireType.Bit64),
  11: packed("uint64s", WireType.Varint),
  13: entries("external", emptyEntry, ENTRY),
  14: flag("isExternal"),
};

export function emptyTensor(): TensorProto {
  return {
    name: "",
    dims: [],
    dataType: 0,
    raw: null,
    floats: new PackedNumbers(),
    int32s: new PackedNumbers(),
    int64s: new PackedNumbers(),
    doubles: new PackedNumbers(),
    uint64s: new PackedNumbers(),
    strings: [],
    external: new Map(),
    isExternal: false,
    segmented: false,
  };
}

const SPARSE: Fields<SparseTensorProto> = {
  1: nested("values", emptyTensor, () => TENSOR),
  2: nested("indices", emptyTensor, () => TENSOR),
  3: sizes("dims"),
};

const emptySparse = (): SparseTensorProto => ({ values: null, indices: null, dims: [] });

export function emptyAttribute(name = ""): AttributeProto {
  return {
    name,
    reference: "",
    kind: 0,
    float: 0,
    int: 0n,
    text: null,
    tensor: null,
    sparse: null,
    graph: null,
    floats: [],
    ints: [],
    texts: [],
  };
}

const ATTRIBUTE: Fields<AttributeProto> = {
  1: text("name"),
  2: float("float"),
  3: long("int"),
  4: bytes("text"),
  5: nested("tensor", emptyTensor, () => TENSOR),
  6: nested("graph", emptyGraph, () => GRAPH),
  7: floats("floats"),
  8: longs("ints"),
  9: byteStrings("texts"),
  20: int("kind"),
  21: text("reference"),
  22: nested("sparse", emptySparse, () => SPARSE),
};

const NODE: Fields<NodeProto> = {
  1: texts("inputs"),
  2: texts("outputs"),
  3: text("name"),
  4: text("op"),
  5: list("attributes", emptyAttribute, () => ATTRIBUTE),
  7: text("domain"),
  8: text("overload"),
};

export const emptyNode = (): NodeProto => ({ name: "", op: "", domain: "", overload: "", inputs: [], outputs: [], attributes: [] });

/** A dimension is a number or a name; here it stands in a list by itself. */
const DIMENSION: Fields<{ dim: DimProto }> = {
  1: {
    read: (c, m) => {
      m.dim = Number(c.long());
    },
    write: (w, field, { dim }) => void (typeof dim === "number" && w.tag(field, 0).int64(dim)),
  },
  2: {
    read: (c, m) => {
      m.dim = c.text();
    },
    write: (w, field, { dim }) => void (typeof dim === "string" && dim !== "" && w.tag(field, 2).string(dim)),
  },
};

const SHAPE: Fields<DimProto[]> = {
  1: {
    read: (c, m) => void m.push(c.message({ dim: "" } as { dim: DimProto }, DIMENSION).dim),
    write: (w, field, m) => {
      for (const dim of m) writeNested(w, field, { dim }, DIMENSION);
    },
  },
};

const TENSOR_TYPE: Fields<ValueInfoProto> = {
  1: int("elementType"),
  2: nested(
    "shape",
    (): DimProto[] => [],
    () => SHAPE,
  ),
};

/** A message whose fields are the outer one's own. */
function inline<T>(fields: Fields<T>): Field<T> {
  return { read: (c, m) => void c.message(m, fields), write: (w, field, m) => writeNested(w, field, m, fields) };
}

const TYPE: Fields<ValueInfoProto> = {
  1: inline(TENSOR_TYPE),
  ...Object.fromEntries(
    Object.entries({ 4: "sequence", 5: "map", 7: "opaque value", 8: "sparse tensor", 9: "optional" }).map(([field, kind]) => [
      field,
      noticed<ValueInfoProto>((m) => {
        m.kind = kind;
      }),
    ]),
  ),
};

const VALUE_INFO: Fields<ValueInfoProto> = {
  1: text("name"),
  // An element type of 0 stands for a type that the file leaves open: engines refuse it where it is written.
  2: { read: inline(TYPE).read, write: (w, field, m) => void (m.elementType !== 0 && writeNested(w, field, m, TYPE)) },
};

export const emptyValueInfo = (): ValueInfoProto => ({ name: "", elementType: 0, kind: "tensor", shape: null });

export function emptyGraph(): GraphProto {
  return { name: "", nodes: [], initializers: [], sparse: [], inputs: [], outputs: [], values: [] };
}

const GRAPH: Fields<GraphProto> = {
  1: list("nodes", emptyNode, () => NODE),
  2: text("name"),
  5: list("initializers", emptyTensor, () => TENSOR),
  11: list("inputs", emptyValueInfo, () => VALUE_INFO),
  12: list("outputs", emptyValueInfo, () => VALUE_INFO),
  13: list("values", emptyValueInfo, () => VALUE_INFO),
  15: list("sparse", emptySparse, () => SPARSE),
};

const OPSET: Fields<{ key: string; value: number }> = {
  1: {
    read: (c, m) => {
      const domain = c.text();
      m.key = domain === "ai.onnx" ? "" : domain;
    },
    write: (w, field, m) => text("key").write(w, field, m),
  },
  2: size("value"),
};

const opsets = entries("opsets", () => ({ key: "", value: 1 }), OPSET);

const FUNCTION: Fields<FunctionProto> = {
  1: text("name"),
  4: texts("inputs"),
  5: texts("outputs"),
  6: texts("attributes"),
  7: list("nodes", emptyNode, () => NODE),
  9: opsets,
  10: text("domain"),
  11: list("defaults", emptyAttribute, () => ATTRIBUTE),
  13: text("overload"),
};

const emptyFunction = (): FunctionProto => ({
  name: "",
  domain: "",
  overload: "",
  inputs: [],
  outputs: [],
  attributes: [],
  defaults: [],
  nodes: [],
  opsets: new Map(),
});

const MODEL: Fields<ModelProto> = {
  1: size("irVersion"),
  2: text("producer"),
  3: text("producerVersion"),
  6: text("doc"),
  7: nested("graph", emptyGraph, () => GRAPH),
  8: opsets,
  14: entries("notes", emptyEntry, ENTRY),
  25: list("functions", emptyFunction, () => FUNCTION),
};

export function emptyModel(): ModelProto {
  return { irVersion: 0, producer: "", producerVersion: "", doc: "", opsets: new Map(), graph: null, functions: [], notes: new Map() };
}

/** @throws KingletError `bad-file` */
export function parseModel(file: Uint8Array, name: string): ModelProto {
  return readMessage(file, name, emptyModel(), MODEL);
}

export function encodeModel(model: ModelProto): Uint8Array {
  return writeMessage(model, MODEL);
}

/** A tensor in a file of its own, as conformance cases have them. @throws KingletError `bad-file` */
export function parseTensor(file: Uint8Array, name: string): TensorProto {
  return readMessage(file, name, emptyTensor(), TENSOR);
}
