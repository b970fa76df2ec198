import type { NodeReader, NodeTable } from './node-reader.ts';
import type { Tensor } from './tensor.ts';
import { tensor } from './tensor.ts';
import { readWindow, windowOutput, windowTaps } from './window.ts';
import { elementCount } from '../../../soap/onnx/indexing.ts';

/** Convolutions over any number of spatial axes. */
export const CONVOLUTION: NodeTable = {
  // X[N, C, ...in] with W[M, C/group, ...kernel] gives Y[N, M, ...out].
  Conv: (node) => {
    const [windowOf, group] = [readWindow(node), node.int('group', 1)];
    return (inputs) => {
      const [x, w] = [node.input(inputs, 0), node.input(inputs, 1)];
      const [[n, c, ...spatial], [m, cPerGroup, ...kernel]] = [x.shape, w.shape];
      check(node, x, w, n !== undefined && m !== undefined && c === cPerGroup! * group && m % group === 0);
      const window = windowOf(kernel);
      const out = windowOutput(window, spatial);
      const { places, count, at } = windowTaps(window, spatial, out);
      const [plane, mPerGroup] = [elementCount(spatial), m! / group];
      const y = biased(inputs[2], [n!, m!, places]);
      for (const { sample, g, channel, output } of pairs(n!, group, cPerGroup!, mPerGroup)) {
        const from = (sample * c! + g * cPerGroup! + channel) * plane;
        const weights = ((g * mPerGroup + output) * cPerGroup! + channel) * count;
        const to = (sample * m! + g * mPerGroup + output) * places;
        for (let i = 0; i < at.length; i += 1) {
          if (at[i]! < 0) continue;
          y[to + Math.floor(i / count)]! += x.data[from + at[i]!]! * w.data[weights + (i % count)]!;
        }
      }
      return [tensor(x.dtype, [n!, m!, ...out], y)];
    };
  },
  // X[N, C, ...in] with W[C, M/group, ...kernel]: the transpose of the Conv whose window slides over the output.
  ConvTranspose: (node) => {
    const [windowOf, group, outputPadding] = [readWindow(node), node.int('group', 1), node.ints('output_padding')];
    return (inputs) => {
      const [x, w] = [node.input(inputs, 0), node.input(inputs, 1)];
      const [[n, c, ...spatial], [cOfW, mPerGroup, ...kernel]] = [x.shape, w.shape];
      check(node, x, w, n !== undefined && c !== undefined && c === cOfW && c % group === 0);
      const window = windowOf(kernel);
      const { strides, dilations, pads } = window;
      const out = spatial.map((extent, axis) => {
        const span = (kernel[axis]! - 1) * dilations[axis]! + 1;
        const cut = pads[axis]! + pads[axis + kernel.length]!;
        return strides[axis]! * (extent - 1) + (outputPadding?.[axis] ?? 0) + span - cut;
      });
      const { places, count, at } = windowTaps(window, out, spatial);
      const [plane, m, cPerGroup] = [elementCount(out), mPerGroup! * group, c! / group];
      const y = biased(inputs[2], [n!, m, plane]);
      for (const { sample, g, channel, output } of pairs(n!, group, cPerGroup, mPerGroup!)) {
        const from = (sample * c! + g * cPerGroup + channel) * places;
        const weights = ((g * cPerGroup + channel) * mPerGroup! + output) * count;
        const to = (sample * m + g * mPerGroup! + output) * plane;
        for (let i = 0; i < at.length; i += 1) {
          if (at[i]! < 0) continue;
          y[to + at[i]!]! += x.data[from + Math.floor(i / count)]! * w.data[weights + (i % count)]!;
        }
      }
      return [tensor(x.dtype, [n!, m, ...out], y)];
    };
  },
};

function check(node: NodeReader, x: Tensor, w: Tensor, fits: boolean): void {
  if (!fits || x.shape.length !== w.shape.length) {
    throw node.error(`input [${x.shape}] does not fit weight [${w.shape}] with its group`);
  }
}

/** Every sample with every pair of an input and an output channel of one group. */
function* pairs(
  samples: number,
  groups: number,
  channels: number,
  outputs: number,
): Generator<{ sample: number; g: number; channel: number; output: number }> {
  for (let sample = 0; sample < samples; sample += 1)
    for (let g = 0; g < groups; g += 1)
      for (let output = 0; output < outputs; output += 1)
        for (let channel = 0; channel < channels; channel += 1) yield { sample, g, channel, output };
}

/** [N, M, plane] filled with the bias of each of the M channels, or zeros. */
function biased(bias: Tensor | undefined, [n, m, plane]: readonly [number, number, number]): Float64Array {
  const y = new Float64Array(n * m * plane);
  if (bias !== undefined) {
    for (let i = 0; i < n * m; i += 1) y.fill(bias.data[i % m]!, i * plane, (i + 1) * plane);
  }
  return y;
}
