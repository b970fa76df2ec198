import type { onnx } from 'onnx-proto';
import onnxProto from 'onnx-proto';
import { dtypeName, ELEMENT_BYTES, elementsOf, zerosOf } from './element-types.ts';
import { bufferNames } from './input-kinds.ts';
import type { OnnxAttribute, OnnxData, OnnxDType, OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from './model.ts';
import { messageOf } from '../message-of.ts';
import { elementCount } from './indexing.ts';

/** A file that is no usable ONNX model: a sentence with what, got and expected. */
export class OnnxError extends Error {
  override readonly name = 'OnnxError';
}

/** The oldest operator set whose meanings the importer knows. */
export const OLDEST_OPSET = 9;

/** Number of dimensions beyond which a tensor is taken for damage. */
const MAX_RANK = 16;

/** Most bytes that values which are left out may stand for: no file holds more. Source: protobuf's limit, 2 GiB a message. */
const MAX_ABSENT_BYTES = 2 ** 31;

/**
 * Reads bytes of another file that a model keeps values in.
 * @param location as the model has it: relative to the model's folder
 * @param offset of the first byte
 * @param length bytes; undefined for all from the offset on
 * @throws {Error} a sentence where they cannot be read
 */
export type ExternalData = (location: string, offset: number, length: number | undefined) => Uint8Array;

/**
 * Reads a model file.
 * @param source what messages call the file
 * @param absent what is made of initializers whose values are in other files: these files' bytes; zeros, which take no memory until
 *   they are looked at; or a refusal
 * @throws {OnnxError} for bytes that are truncated, damaged, or use what the project does not know
 */
export function decodeOnnx(
  bytes: Uint8Array,
  source: string = 'the ONNX file',
  absent: ExternalData | 'refused' | 'zeros' = 'refused',
): OnnxGraph {
  const model = decodeModel(bytes, source);
  const opset = model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx' || domain === undefined);
  if (opset === undefined) throw incomplete(bytes, source, 'it names no operator set');
  const version = Number(opset.version ?? 0);
  if (version < OLDEST_OPSET) {
    throw new OnnxError(
      `${source} uses operator set ${version}; expected ${OLDEST_OPSET} or newer: export the model again`,
    );
  }
  const graph = model.graph;
  if (!graph || (graph.node ?? []).length === 0) {
    throw new OnnxError(`${source} holds no graph with nodes; expected a model: it may be truncated, export it again`);
  }
  const initializers = new Map<string, OnnxTensor>();
  let absentBytes = 0;
  for (const tensor of graph.initializer ?? []) {
    const name = tensor.name ?? '';
    const what = `${source}: tensor '${name}'`;
    if (absent === 'zeros' && isExternal(tensor)) {
      const { dtype, shape, elements } = decodeOutline(tensor, what);
      absentBytes += elements * ELEMENT_BYTES[dtype];
      if (absentBytes > MAX_ABSENT_BYTES) throw new OnnxError(`${what} and those before it have more than 2 GiB`);
      initializers.set(name, { dtype, shape, data: zerosOf(dtype, elements) });
    } else initializers.set(name, decodeTensor(tensor, what, typeof absent === 'function' ? absent : undefined));
  }
  const inputs = (graph.input ?? []).filter(({ name }) => !initializers.has(name ?? ''));
  const buffers = decodeBuffers(bytes, source);
  return {
    name: graph.name ?? '',
    opset: version,
    inputs: inputs.map((value) => decodeValue(value, source)),
    outputs: (graph.output ?? []).map((value) => decodeValue(value, source)),
    initializers,
    ...(buffers.size > 0 && { buffers }),
    nodes: (graph.node ?? []).map((node) => decodeNode(node, source)),
  };
}

function decodeModel(bytes: Uint8Array, source: string): onnx.ModelProto {
  try {
    return onnxProto.onnx.ModelProto.decode(bytes);
  } catch (error) {
    throw incomplete(bytes, source, reasonOf(error), error);
  }
}

function decodeBuffers(bytes: Uint8Array, source: string): ReadonlySet<string> {
  try {
    return bufferNames(bytes);
  } catch (error) {
    throw incomplete(bytes, source, reasonOf(error), error);
  }
}

function reasonOf(error: unknown): string {
  // The decoder calls itself for each message in another.
  if (error instanceof RangeError && /call stack/.test(error.message)) return 'messages nested too deep';
  return messageOf(error);
}

function incomplete(bytes: Uint8Array, source: string, reason: string, cause?: unknown): OnnxError {
  return new OnnxError(
    `${source} is not a complete ONNX file (${bytes.length} bytes, ${reason}); expected a model as torch.onnx.export ` +
      'writes it: copy or export it again',
    { cause },
  );
}

function decodeValue({ name, type }: onnx.IValueInfoProto, source: string): OnnxValue {
  const tensor = type?.tensorType;
  const dtype = dtypeName(tensor?.elemType ?? 0);
  if (dtype === undefined) {
    throw new OnnxError(
      `${source}: '${name}' has element type ${typeInWords(tensor?.elemType)}; expected float32, or an integer type: export the model in float32`,
    );
  }
  const dims = tensor?.shape?.dim ?? [];
  const shape = dims.map((dim, axis) => {
    const extent = dim.dimValue == null ? 0 : Number(dim.dimValue);
    return extent > 0 ? extent : dim.dimParam || `dim${axis}`;
  });
  return { name: name ?? '', dtype, shape };
}

/** Such as `float16`; the number where ONNX's schema here has no name for it. */
function typeInWords(code: number | null | undefined): string {
  if (code == null) return 'none';
  return onnxProto.onnx.TensorProto.DataType[code]?.toLowerCase() ?? String(code);
}

function isExternal({ dataLocation }: onnx.ITensorProto): boolean {
  return dataLocation === onnxProto.onnx.TensorProto.DataLocation.EXTERNAL;
}

function decodeTensor(tensor: onnx.ITensorProto, what: string, external?: ExternalData): OnnxTensor {
  const { dtype, shape, elements } = decodeOutline(tensor, what);
  const rawData = isExternal(tensor) ? externalBytes(tensor, what, external) : tensor.rawData;
  const data = tensorData({ ...tensor, rawData: rawData ?? null }, dtype, elements, what);
  if (data.length !== elements) {
    throw new OnnxError(
      `${what} of shape [${shape}] holds ${data.length} elements; expected ${elements}: the file is damaged`,
    );
  }
  return { dtype, shape, data };
}

/** Source of the keys: TensorProto.external_data in onnx.proto. */
function externalBytes({ externalData }: onnx.ITensorProto, what: string, read: ExternalData | undefined): Uint8Array {
  const entries = new Map((externalData ?? []).map(({ key, value }) => [key ?? '', value ?? '']));
  const location = entries.get('location') ?? '';
  if (read === undefined || location === '') {
    throw new OnnxError(
      `${what} is stored in another file, '${location}'; expected all weights inside here: save the model as one file ` +
        '(torch.onnx.export with external_data=False)',
    );
  }
  const [offset = 0, length] = ['offset', 'length'].map((key) => {
    const count = entries.has(key) ? Number(entries.get(key)) : undefined;
    if (count === undefined || (Number.isSafeInteger(count) && count >= 0)) return count;
    throw new OnnxError(`${what} has ${key} '${entries.get(key)}' in '${location}'; expected a number of bytes`);
  });
  try {
    return read(location, offset, length);
  } catch (error) {
    throw new OnnxError(`${what} is stored in another file: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** What a tensor says of itself beside its values. */
function decodeOutline(
  tensor: onnx.ITensorProto,
  what: string,
): { readonly dtype: OnnxDType; readonly shape: readonly number[]; readonly elements: number } {
  const dtype = dtypeName(tensor.dataType ?? 0);
  if (dtype === undefined) {
    throw new OnnxError(
      `${what} has element type ${typeInWords(tensor.dataType)}; expected float32, float64, int64, int32, uint8 or bool: ` +
        'export the model in float32',
    );
  }
  const shape = (tensor.dims ?? []).map(Number);
  const elements = elementCount(shape);
  if (shape.length > MAX_RANK || shape.some((extent) => extent < 0) || !Number.isSafeInteger(elements)) {
    throw new OnnxError(`${what} has shape [${shape}]; expected at most ${MAX_RANK} extents of at least 0`);
  }
  return { dtype, shape, elements };
}

function tensorData(tensor: onnx.ITensorProto, dtype: OnnxDType, elements: number, what: string): OnnxData {
  const raw = tensor.rawData;
  if (raw && raw.length > 0) {
    const expected = elements * ELEMENT_BYTES[dtype];
    if (raw.length !== expected) {
      throw new OnnxError(`${what} holds ${raw.length} bytes; expected ${expected}: the file is damaged`);
    }
    return elementsOf(dtype, raw);
  }
  switch (dtype) {
    case 'float32':
      return Float32Array.from(tensor.floatData ?? []);
    case 'float64':
      return Float64Array.from(tensor.doubleData ?? []);
    case 'int64':
      return BigInt64Array.from(tensor.int64Data ?? [], (value) => BigInt(value.toString()));
    case 'int32':
      return Int32Array.from(tensor.int32Data ?? []);
    case 'uint8':
    case 'bool':
      return Uint8Array.from(tensor.int32Data ?? []);
  }
}

function decodeNode(node: onnx.INodeProto, source: string): OnnxNode {
  const name = node.name || node.output?.[0] || '';
  // Built from entries, since assigning to a file's own '__proto__' would change the prototype instead.
  const attributes = Object.fromEntries(
    (node.attribute ?? []).map((attribute): [string, OnnxAttribute] => [
      attribute.name ?? '',
      decodeAttribute(attribute, `${source}: node '${name}', attribute '${attribute.name}'`),
    ]),
  );
  return {
    name,
    opType: node.opType ?? '',
    domain: node.domain === 'ai.onnx' ? '' : (node.domain ?? ''),
    inputs: node.input ?? [],
    outputs: node.output ?? [],
    attributes,
  };
}

function decodeAttribute(attribute: onnx.IAttributeProto, what: string): OnnxAttribute {
  const { AttributeType } = onnxProto.onnx.AttributeProto;
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  switch (attribute.type) {
    case AttributeType.INT:
      return { type: 'int', value: Number(attribute.i ?? 0) };
    case AttributeType.FLOAT:
      return { type: 'float', value: attribute.f ?? 0 };
    case AttributeType.STRING:
      return { type: 'string', value: text(attribute.s ?? new Uint8Array()) };
    case AttributeType.INTS:
      return { type: 'ints', value: (attribute.ints ?? []).map(Number) };
    case AttributeType.FLOATS:
      return { type: 'floats', value: attribute.floats ?? [] };
    case AttributeType.STRINGS:
      return { type: 'strings', value: (attribute.strings ?? []).map(text) };
    case AttributeType.TENSOR:
      return { type: 'tensor', value: decodeTensor(attribute.t ?? {}, what) };
    case AttributeType.GRAPH:
    case AttributeType.GRAPHS:
      throw new OnnxError(
        `${what} is a graph: If, Loop and Scan are not supported; export the model without branches and loops that depend on ` +
          'data (torch.nn.EmbeddingBag as torch.nn.Embedding and a mean or sum)',
      );
    default:
      throw new OnnxError(
        `${what} is of kind ${attribute.type}; expected a number, a string, a tensor or a list of them`,
      );
  }
}
