import { dtypeCode } from '../../soap/onnx/element-types.ts';
import type { OnnxAttribute, OnnxDType, OnnxGraph, OnnxNode, OnnxTensor } from '../../soap/onnx/model.ts';

/** The same kernel in float64, which the reference engine computes: what differences are taken of. */
export function inFloat64(graph: OnnxGraph): OnnxGraph {
  const retyped = <T extends { readonly dtype: OnnxDType }>(value: T): T => ({ ...value, dtype: wide(value.dtype) });
  return {
    ...graph,
    inputs: graph.inputs.map(retyped),
    outputs: graph.outputs.map(retyped),
    initializers: new Map([...graph.initializers].map(([name, tensor]) => [name, wideTensor(tensor)])),
    nodes: graph.nodes.map(wideNode),
  };
}

function wideNode(node: OnnxNode): OnnxNode {
  const attributes = Object.fromEntries(
    Object.entries(node.attributes).map(([name, value]) => [name, wideAttribute(value)]),
  );
  if (node.opType === 'Cast' && attributes['to']?.type === 'int' && attributes['to'].value === dtypeCode('float32')) {
    attributes['to'] = { type: 'int', value: dtypeCode('float64') };
  }
  if (node.opType === 'ConstantOfShape') {
    attributes['value'] ??= { type: 'tensor', value: { dtype: 'float64', shape: [1], data: Float64Array.of(0) } };
  }
  return { ...node, attributes };
}

function wideAttribute(attribute: OnnxAttribute): OnnxAttribute {
  return attribute.type === 'tensor' ? { type: 'tensor', value: wideTensor(attribute.value) } : attribute;
}

function wideTensor({ dtype, shape, data }: OnnxTensor): OnnxTensor {
  return dtype === 'float32'
    ? { dtype: 'float64', shape, data: Float64Array.from(data, Number) }
    : { dtype, shape, data };
}

function wide(dtype: OnnxDType): OnnxDType {
  return dtype === 'float32' ? 'float64' : dtype;
}
