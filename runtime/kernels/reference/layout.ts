import { broadcastShape, broadcastStrides, pick, positions, stridesOf } from './indexing.ts';
import type { NodeCompiler, NodeReader, NodeTable } from './node-reader.ts';
import type { Tensor } from './tensor.ts';
import { tensor } from './tensor.ts';
import { elementCount } from '../../../soap/onnx/indexing.ts';

/** Nodes that move elements without computing. */
export const LAYOUT: NodeTable = {
  Transpose: (node) => {
    const perm = node.ints('perm');
    return (inputs) => {
      const value = node.input(inputs, 0);
      const order = perm ?? [...value.shape.keys()].reverse();
      if (order.toSorted((a, b) => a - b).join() !== [...value.shape.keys()].join()) {
        throw node.error(`perm [${order}] is no order of ${value.shape.length} axes`);
      }
      const strides = stridesOf(value.shape);
      const shape = order.map((axis) => value.shape[axis]!);
      const steps = order.map((axis) => strides[axis]!);
      return [view(value, shape, steps)];
    };
  },
  Reshape: (node) => {
    const keepZero = node.int('allowzero', 0) !== 0;
    return (inputs) => {
      const value = node.input(inputs, 0);
      const asked = node.list(inputs, 1) ?? [];
      const known = asked.map((extent, axis) => (extent === 0 && !keepZero ? (value.shape[axis] ?? 0) : extent));
      const rest = value.data.length / elementCount(known.filter((extent) => extent !== -1));
      return [
        reshaped(
          node,
          value,
          known.map((extent) => (extent === -1 ? rest : extent)),
        ),
      ];
    };
  },
  Flatten: (node) => {
    const attribute = node.int('axis', 1);
    return (inputs) => {
      const value = node.input(inputs, 0);
      const axis = attribute < 0 ? attribute + value.shape.length : attribute;
      return [reshaped(node, value, [elementCount(value.shape.slice(0, axis)), elementCount(value.shape.slice(axis))])];
    };
  },
  Squeeze: (node) => (inputs) => {
    const value = node.input(inputs, 0);
    const axes = node.list(inputs, 1)?.map((axis) => node.axis(axis, value.shape.length));
    return [
      reshaped(
        node,
        value,
        value.shape.filter((extent, axis) => !(axes?.includes(axis) ?? extent === 1)),
      ),
    ];
  },
  Unsqueeze: (node) => (inputs) => {
    const value = node.input(inputs, 0);
    const asked = node.list(inputs, 1) ?? [];
    const rank = value.shape.length + asked.length;
    const axes = new Set(asked.map((axis) => node.axis(axis, rank)));
    const extents = value.shape.values();
    const shape = Array.from({ length: rank }, (_, axis) => (axes.has(axis) ? 1 : (extents.next().value ?? 1)));
    return [reshaped(node, value, shape)];
  },
  Expand: (node) => (inputs) => {
    const value = node.input(inputs, 0);
    const asked = node.list(inputs, 1) ?? [];
    const shape = broadcastShape(value.shape, asked);
    if (shape === undefined) throw node.error(`[${value.shape}] does not expand to [${asked}]`);
    return [view(value, shape, broadcastStrides(value.shape, shape))];
  },
  Concat: (node) => {
    const attribute = node.int('axis', 0);
    return (inputs) => {
      const values = inputs.map((_, index) => node.input(inputs, index));
      const axis = node.axis(attribute, values[0]!.shape.length);
      const extent = values.reduce((total, { shape }) => total + shape[axis]!, 0);
      const shape = values[0]!.shape.with(axis, extent);
      const strides = stridesOf(shape);
      const data = new Float64Array(elementCount(shape));
      let start = 0;
      for (const value of values) {
        if (value.shape.with(axis, extent).join() !== shape.join()) {
          throw node.error(`[${value.shape}] and [${values[0]!.shape}] do not concatenate on axis ${axis}`);
        }
        const at = positions(value.shape, strides, start * strides[axis]!);
        value.data.forEach((x, i) => (data[at[i]!] = x));
        start += value.shape[axis]!;
      }
      return [tensor(values[0]!.dtype, shape, data)];
    };
  },
  Split: split(),
  Slice: (node) => (inputs) => {
    const value = node.input(inputs, 0);
    const [starts, ends] = [node.list(inputs, 1) ?? [], node.list(inputs, 2) ?? []];
    const axes = node.list(inputs, 3) ?? [...starts.keys()];
    const shape = [...value.shape];
    const steps = stridesOf(value.shape);
    let start = 0;
    axes.forEach((asked, i) => {
      const axis = node.axis(asked, value.shape.length);
      const step = node.list(inputs, 4)?.[i] ?? 1;
      if (step === 0) throw node.error('a step is 0');
      const range = sliceRange([starts[i]!, ends[i]!, step], value.shape[axis]!);
      start += range.first * steps[axis]!;
      shape[axis] = range.count;
      steps[axis]! *= step;
    });
    return [view(value, shape, steps, start)];
  },
  Pad: (node) => {
    const mode = node.string('mode', 'constant');
    if (mode !== 'constant') throw node.error(`mode is ${mode}; expected constant`);
    return (inputs) => {
      if (inputs[3] !== undefined) throw node.error('input axes is not supported; give pads for every axis');
      const value = node.input(inputs, 0);
      const pads = node.list(inputs, 1) ?? [];
      const rank = value.shape.length;
      if (pads.length !== 2 * rank) throw node.error(`there are ${pads.length} pads; expected ${2 * rank}`);
      return [padded(value, pads.slice(0, rank), pads.slice(rank), inputs[2]?.data[0] ?? 0)];
    };
  },
};

function view(value: Tensor, shape: readonly number[], strides: readonly number[], start = 0): Tensor {
  return { dtype: value.dtype, shape, data: pick(value.data, positions(shape, strides, start)) };
}

function reshaped(node: NodeReader, { dtype, shape, data }: Tensor, to: readonly number[]): Tensor {
  if (elementCount(to) !== data.length) throw node.error(`[${shape}] does not reshape to [${to}]`);
  return { dtype, shape: to, data };
}

/** Sizes are the second input; without it the axis is cut into equal pieces. */
function split(): NodeCompiler {
  return (node) => {
    const attribute = node.int('axis', 0);
    return (inputs) => {
      const value = node.input(inputs, 0);
      const axis = node.axis(attribute, value.shape.length);
      const extent = value.shape[axis]!;
      const equal = Array.from({ length: node.outputCount }, () => extent / node.outputCount);
      const sizes = node.list(inputs, 1) ?? equal;
      if (sizes.some((size) => !Number.isInteger(size)) || sizes.reduce((a, b) => a + b, 0) !== extent) {
        throw node.error(`axis ${axis} of ${extent} does not split into [${sizes}]`);
      }
      const strides = stridesOf(value.shape);
      let start = 0;
      return sizes.map((size) => {
        const piece = view(value, value.shape.with(axis, size), strides, start * strides[axis]!);
        start += size;
        return piece;
      });
    };
  };
}

/** First element and count of a slice. Negative bounds count from the end; bounds beyond the axis are clamped. */
function sliceRange(
  [start, end, step]: readonly [number, number, number],
  extent: number,
): { first: number; count: number } {
  const [low, high] = step > 0 ? [0, extent] : [-1, extent - 1];
  const bound = (at: number, least: number): number => Math.min(Math.max(at < 0 ? at + extent : at, least), high);
  const first = bound(start, 0);
  return { first, count: Math.max(0, Math.ceil((bound(end, low) - first) / step)) };
}

/** A negative pad cuts. */
function padded(value: Tensor, before: readonly number[], after: readonly number[], fill: number): Tensor {
  const shape = value.shape.map((extent, axis) => extent + before[axis]! + after[axis]!);
  const cut = before.map((pad) => Math.max(0, -pad));
  const kept = value.shape.map((extent, axis) => extent - cut[axis]! - Math.max(0, -after[axis]!));
  const [fromStrides, toStrides] = [stridesOf(value.shape), stridesOf(shape)];
  const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((total, x, k) => total + x * b[k]!, 0);
  const from = positions(kept, fromStrides, dot(cut, fromStrides));
  const to = positions(
    kept,
    toStrides,
    dot(
      before.map((pad) => Math.max(0, pad)),
      toStrides,
    ),
  );
  const data = new Float64Array(elementCount(shape)).fill(fill);
  from.forEach((at, i) => (data[to[i]!] = value.data[at]!));
  return tensor(value.dtype, shape, data);
}
