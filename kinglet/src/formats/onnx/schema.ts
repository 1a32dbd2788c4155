import { WireType } from "@bufbuild/protobuf/wire";
import { type Fields, readMessage } from "../wire.ts";
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

/** How the messages are stored: what each field of a message holds. */

const int64 = (reader: { int64(): bigint | string }): bigint => BigInt(reader.int64());
const uint64 = (reader: { uint64(): bigint | string }): bigint => BigInt(reader.uint64());

const ENTRY: Fields<{ key: string; value: string }> = {
  1: (c, m) => {
    m.key = c.text();
  },
  2: (c, m) => {
    m.value = c.text();
  },
};

const TENSOR: Fields<TensorProto> = {
  1: (c, m) => c.repeated(m.dims, WireType.Varint, (r) => Number(int64(r))),
  2: (c, m) => {
    m.dataType = c.int();
  },
  3: (c, m) => {
    c.bytes();
    m.segmented = true;
  },
  4: (c, m) => c.repeated(m.floats, WireType.Bit32, (r) => r.float()),
  5: (c, m) => c.repeated(m.int32s, WireType.Varint, (r) => r.int32()),
  6: (c, m) => {
    c.bytes();
    m.strings++;
  },
  7: (c, m) => c.repeated(m.int64s, WireType.Varint, int64),
  8: (c, m) => {
    m.name = c.text();
  },
  9: (c, m) => {
    m.raw = c.bytes();
  },
  10: (c, m) => c.repeated(m.doubles, WireType.Bit64, (r) => r.double()),
  11: (c, m) => c.repeated(m.uint64s, WireType.Varint, uint64),
  13: (c, m) => {
    const entry = c.message({ key: "", value: "" }, ENTRY);
    m.external.set(entry.key, entry.value);
  },
  14: (c, m) => {
    m.isExternal = c.int() === 1;
  },
};

function emptyTensor(): TensorProto {
  return {
    name: "",
    dims: [],
    dataType: 0,
    raw: null,
    floats: [],
    int32s: [],
    int64s: [],
    doubles: [],
    uint64s: [],
    strings: 0,
    external: new Map(),
    isExternal: false,
    segmented: false,
  };
}

const SPARSE: Fields<SparseTensorProto> = {
  1: (c, m) => {
    m.values = c.message(emptyTensor(), TENSOR);
  },
  2: (c, m) => {
    m.indices = c.message(emptyTensor(), TENSOR);
  },
  3: (c, m) => c.repeated(m.dims, WireType.Varint, (r) => Number(int64(r))),
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
  1: (c, m) => {
    m.name = c.text();
  },
  2: (c, m) => {
    m.float = c.float();
  },
  3: (c, m) => {
    m.int = c.long();
  },
  4: (c, m) => {
    m.text = c.bytes();
  },
  5: (c, m) => {
    m.tensor = c.message(emptyTensor(), TENSOR);
  },
  6: (c, m) => {
    m.graph = c.message(emptyGraph(), GRAPH);
  },
  7: (c, m) => c.repeated(m.floats, WireType.Bit32, (r) => r.float()),
  8: (c, m) => c.repeated(m.ints, WireType.Varint, int64),
  9: (c, m) => {
    m.texts.push(c.bytes());
  },
  20: (c, m) => {
    m.kind = c.int();
  },
  21: (c, m) => {
    m.reference = c.text();
  },
  22: (c, m) => {
    m.sparse = c.message(emptySparse(), SPARSE);
  },
};

const NODE: Fields<NodeProto> = {
  1: (c, m) => {
    m.inputs.push(c.text());
  },
  2: (c, m) => {
    m.outputs.push(c.text());
  },
  3: (c, m) => {
    m.name = c.text();
  },
  4: (c, m) => {
    m.op = c.text();
  },
  5: (c, m) => {
    m.attributes.push(c.message(emptyAttribute(), ATTRIBUTE));
  },
  7: (c, m) => {
    m.domain = c.text();
  },
  8: (c, m) => {
    m.overload = c.text();
  },
};

const emptyNode = (): NodeProto => ({ name: "", op: "", domain: "", overload: "", inputs: [], outputs: [], attributes: [] });

const DIMENSION: Fields<{ dim: DimProto }> = {
  1: (c, m) => {
    m.dim = Number(c.long());
  },
  2: (c, m) => {
    m.dim = c.text();
  },
};

const SHAPE: Fields<DimProto[]> = {
  1: (c, m) => {
    m.push(c.message({ dim: "" } as { dim: DimProto }, DIMENSION).dim);
  },
};

const TENSOR_TYPE: Fields<ValueInfoProto> = {
  1: (c, m) => {
    m.elementType = c.int();
  },
  2: (c, m) => {
    m.shape = c.message([], SHAPE);
  },
};

const TYPE: Fields<ValueInfoProto> = {
  1: (c, m) => {
    c.message(m, TENSOR_TYPE);
  },
  ...Object.fromEntries(
    Object.entries({ 4: "sequence", 5: "map", 7: "opaque value", 8: "sparse tensor", 9: "optional" }).map(([field, kind]) => [
      field,
      (c: { bytes(): unknown }, m: ValueInfoProto) => {
        c.bytes();
        m.kind = kind;
      },
    ]),
  ),
};

const VALUE_INFO: Fields<ValueInfoProto> = {
  1: (c, m) => {
    m.name = c.text();
  },
  2: (c, m) => {
    c.message(m, TYPE);
  },
};

const emptyValueInfo = (): ValueInfoProto => ({ name: "", elementType: 0, kind: "tensor", shape: null });

function emptyGraph(): GraphProto {
  return { name: "", nodes: [], initializers: [], sparse: [], inputs: [], outputs: [] };
}

const GRAPH: Fields<GraphProto> = {
  1: (c, m) => {
    m.nodes.push(c.message(emptyNode(), NODE));
  },
  2: (c, m) => {
    m.name = c.text();
  },
  5: (c, m) => {
    m.initializers.push(c.message(emptyTensor(), TENSOR));
  },
  11: (c, m) => {
    m.inputs.push(c.message(emptyValueInfo(), VALUE_INFO));
  },
  12: (c, m) => {
    m.outputs.push(c.message(emptyValueInfo(), VALUE_INFO));
  },
  15: (c, m) => {
    m.sparse.push(c.message(emptySparse(), SPARSE));
  },
};

const OPSET: Fields<{ domain: string; version: number }> = {
  1: (c, m) => {
    m.domain = c.text();
  },
  2: (c, m) => {
    m.version = Number(c.long());
  },
};

function addOpset(c: Parameters<Fields<unknown>[number]>[0], opsets: Map<string, number>): void {
  const { domain, version } = c.message({ domain: "", version: 1 }, OPSET);
  opsets.set(domain === "ai.onnx" ? "" : domain, version);
}

const FUNCTION: Fields<FunctionProto> = {
  1: (c, m) => {
    m.name = c.text();
  },
  4: (c, m) => {
    m.inputs.push(c.text());
  },
  5: (c, m) => {
    m.outputs.push(c.text());
  },
  6: (c, m) => {
    m.attributes.push(c.text());
  },
  7: (c, m) => {
    m.nodes.push(c.message(emptyNode(), NODE));
  },
  9: (c, m) => addOpset(c, m.opsets),
  10: (c, m) => {
    m.domain = c.text();
  },
  11: (c, m) => {
    m.defaults.push(c.message(emptyAttribute(), ATTRIBUTE));
  },
  13: (c, m) => {
    m.overload = c.text();
  },
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
  1: (c, m) => {
    m.irVersion = Number(c.long());
  },
  2: (c, m) => {
    m.producer = c.text();
  },
  3: (c, m) => {
    m.producerVersion = c.text();
  },
  6: (c, m) => {
    m.doc = c.text();
  },
  7: (c, m) => {
    m.graph = c.message(emptyGraph(), GRAPH);
  },
  8: (c, m) => addOpset(c, m.opsets),
  25: (c, m) => {
    m.functions.push(c.message(emptyFunction(), FUNCTION));
  },
};

/** @throws KingletError `bad-file` */
export function parseModel(bytes: Uint8Array, name: string): ModelProto {
  return readMessage(bytes, name, { irVersion: 0, producer: "", producerVersion: "", doc: "", opsets: new Map(), graph: null, functions: [] }, MODEL);
}

/** A tensor in a file of its own, as conformance cases have them. @throws KingletError `bad-file` */
export function parseTensor(bytes: Uint8Array, name: string): TensorProto {
  return readMessage(bytes, name, emptyTensor(), TENSOR);
}
