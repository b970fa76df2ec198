import type { onnx } from 'onnx-proto';
import onnxProto from 'onnx-proto';
import { dtypeCode } from './element-types.ts';
import { bufferFields, withGraph } from './input-kinds.ts';
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from './model.ts';

/** The IR version that came with operator set 17, understood by every engine since ONNX 1.12. */
const IR_VERSION = 8;

const { AttributeType } = onnxProto.onnx.AttributeProto;

/**
 * The bytes of a model file (ModelProto).
 * @param isElsewhere tells initializers whose values are left out, which ONNX calls external data; none where absent
 */
export function encodeOnnx(
  graph: OnnxGraph,
  isElsewhere: (name: string, tensor: OnnxTensor) => boolean = () => false,
): Uint8Array {
  const domains = new Set(domainsOf(graph).filter((domain) => domain !== ''));
  const model = {
    irVersion: IR_VERSION,
    producerName: 'soapstone',
    opsetImport: [{ domain: '', version: graph.opset }, ...[...domains].map((domain) => ({ domain, version: 1 }))],
  };
  const { ModelProto, GraphProto } = onnxProto.onnx;
  const encoded = encodeGraph(graph, isElsewhere);
  if (graph.buffers === undefined) return ModelProto.encode({ ...model, graph: encoded }).finish();
  // The schema has no field for what initializers are.
  const fields = [GraphProto.encode(encoded).finish(), bufferFields(graph.buffers)];
  return withGraph(ModelProto.encode(model).finish(), fields);
}

/** Domains of all nodes, those of graphs in attributes included. */
function domainsOf({ nodes }: OnnxGraph): string[] {
  return nodes.flatMap(({ domain, attributes }) => [
    domain,
    ...Object.values(attributes).flatMap((attribute) => (attribute.type === 'graph' ? domainsOf(attribute.value) : [])),
  ]);
}

function encodeGraph(
  { name, inputs, outputs, initializers, nodes }: OnnxGraph,
  isElsewhere: (name: string, tensor: OnnxTensor) => boolean = () => false,
): onnx.IGraphProto {
  return {
    name,
    input: inputs.map(encodeValue),
    output: outputs.map(encodeValue),
    initializer: [...initializers].map(([id, tensor]) =>
      isElsewhere(id, tensor) ? encodeOutline(id, tensor) : encodeTensor(id, tensor),
    ),
    node: nodes.map(encodeNode),
  };
}

function encodeValue({ name, dtype, shape }: OnnxValue): onnx.IValueInfoProto {
  const dim = shape.map((extent) => (typeof extent === 'number' ? { dimValue: extent } : { dimParam: extent }));
  return { name, type: { tensorType: { elemType: dtypeCode(dtype), shape: { dim } } } };
}

function encodeTensor(name: string, { dtype, shape, data }: OnnxTensor): onnx.ITensorProto {
  const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { name, dataType: dtypeCode(dtype), dims: [...shape], rawData };
}

function encodeOutline(name: string, { dtype, shape }: OnnxTensor): onnx.ITensorProto {
  const dataLocation = onnxProto.onnx.TensorProto.DataLocation.EXTERNAL;
  return { name, dataType: dtypeCode(dtype), dims: [...shape], dataLocation };
}

function encodeNode({ name, opType, domain, inputs, outputs, attributes }: OnnxNode): onnx.INodeProto {
  const attribute = Object.entries(attributes).map(([key, value]) => ({ name: key, ...encodeAttribute(value) }));
  return { name, opType, domain, input: [...inputs], output: [...outputs], attribute };
}

function encodeAttribute(attribute: OnnxAttribute): onnx.IAttributeProto {
  switch (attribute.type) {
    case 'int':
      return { type: AttributeType.INT, i: attribute.value };
    case 'float':
      return { type: AttributeType.FLOAT, f: attribute.value };
    case 'string':
      return { type: AttributeType.STRING, s: new TextEncoder().encode(attribute.value) };
    case 'ints':
      return { type: AttributeType.INTS, ints: [...attribute.value] };
    case 'floats':
      return { type: AttributeType.FLOATS, floats: [...attribute.value] };
    case 'strings':
      return { type: AttributeType.STRINGS, strings: attribute.value.map((text) => new TextEncoder().encode(text)) };
    case 'tensor':
      return { type: AttributeType.TENSOR, t: encodeTensor('', attribute.value) };
    case 'graph':
      return { type: AttributeType.GRAPH, g: encodeGraph(attribute.value) };
  }
}
