import protobuf from 'protobufjs/minimal.js';

/**
 * Numbers of fields. Source: onnx.proto, of ONNX 1.16, since when a ValueInfoProto has `metadata_props`; the schema that reads the rest
 * of a file is older.
 */
export const FIELDS = {
  model: { graph: 7 },
  graph: { initializer: 5, input: 11, valueInfo: 13 },
  tensor: { rawData: 9 },
  value: { name: 1, metadata: 4 },
  entry: { key: 1, value: 2 },
} as const;

/** Source: PyTorch, "torch.export-based ONNX exporter", metadata of the graph's inputs. */
const KIND = 'pkg.torch.export.graph_signature.InputSpec.kind';

/** The wire type of messages, texts and bytes. Source: https://protobuf.dev/programming-guides/encoding/ */
const LENGTH_DELIMITED = 2;

/** What is an input to the exported program, and neither fed nor trained. Source: torch.export.graph_signature.InputKind. */
const UNTRAINED_KINDS: ReadonlySet<string> = new Set(['BUFFER', 'CONSTANT_TENSOR']);

/**
 * The names of values that PyTorch's exporter by torch.export says to be buffers or constants, as {@link bufferFields} does; none where
 * a file says nothing.
 * @param bytes of a model file that was decoded
 */
export function bufferNames(bytes: Uint8Array): Set<string> {
  const names = new Set<string>();
  for (const graph of messages(bytes, FIELDS.model.graph)) {
    for (const field of [FIELDS.graph.valueInfo, FIELDS.graph.input]) {
      for (const value of messages(graph, field)) {
        const [name] = texts(value, FIELDS.value.name);
        const kind = [...messages(value, FIELDS.value.metadata)].find(
          (entry) => texts(entry, FIELDS.entry.key)[0] === KIND,
        );
        if (name === undefined || kind === undefined) continue;
        if (UNTRAINED_KINDS.has(texts(kind, FIELDS.entry.value)[0] ?? '')) names.add(name);
      }
    }
  }
  return names;
}

/** The fields of a GraphProto by which {@link bufferNames} finds some names again. */
export function bufferFields(names: Iterable<string>): Uint8Array {
  const text = (number: number, value: string): Uint8Array => field(number, new TextEncoder().encode(value));
  const kind = joined([text(FIELDS.entry.key, KIND), text(FIELDS.entry.value, 'BUFFER')]);
  const values = Array.from(names, (name) =>
    joined([text(FIELDS.value.name, name), field(FIELDS.value.metadata, kind)]),
  );
  return joined(values.map((value) => field(FIELDS.graph.valueInfo, value)));
}

/** What comes before the bytes of a field, so many of them, whose type is a message, a text or bytes. */
export function fieldHead(number: number, byteLength: number): Uint8Array {
  return protobuf.Writer.create()
    .uint32((number << 3) | LENGTH_DELIMITED)
    .uint32(byteLength)
    .finish();
}

function field(number: number, bytes: Uint8Array): Uint8Array {
  return joined([fieldHead(number, bytes.length), bytes]);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** The bytes of each occurrence of a field whose type is a message or a text; all else is passed over. */
function* messages(bytes: Uint8Array, wanted: number): Generator<Uint8Array> {
  const reader = protobuf.Reader.create(bytes);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    const [field, wireType] = [tag >>> 3, tag & 7];
    if (field !== wanted || wireType !== LENGTH_DELIMITED) reader.skipType(wireType);
    else {
      // A view: weights are in the same bytes.
      const length = reader.uint32();
      const start = reader.pos;
      reader.skip(length);
      yield bytes.subarray(start, start + length);
    }
  }
}

function texts(bytes: Uint8Array, field: number): string[] {
  return [...messages(bytes, field)].map((text) => new TextDecoder().decode(text));
}
