import type { Attributes } from '../../../soap/graph/graph.ts';
import type { OpCase } from '../../support/op-case.ts';

/** Window attributes of two spatial axes. */
function window(kernel: readonly number[], strides: number, pads: readonly number[], dilation: number = 1): Attributes {
  return {
    kernel,
    strides: [strides, strides],
    dilations: [dilation, dilation],
    padsBegin: pads.slice(0, 2),
    padsEnd: pads.slice(2),
  };
}

/** Convolutional networks. */
export const CASES: readonly OpCase[] = [
  {
    kind: 'conv2d',
    does: 'with padding and stride',
    attributes: { ...window([3, 3], 2, [1, 1, 1, 1]), groups: 1 },
    inputs: [{ shape: [2, 3, 7, 8] }, { shape: [4, 3, 3, 3], role: 'parameter' }, { shape: [4], role: 'parameter' }],
    dimensions: ['sample', 'channel', 'height', 'width'],
  },
  {
    kind: 'conv2d',
    does: 'in groups, dilated, without bias',
    attributes: { ...window([3, 2], 1, [2, 0, 2, 1], 2), groups: 2 },
    inputs: [{ shape: [2, 4, 6, 6] }, { shape: [6, 2, 3, 2], role: 'parameter' }],
    dimensions: ['sample', 'channel', 'height', 'width'],
  },
  {
    kind: 'maxPool2d',
    does: 'with windows that overlap',
    attributes: window([3, 3], 2, [1, 1, 1, 1]),
    inputs: [{ shape: [2, 3, 8, 8] }],
    dimensions: ['sample', 'channel', 'height', 'width'],
  },
  { kind: 'flatten', inputs: [{ shape: [4, 6, 2, 2] }], dimensions: ['sample', 'channel'] },
];
