import { pick, positions, stridesOf } from './indexing.ts';
import type { NodeReader, NodeTable } from './node-reader.ts';
import type { Tensor } from './tensor.ts';
import { tensor } from './tensor.ts';
import { elementCount } from '../../../soap/onnx/indexing.ts';

/** Nodes that read or write where an index tensor says. Negative indices count from the end. */
export const GATHER: NodeTable = {
  Gather: (node) => {
    const attribute = node.int('axis', 0);
    return (inputs) => {
      const [value, indices] = [node.input(inputs, 0), node.input(inputs, 1)];
      const axis = node.axis(attribute, value.shape.length);
      const [outer, inner] = [elementCount(value.shape.slice(0, axis)), elementCount(value.shape.slice(axis + 1))];
      const extent = value.shape[axis]!;
      const rows = indices.data.map((index) => within(node, index, extent));
      const data = new Float64Array(outer * rows.length * inner);
      for (let i = 0; i < data.length; i += 1) {
        const [o, r] = [Math.floor(i / inner / rows.length), Math.floor(i / inner) % rows.length];
        data[i] = value.data[(o * extent + rows[r]!) * inner + (i % inner)]!;
      }
      return [
        tensor(value.dtype, [...value.shape.slice(0, axis), ...indices.shape, ...value.shape.slice(axis + 1)], data),
      ];
    };
  },
  GatherElements: (node) => {
    const attribute = node.int('axis', 0);
    return (inputs) => {
      const [value, indices] = [node.input(inputs, 0), node.input(inputs, 1)];
      const data = pick(value.data, elementPositions(node, value, indices, attribute));
      return [tensor(value.dtype, indices.shape, data)];
    };
  },
  ScatterElements: (node) => {
    const [attribute, write] = [node.int('axis', 0), readReduction(node)];
    return (inputs) => {
      const [value, indices, updates] = [node.input(inputs, 0), node.input(inputs, 1), node.input(inputs, 2)];
      if (indices.shape.join() !== updates.shape.join()) {
        throw node.error(`indices are [${indices.shape}]; updates are [${updates.shape}]`);
      }
      const data = value.data.slice();
      elementPositions(node, value, indices, attribute).forEach((at, i) => write(data, at, updates.data[i]!));
      return [tensor(value.dtype, value.shape, data)];
    };
  },
  // Each row of the last axis of indices [..., K] names a slice of the first K axes.
  ScatterND: (node) => {
    const write = readReduction(node);
    return (inputs) => {
      const [value, indices, updates] = [node.input(inputs, 0), node.input(inputs, 1), node.input(inputs, 2)];
      const depth = indices.shape.at(-1) ?? 0;
      const slice = elementCount(value.shape.slice(depth));
      if (depth > value.shape.length || (updates.data.length * depth) / slice !== indices.data.length) {
        throw node.error(`indices [${indices.shape}] and updates [${updates.shape}] do not fit [${value.shape}]`);
      }
      const strides = stridesOf(value.shape);
      const data = value.data.slice();
      updates.data.forEach((update, i) => {
        const row = Math.floor(i / slice) * depth;
        let at = i % slice;
        for (let k = 0; k < depth; k += 1) at += within(node, indices.data[row + k]!, value.shape[k]!) * strides[k]!;
        write(data, at, update);
      });
      return [tensor(value.dtype, value.shape, data)];
    };
  },
  // An index outside [-depth, depth) gives a row of off values.
  OneHot: (node) => {
    const attribute = node.int('axis', -1);
    return (inputs) => {
      const [indices, values] = [node.input(inputs, 0), node.input(inputs, 2)];
      const depth = node.input(inputs, 1).data[0]!;
      const [off, on] = [values.data[0]!, values.data[1]!];
      const axis = node.axis(attribute, indices.shape.length + 1);
      const shape = indices.shape.toSpliced(axis, 0, depth);
      const strides = stridesOf(shape);
      const data = new Float64Array(elementCount(shape)).fill(off);
      const starts = positions(indices.shape, strides.toSpliced(axis, 1));
      indices.data.forEach((index, i) => {
        if (index >= -depth && index < depth) data[starts[i]! + ((index + depth) % depth) * strides[axis]!] = on;
      });
      return [tensor(values.dtype, shape, data)];
    };
  },
};

function within(node: NodeReader, index: number, extent: number): number {
  if (index < -extent || index >= extent) throw node.error(`index ${index} is out of range for an axis of ${extent}`);
  return index < 0 ? index + extent : index;
}

/** Where each index element points: its own coordinates, but on the axis the index. */
function elementPositions(node: NodeReader, value: Tensor, indices: Tensor, attribute: number): Int32Array {
  const axis = node.axis(attribute, value.shape.length);
  if (indices.shape.length !== value.shape.length || indices.shape.some((x, k) => k !== axis && x > value.shape[k]!)) {
    throw node.error(`indices [${indices.shape}] do not fit [${value.shape}]`);
  }
  const strides = stridesOf(value.shape);
  const starts = positions(indices.shape, strides.with(axis, 0));
  return starts.map((start, i) => start + within(node, indices.data[i]!, value.shape[axis]!) * strides[axis]!);
}

function readReduction(node: NodeReader): (data: Float64Array, at: number, update: number) => void {
  const reduction = node.string('reduction', 'none');
  switch (reduction) {
    case 'none':
      return (data, at, update) => (data[at] = update);
    case 'add':
      return (data, at, update) => (data[at]! += update);
    default:
      throw node.error(`reduction is ${reduction}; expected none or add`);
  }
}
