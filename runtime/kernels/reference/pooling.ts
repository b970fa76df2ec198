import type { NodeReader, NodeTable } from './node-reader.ts';
import { tensor } from './tensor.ts';
import type { Window } from './window.ts';
import { readWindow, windowOutput, windowTaps } from './window.ts';
import { elementCount } from '../../../soap/onnx/indexing.ts';

/** Pooling over the spatial axes of [N, C, ...spatial], and normalization by given moments and by neighbouring channels. */
export const POOLING: NodeTable = {
  // Of equal elements the first is the maximum. Indices count over the whole flattened input.
  MaxPool: (node) => {
    const window = readPool(node);
    if (node.int('storage_order', 0) !== 0) throw node.error('storage_order is 1; expected 0');
    return (inputs) => {
      const { dtype, shape, data } = node.input(inputs, 0);
      const spatial = shape.slice(2);
      const out = windowOutput(window, spatial);
      const { places, count, at } = windowTaps(window, spatial, out);
      const planes = elementCount(shape.slice(0, 2));
      const [values, indices] = [new Float64Array(planes * places), new Float64Array(planes * places)];
      for (let i = 0; i < values.length; i += 1) {
        const start = Math.floor(i / places) * elementCount(spatial);
        const best = largest(data, start, at.subarray((i % places) * count, ((i % places) + 1) * count));
        [values[i], indices[i]] = [best < 0 ? -Infinity : data[best]!, best];
      }
      const outShape = [...shape.slice(0, 2), ...out];
      return [tensor(dtype, outShape, values), tensor('int64', outShape, indices)];
    };
  },
  AveragePool: (node) => {
    const [window, countPadding] = [readPool(node), node.int('count_include_pad', 0) !== 0];
    return (inputs) => {
      const { dtype, shape, data } = node.input(inputs, 0);
      const spatial = shape.slice(2);
      const out = windowOutput(window, spatial);
      const { places, count, at } = windowTaps(window, spatial, out);
      const means = new Float64Array(elementCount(shape.slice(0, 2)) * places);
      for (let i = 0; i < means.length; i += 1) {
        const start = Math.floor(i / places) * elementCount(spatial);
        const taps = at.subarray((i % places) * count, ((i % places) + 1) * count).filter((tap) => tap >= 0);
        means[i] = taps.reduce((sum, tap) => sum + data[start + tap]!, 0) / (countPadding ? count : taps.length);
      }
      return [tensor(dtype, [...shape.slice(0, 2), ...out], means)];
    };
  },
  GlobalAveragePool: (node) => (inputs) => {
    const { dtype, shape, data } = node.input(inputs, 0);
    const plane = elementCount(shape.slice(2));
    const means = new Float64Array(data.length / plane);
    data.forEach((x, i) => (means[Math.floor(i / plane)]! += x / plane));
    return [
      tensor(
        dtype,
        shape.map((extent, axis) => (axis < 2 ? extent : 1)),
        means,
      ),
    ];
  },
  // y = scale * (x - mean) / sqrt(variance + epsilon) + bias, all but x by channel.
  BatchNormalization: (node) => {
    const epsilon = node.float('epsilon', 1e-5);
    node.float('momentum', 0.9);
    if (node.int('training_mode', 0) !== 0) throw node.error('training_mode is 1; expected 0');
    return (inputs) => {
      const { dtype, shape, data } = node.input(inputs, 0);
      const [scale, bias, mean, variance] = [1, 2, 3, 4].map((input) => node.input(inputs, input).data);
      const [channels, plane] = [shape[1]!, elementCount(shape.slice(2))];
      const normalized = data.map((x, i) => {
        const c = Math.floor(i / plane) % channels;
        return (scale![c]! * (x - mean![c]!)) / Math.sqrt(variance![c]! + epsilon) + bias![c]!;
      });
      return [tensor(dtype, shape, normalized)];
    };
  },
  // y = x / (bias + alpha / size * sum of squares of `size` channels around it) ^ beta
  LRN: (node) => {
    const size = node.int('size', 0);
    const [alpha, beta, bias] = [node.float('alpha', 1e-4), node.float('beta', 0.75), node.float('bias', 1)];
    if (size < 1) throw node.error(`size is ${size}; expected at least 1`);
    return (inputs) => {
      const { dtype, shape, data } = node.input(inputs, 0);
      const [channels, plane] = [shape[1]!, elementCount(shape.slice(2))];
      const normalized = data.map((x, i) => {
        const channel = Math.floor(i / plane) % channels;
        const first = Math.max(0, channel - Math.floor((size - 1) / 2));
        const last = Math.min(channels - 1, channel + Math.ceil((size - 1) / 2));
        let squares = 0;
        for (let c = first; c <= last; c += 1) squares += data[i + (c - channel) * plane]! ** 2;
        return x / (bias + (alpha / size) * squares) ** beta;
      });
      return [tensor(dtype, shape, normalized)];
    };
  },
};

function readPool(node: NodeReader): Window {
  const kernel = node.ints('kernel_shape');
  if (kernel === undefined) throw node.error('kernel_shape is missing');
  if (node.int('ceil_mode', 0) !== 0) throw node.error('ceil_mode is 1; expected 0');
  return readWindow(node)(kernel);
}

/** Position of the first largest element among the taps, or -1 where all are in the padding. */
function largest(data: Float64Array, start: number, taps: Int32Array): number {
  let best = -1;
  for (const tap of taps) {
    if (tap >= 0 && (best < 0 || data[start + tap]! > data[best]!)) best = start + tap;
  }
  return best;
}
