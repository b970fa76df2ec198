import type { onnx } from 'onnx-proto';
import onnxProto from 'onnx-proto';
import { dtypeCode } from './element-types.ts';
import { bufferFields, fieldHead, FIELDS } from './input-kinds.ts';
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from './model.ts';

/** The IR version that came with operator set 17, understood by every engine since ONNX 1.12. */
const IR_VERSION = 8;

const { ModelProto, GraphProto, TensorProto, AttributeProto } = onnxProto.onnx;
const { AttributeType } = AttributeProto;

/** Tells initializers whose values are left out of a file, which ONNX calls external data. */
type IsElsewhere = (name: string, tensor: OnnxTensor) => boolean;

/** Part of a model file: bytes of it, or where the values of an initializer are, so many bytes, as they lie in memory. */
export type OnnxPart = Uint8Array | { readonly valuesOf: string; readonly byteLength: number };

/**
 * The bytes of a model file (ModelProto).
 * @param isElsewhere none where absent
 */
export function encodeOnnx(graph: OnnxGraph, isElsewhere?: IsElsewhere): Uint8Array {
  const bytes = onnxParts(graph, isElsewhere).map((part) => {
    if (part instanceof Uint8Array) return part;
    const { data } = graph.initializers.get(part.valuesOf)!;
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  });
  return Buffer.concat(bytes);
}

/** The same in parts, in order, for whoever has the values of initializers one after the other: of those here only the lengths count. */
export function onnxParts(graph: OnnxGraph, isElsewhere: IsElsewhere = () => false): OnnxPart[] {
  const domains = new Set(domainsOf(graph).filter((domain) => domain !== ''));
  const opsetImport = [{ domain: '', version: graph.opset }, ...[...domains].map((domain) => ({ domain, version: 1 }))];
  const model = ModelProto.encode({ irVersion: IR_VERSION, producerName: 'soapstone' }).finish();
  const opsets = ModelProto.encode({ opsetImport }).finish();
  const fields = graphParts(graph, isElsewhere);
  const graphBytes = fields.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const whole = [fieldHead(FIELDS.model.graph, graphBytes), ...fields];
  // In the order of the schema; a graph with fields that the schema does not have is written behind what has.
  return graph.buffers === undefined ? [model, ...whole, opsets] : [model, opsets, ...whole];
}

/** Domains of all nodes, those of graphs in attributes included. */
function domainsOf({ nodes }: OnnxGraph): string[] {
  return nodes.flatMap(({ domain, attributes }) => [
    domain,
    ...Object.values(attributes).flatMap((attribute) => (attribute.type === 'graph' ? domainsOf(attribute.value) : [])),
  ]);
}

/** The fields of a GraphProto, in the order of their numbers. */
function graphParts(graph: OnnxGraph, isElsewhere: IsElsewhere): OnnxPart[] {
  const { name, inputs, outputs, initializers, buffers = [], nodes } = graph;
  return [
    GraphProto.encode({ name, node: nodes.map(encodeNode) }).finish(),
    ...[...initializers].flatMap(([id, tensor]) =>
      isElsewhere(id, tensor)
        ? [GraphProto.encode({ initializer: [encodeOutline(id, tensor)] }).finish()]
        : initializerParts(id, tensor),
    ),
    GraphProto.encode({ input: inputs.map(encodeValue), output: outputs.map(encodeValue) }).finish(),
    // The schema has no field for what initializers are.
    bufferFields(buffers),
  ];
}

function initializerParts(valuesOf: string, tensor: OnnxTensor): OnnxPart[] {
  const { byteLength } = tensor.data;
  const description = TensorProto.encode(describeTensor(valuesOf, tensor)).finish();
  const valuesHead = fieldHead(FIELDS.tensor.rawData, byteLength);
  const tensorBytes = description.length + valuesHead.length + byteLength;
  const head = Buffer.concat([fieldHead(FIELDS.graph.initializer, tensorBytes), description, valuesHead]);
  return [head, { valuesOf, byteLength }];
}

function encodeGraph({ name, inputs, outputs, initializers, nodes }: OnnxGraph): onnx.IGraphProto {
  return {
    name,
    input: inputs.map(encodeValue),
    output: outputs.map(encodeValue),
    initializer: [...initializers].map(([id, tensor]) => encodeTensor(id, tensor)),
    node: nodes.map(encodeNode),
  };
}

function encodeValue({ name, dtype, shape }: OnnxValue): onnx.IValueInfoProto {
  const dim = shape.map((extent) => (typeof extent === 'number' ? { dimValue: extent } : { dimParam: extent }));
  return { name, type: { tensorType: { elemType: dtypeCode(dtype), shape: { dim } } } };
}

function encodeTensor(name: string, tensor: OnnxTensor): onnx.ITensorProto {
  const { buffer, byteOffset, byteLength } = tensor.data;
  return { ...describeTensor(name, tensor), rawData: new Uint8Array(buffer, byteOffset, byteLength) };
}

function encodeOutline(name: string, tensor: OnnxTensor): onnx.ITensorProto {
  return { ...describeTensor(name, tensor), dataLocation: TensorProto.DataLocation.EXTERNAL };
}

function describeTensor(name: string, { dtype, shape }: OnnxTensor): onnx.ITensorProto {
  return { name, dataType: dtypeCode(dtype), dims: [...shape] };
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
