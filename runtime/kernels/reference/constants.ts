import type { NodeReader, NodeTable } from './node-reader.ts';
import type { Tensor } from './tensor.ts';
import { readMemory, tensor } from './tensor.ts';
import { elementCount } from '../../../soap/onnx/indexing.ts';

/** Nodes that make tensors from attributes and shapes. */
export const CONSTANTS: NodeTable = {
  Constant: (node) => {
    const constant = readConstant(node);
    return () => [constant];
  },
  ConstantOfShape: (node) => {
    const value = node.attribute('value', 'tensor')?.value;
    const fill = value && readMemory(value.dtype, value.shape, value.data).data[0];
    return (inputs) => {
      const shape = node.list(inputs, 0) ?? [];
      return [tensor(value?.dtype ?? 'float32', shape, new Float64Array(elementCount(shape)).fill(fill ?? 0))];
    };
  },
  Shape: (node) => {
    const [start, end] = [node.int('start', 0), node.attribute('end', 'int')?.value];
    return (inputs) => {
      const extents = node.input(inputs, 0).shape.slice(start, end);
      return [tensor('int64', [extents.length], Float64Array.from(extents))];
    };
  },
};

function readConstant(node: NodeReader): Tensor {
  const value = node.attribute('value', 'tensor')?.value;
  if (value !== undefined) return readMemory(value.dtype, value.shape, value.data);
  const float = node.attribute('value_float', 'float')?.value;
  if (float !== undefined) return tensor('float32', [], Float64Array.of(float));
  const int = node.attribute('value_int', 'int')?.value;
  if (int !== undefined) return tensor('int64', [], Float64Array.of(int));
  const floats = node.attribute('value_floats', 'floats')?.value;
  if (floats !== undefined) return tensor('float32', [floats.length], Float64Array.from(floats));
  const ints = node.ints('value_ints');
  if (ints !== undefined) return tensor('int64', [ints.length], Float64Array.from(ints));
  throw node.error('has no supported value attribute');
}
