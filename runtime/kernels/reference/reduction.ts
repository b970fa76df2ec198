import { pick, positions, stridesOf } from './indexing.ts';
import type { NodeCompiler, NodeFunction, NodeReader, NodeTable } from './node-reader.ts';
import type { Tensor } from './tensor.ts';
import { tensor } from './tensor.ts';
import { elementCount } from '../../../soap/onnx/indexing.ts';

/** Nodes that fold axes, and softmax. */
export const REDUCTION: NodeTable = {
  ReduceSum: reduce((lane) => sum(lane)),
  ReduceMean: reduce((lane) => sum(lane) / lane.length),
  ReduceMax: reduce((lane) => lane.reduce((a, b) => Math.max(a, b), -Infinity)),
  // The first of equal ones.
  ArgMax: (node) => {
    const [attribute, keep] = [node.int('axis', 0), node.int('keepdims', 1) !== 0];
    if (node.int('select_last_index', 0) !== 0) throw node.error('select_last_index is not supported');
    return (inputs) => {
      const value = node.input(inputs, 0);
      const axis = node.axis(attribute, value.shape.length);
      const shape = keep ? value.shape.with(axis, 1) : value.shape.toSpliced(axis, 1);
      const best = Float64Array.from(lanes(value, new Set([axis])), (lane) => {
        const picked = pick(value.data, lane);
        return picked.indexOf(picked.reduce((a, b) => Math.max(a, b), -Infinity));
      });
      return [tensor('int64', shape, best)];
    };
  },
  Softmax: alongAxis((lane) => {
    const largest = Math.max(...lane);
    const exponentials = lane.map((x) => Math.exp(x - largest));
    const total = sum(exponentials);
    return exponentials.map((x) => x / total);
  }),
  LayerNormalization: layerNormalization,
  TopK: topK,
  LogSoftmax: alongAxis((lane) => {
    const largest = Math.max(...lane);
    const logTotal = Math.log(sum(lane.map((x) => Math.exp(x - largest))));
    return lane.map((x) => x - largest - logTotal);
  }),
};

/**
 * LayerNormalization: also gives mean and 1 / deviation where asked. The axes from `axis` on are normalized together.
 * Source: https://onnx.ai/onnx/operators/onnx__LayerNormalization.html
 */
function layerNormalization(node: NodeReader): NodeFunction {
  const [attribute, epsilon] = [node.int('axis', -1), node.float('epsilon', 1e-5)];
  return (inputs) => {
    const [x, scale, bias] = [node.input(inputs, 0), node.input(inputs, 1), inputs[2]];
    const axis = node.axis(attribute, x.shape.length);
    const width = elementCount(x.shape.slice(axis));
    const count = x.data.length / width;
    const [y, means, inverses] = [x.data.slice(), new Float64Array(count), new Float64Array(count)];
    for (let row = 0; row < count; row += 1) {
      const lane = y.subarray(row * width, (row + 1) * width);
      const mean = sum(lane) / width;
      const inverse = 1 / Math.sqrt(sum(lane.map((value) => (value - mean) ** 2)) / width + epsilon);
      lane.forEach((value, i) => (lane[i] = (value - mean) * inverse * scale.data[i]! + (bias?.data[i] ?? 0)));
      [means[row], inverses[row]] = [mean, inverse];
    }
    const rows = x.shape.map((extent, k) => (k < axis ? extent : 1));
    return [tensor(x.dtype, x.shape, y), tensor(x.dtype, rows, means), tensor(x.dtype, rows, inverses)];
  };
}

/**
 * TopK in order; of equal elements the first counts.
 * Source: https://onnx.ai/onnx/operators/onnx__TopK.html
 */
function topK(node: NodeReader): NodeFunction {
  const [attribute, sign] = [node.int('axis', -1), node.int('largest', 1) === 0 ? 1 : -1];
  if (node.int('sorted', 1) === 0) throw node.error('sorted is 0; expected 1');
  return (inputs) => {
    const [value, k] = [node.input(inputs, 0), node.input(inputs, 1).data[0]!];
    const axis = node.axis(attribute, value.shape.length);
    if (k > value.shape[axis]!) throw node.error(`k is ${k} for an axis of ${value.shape[axis]}`);
    const shape = value.shape.with(axis, k);
    const values = tensor(value.dtype, shape, new Float64Array(elementCount(shape)));
    const indices = tensor('int64', shape, new Float64Array(elementCount(shape)));
    const targets = lanes(values, new Set([axis]));
    lanes(value, new Set([axis])).forEach((lane, i) => {
      const picked = pick(value.data, lane);
      const order = [...picked.keys()].toSorted((a, b) => sign * (picked[a]! - picked[b]!) || a - b);
      targets[i]!.forEach((at, rank) => {
        values.data[at] = picked[order[rank]!]!;
        indices.data[at] = order[rank]!;
      });
    });
    return [values, indices];
  };
}

function sum(lane: Float64Array): number {
  return lane.reduce((a, b) => a + b, 0);
}

/** Axes are an attribute, or the second input in later operator sets. No axes are all of them, unless told to do nothing. */
function reduce(fold: (lane: Float64Array) => number): NodeCompiler {
  return (node) => {
    const [attribute, keep] = [node.ints('axes'), node.int('keepdims', 1) !== 0];
    const nothing = node.int('noop_with_empty_axes', 0) !== 0;
    return (inputs) => {
      const value = node.input(inputs, 0);
      const listed = (attribute ?? node.list(inputs, 1) ?? []).map((axis) => node.axis(axis, value.shape.length));
      if (listed.length === 0 && nothing) return [value];
      const axes = new Set(listed.length === 0 ? value.shape.keys() : listed);
      const shape = value.shape.flatMap((extent, axis) => (axes.has(axis) ? (keep ? [1] : []) : [extent]));
      const folded = Float64Array.from(lanes(value, axes), (lane) => fold(pick(value.data, lane)));
      return [tensor(value.dtype, shape, folded)];
    };
  };
}

function alongAxis(f: (lane: Float64Array) => Float64Array): NodeCompiler {
  return (node: NodeReader) => {
    const attribute = node.int('axis', -1);
    return (inputs) => {
      const value = node.input(inputs, 0);
      const axis = node.axis(attribute, value.shape.length);
      const data = new Float64Array(value.data.length);
      for (const lane of lanes(value, new Set([axis]))) {
        f(pick(value.data, lane)).forEach((x, i) => (data[lane[i]!] = x));
      }
      return [tensor(value.dtype, value.shape, data)];
    };
  };
}

/** For each element of the other axes, in row-major order, the positions of the elements along the given axes. */
function lanes({ shape }: Tensor, axes: ReadonlySet<number>): Int32Array[] {
  const strides = stridesOf(shape);
  const part = (inside: boolean, start: number): Int32Array => {
    const chosen = [...shape.keys()].filter((axis) => axes.has(axis) === inside);
    return positions(
      chosen.map((axis) => shape[axis]!),
      chosen.map((axis) => strides[axis]!),
      start,
    );
  };
  return Array.from(part(false, 0), (start) => part(true, start));
}
