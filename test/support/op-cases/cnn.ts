import type { Attributes } from '../../../soap/graph/graph.ts';
import type { OpCase, OpInput } from '../op-case.ts';

/** Window attributes; one stride and one dilation for all spatial axes. */
function window(kernel: readonly number[], strides: number, pads: readonly number[], dilation: number = 1): Attributes {
  return {
    kernel,
    strides: kernel.map(() => strides),
    dilations: kernel.map(() => dilation),
    padsBegin: pads.slice(0, kernel.length),
    padsEnd: pads.slice(kernel.length),
  };
}

/** As files keep it: a float32. */
const EPSILON = 2 ** -10;

const parameter = (...shape: number[]): OpInput => ({ shape, role: 'parameter' });
const IMAGE = ['sample', 'channel', 'height', 'width'];
const SIGNAL = ['sample', 'channel', 'length'];
const VOLUME = ['sample', 'channel', 'depth', 'height', 'width'];

const CONVOLUTIONS: readonly OpCase[] = [
  {
    kind: 'conv2d',
    does: 'with padding and stride',
    attributes: { ...window([3, 3], 2, [1, 1, 1, 1]), groups: 1 },
    inputs: [{ shape: [2, 3, 7, 8] }, parameter(4, 3, 3, 3), parameter(4)],
    dimensions: [...IMAGE, 'inputChannel'],
  },
  {
    kind: 'conv2d',
    does: 'to whole blocks of channels',
    attributes: { ...window([3, 2], 2, [1, 0, 1, 1]), groups: 1 },
    inputs: [{ shape: [4, 2, 5, 6] }, parameter(16, 2, 3, 2), parameter(16)],
    dimensions: [...IMAGE, 'inputChannel'],
  },
  {
    kind: 'conv2d',
    does: 'in groups, dilated, without bias',
    attributes: { ...window([3, 2], 1, [2, 0, 2, 1], 2), groups: 2 },
    inputs: [{ shape: [2, 4, 6, 6] }, parameter(6, 2, 3, 2)],
    dimensions: IMAGE,
  },
  {
    kind: 'conv2d',
    does: 'with strides that skip elements',
    attributes: { ...window([1, 2], 3, [0, 0, 0, 1]), groups: 1 },
    inputs: [{ shape: [2, 2, 8, 9] }, parameter(2, 2, 1, 2), parameter(2)],
    dimensions: [...IMAGE, 'inputChannel'],
  },
  {
    kind: 'conv2d',
    does: 'with places that see nothing but padding',
    attributes: { ...window([1, 3], 1, [1, 1, 1, 1]), groups: 1 },
    inputs: [{ shape: [2, 2, 4, 4] }, parameter(2, 2, 1, 3), parameter(2)],
    dimensions: [...IMAGE, 'inputChannel'],
  },
  {
    kind: 'conv2d',
    does: 'with a kernel too large to unfold',
    attributes: { ...window([8, 7], 2, [3, 3, 3, 3]), groups: 1 },
    inputs: [{ shape: [2, 2, 10, 9] }, parameter(2, 2, 8, 7), parameter(2)],
    dimensions: [...IMAGE, 'inputChannel'],
  },
  {
    kind: 'conv2d',
    does: 'with a large kernel in groups',
    attributes: { ...window([8, 7], 2, [3, 3, 3, 3]), groups: 2 },
    inputs: [{ shape: [2, 2, 10, 9] }, parameter(4, 1, 8, 7), parameter(4)],
    dimensions: IMAGE,
  },
  {
    kind: 'conv2d',
    does: 'with a kernel for each channel',
    attributes: { ...window([3, 3], 1, [1, 1, 1, 1]), groups: 8 },
    inputs: [{ shape: [4, 8, 5, 6] }, parameter(8, 1, 3, 3), parameter(8)],
    dimensions: IMAGE,
  },
  {
    kind: 'conv2d',
    does: 'over signals',
    attributes: { ...window([3], 2, [2, 1], 2), groups: 1 },
    inputs: [{ shape: [2, 4, 15] }, parameter(6, 4, 3), parameter(6)],
    dimensions: [...SIGNAL, 'inputChannel'],
  },
  {
    kind: 'conv2d',
    does: 'over volumes',
    attributes: { ...window([2, 1, 3], 1, [0, 0, 1, 1, 0, 1]), groups: 1 },
    inputs: [{ shape: [2, 2, 3, 2, 4] }, parameter(2, 2, 2, 1, 3), parameter(2)],
    dimensions: [...VOLUME, 'inputChannel'],
  },
  {
    kind: 'convTranspose2d',
    does: 'that doubles an image',
    attributes: { ...window([3, 3], 2, [1, 1, 0, 0]), groups: 1 },
    inputs: [{ shape: [2, 4, 3, 4] }, parameter(4, 2, 3, 3), parameter(2)],
    dimensions: [...IMAGE, 'inputChannel'],
  },
  {
    kind: 'convTranspose2d',
    does: 'of whole blocks of channels, with gaps between windows',
    attributes: { ...window([2, 2], 3, [1, 0, -1, -2]), groups: 1 },
    inputs: [{ shape: [4, 16, 3, 2] }, parameter(16, 2, 2, 2), parameter(2)],
    dimensions: [...IMAGE, 'inputChannel'],
  },
  {
    kind: 'convTranspose2d',
    does: 'in groups, dilated, without bias',
    attributes: { ...window([2, 3], 1, [1, 2, 1, 0], 2), groups: 2 },
    inputs: [{ shape: [2, 4, 4, 4] }, parameter(4, 3, 2, 3)],
    dimensions: IMAGE,
  },
  {
    kind: 'convTranspose2d',
    does: 'with gaps between windows and output behind them',
    attributes: { ...window([2, 2], 3, [1, 0, -1, -2]), groups: 1 },
    inputs: [{ shape: [2, 2, 3, 3] }, parameter(2, 4, 2, 2), parameter(4)],
    dimensions: [...IMAGE, 'inputChannel'],
  },
  {
    kind: 'convTranspose2d',
    does: 'over signals',
    attributes: { ...window([4], 2, [1, 1]), groups: 1 },
    inputs: [{ shape: [2, 4, 8] }, parameter(4, 2, 4), parameter(2)],
    dimensions: [...SIGNAL, 'inputChannel'],
  },
];

const POOLS: readonly OpCase[] = [
  {
    kind: 'maxPool2d',
    does: 'with windows that overlap',
    attributes: window([3, 3], 2, [1, 1, 1, 1]),
    inputs: [{ shape: [2, 3, 8, 8] }],
    dimensions: IMAGE,
  },
  {
    kind: 'maxPool2d',
    does: 'over dilated signals',
    attributes: window([2], 1, [1, 1], 2),
    inputs: [{ shape: [2, 3, 8] }],
    dimensions: SIGNAL,
  },
  {
    kind: 'avgPool2d',
    does: 'without the padding',
    attributes: { ...window([3, 3], 2, [1, 1, 1, 1]), countIncludePad: false },
    inputs: [{ shape: [2, 3, 8, 7] }],
    dimensions: IMAGE,
  },
  {
    kind: 'avgPool2d',
    does: 'with the padding, and a last window that is cut',
    attributes: { ...window([3, 3], 2, [1, 1, 2, 1]), countIncludePad: true, overhang: [1, 0] },
    inputs: [{ shape: [2, 2, 8, 7] }],
    dimensions: IMAGE,
  },
  {
    kind: 'avgPool2d',
    does: 'over windows apart',
    attributes: { ...window([2, 1], 3, [0, 0, 0, 0]), countIncludePad: true },
    inputs: [{ shape: [2, 2, 8, 7] }],
    dimensions: IMAGE,
  },
  {
    kind: 'avgPool2d',
    does: 'over dilated signals',
    attributes: { ...window([3], 2, [2, 2], 2), countIncludePad: false },
    inputs: [{ shape: [2, 2, 12] }],
    dimensions: SIGNAL,
  },
  {
    kind: 'avgPool2d',
    does: 'over volumes',
    attributes: { ...window([2, 2, 3], 1, [0, 1, 1, 0, 0, 1]), countIncludePad: false },
    inputs: [{ shape: [1, 2, 3, 3, 4] }],
    dimensions: VOLUME,
  },
  {
    kind: 'globalAveragePool',
    inputs: [{ shape: [2, 3, 4, 6] }],
    dimensions: IMAGE,
    expected: (x) => chunks(x ?? [], 24).map(mean),
  },
  {
    kind: 'globalAveragePool',
    does: 'over signals',
    inputs: [{ shape: [2, 4, 6] }],
    dimensions: SIGNAL,
    expected: (x) => chunks(x ?? [], 6).map(mean),
  },
];

const NORMALIZATIONS: readonly OpCase[] = [
  {
    kind: 'batchNorm',
    does: 'over images',
    attributes: { epsilon: EPSILON },
    inputs: [{ shape: [4, 2, 3, 4] }, parameter(2), parameter(2)],
    dimensions: IMAGE,
    expected: (x = [], gamma = [], beta = []) =>
      normalized(
        x,
        gamma,
        beta,
        EPSILON,
        (i) => Math.floor(i / 12) % 2,
        (i) => Math.floor(i / 12) % 2,
      ),
  },
  {
    kind: 'batchNorm',
    does: 'over long signals',
    attributes: { epsilon: EPSILON },
    inputs: [{ shape: [2, 2, 128] }, parameter(2), parameter(2)],
    dimensions: SIGNAL,
    expected: (x = [], gamma = [], beta = []) => {
      const channel = (i: number): number => Math.floor(i / 128) % 2;
      return normalized(x, gamma, beta, EPSILON, channel, channel);
    },
  },
  {
    kind: 'batchNorm',
    does: 'over vectors',
    attributes: { epsilon: EPSILON },
    inputs: [{ shape: [6, 4] }, parameter(4), parameter(4)],
    dimensions: ['sample', 'channel'],
    expected: (x = [], gamma = [], beta = []) =>
      normalized(
        x,
        gamma,
        beta,
        EPSILON,
        (i) => i % 4,
        (i) => i % 4,
      ),
  },
  {
    kind: 'batchNorm',
    does: 'over signals far from zero',
    attributes: { epsilon: EPSILON },
    inputs: [{ shape: [4, 2, 6], values: (random) => 10 + random.normal() }, parameter(2), parameter(2)],
    dimensions: SIGNAL,
  },
  {
    kind: 'instanceNorm',
    attributes: { epsilon: EPSILON },
    inputs: [{ shape: [2, 4, 3, 4] }, parameter(4), parameter(4)],
    dimensions: IMAGE,
    expected: (x = [], gamma = [], beta = []) =>
      normalized(
        x,
        gamma,
        beta,
        EPSILON,
        (i) => Math.floor(i / 12),
        (i) => Math.floor(i / 12) % 4,
      ),
  },
  {
    kind: 'groupNorm',
    attributes: { epsilon: EPSILON, groups: 2 },
    inputs: [{ shape: [2, 6, 2, 4] }, parameter(6), parameter(6)],
    dimensions: IMAGE,
    expected: (x = [], gamma = [], beta = []) =>
      normalized(
        x,
        gamma,
        beta,
        EPSILON,
        (i) => Math.floor(i / 24),
        (i) => Math.floor(i / 8) % 6,
      ),
  },
  {
    kind: 'groupNorm',
    does: 'over signals, in one group, with columns of parameters',
    attributes: { epsilon: EPSILON, groups: 1 },
    inputs: [{ shape: [2, 3, 8] }, parameter(3, 1), parameter(3, 1)],
    dimensions: SIGNAL,
  },
  {
    kind: 'lrn',
    does: 'of three channels',
    attributes: { size: 3, alpha: 0.75, beta: 0.75, bias: 1.5 },
    inputs: [{ shape: [2, 6, 2, 2] }],
    dimensions: IMAGE,
    expected: (x = []) =>
      x.map((value, i) => {
        const channel = Math.floor(i / 4) % 6;
        const near = [channel > 0 ? x[i - 4]! : 0, value, channel < 5 ? x[i + 4]! : 0];
        return value / (1.5 + (0.75 / 3) * near.reduce((sum, each) => sum + each * each, 0)) ** 0.75;
      }),
  },
  {
    kind: 'lrn',
    does: 'of four channels, two of them after',
    attributes: { size: 4, alpha: 1, beta: 0.5, bias: 1 },
    inputs: [{ shape: [1, 6, 1, 2] }],
    dimensions: IMAGE,
    expected: (x = []) =>
      x.map((value, i) => {
        const near = [i - 2, i, i + 2, i + 4].map((at) => x[at] ?? 0);
        return value / Math.sqrt(1 + near.reduce((sum, each) => sum + each * each, 0) / 4);
      }),
  },
  {
    kind: 'lrn',
    does: 'of more channels than there are',
    attributes: { size: 5, alpha: 1, beta: 0.5, bias: 1 },
    inputs: [{ shape: [2, 4, 3, 1] }],
    dimensions: IMAGE,
  },
];

const JOINS: readonly OpCase[] = [
  {
    kind: 'concat',
    does: 'of channels',
    attributes: { axis: 1 },
    inputs: [{ shape: [2, 3, 2, 2] }, { shape: [2, 1, 2, 2] }, { shape: [2, 4, 2, 2] }],
    dimensions: IMAGE,
  },
  {
    kind: 'concat',
    does: 'of rows',
    attributes: { axis: 2 },
    inputs: [{ shape: [2, 2, 3, 2] }, { shape: [2, 2, 3, 2] }],
    dimensions: IMAGE,
  },
  {
    kind: 'sum',
    inputs: [{ shape: [4, 6] }, { shape: [4, 6] }, { shape: [4, 6] }],
    dimensions: ['sample', 'channel'],
    expected: (a = [], b = [], c = []) => a.map((value, i) => value + b[i]! + c[i]!),
  },
  { kind: 'flatten', inputs: [{ shape: [4, 6, 2, 2] }], dimensions: ['sample', 'channel'] },
];

/** Convolutional networks. */
export const CASES: readonly OpCase[] = [...CONVOLUTIONS, ...POOLS, ...NORMALIZATIONS, ...JOINS];

/** Normalizes by the moments of the elements that share a group; gamma and beta by channel. */
function normalized(
  x: readonly number[],
  gamma: readonly number[],
  beta: readonly number[],
  epsilon: number,
  groupOf: (index: number) => number,
  channelOf: (index: number) => number,
): number[] {
  const groups = Map.groupBy(x.keys(), groupOf);
  return x.map((value, i) => {
    const members = groups.get(groupOf(i))!.map((index) => x[index]!);
    const center = mean(members);
    const variance = mean(members.map((member) => (member - center) ** 2));
    return (gamma[channelOf(i)]! * (value - center)) / Math.sqrt(variance + epsilon) + beta[channelOf(i)]!;
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

function chunks(values: readonly number[], size: number): number[][] {
  return Array.from({ length: values.length / size }, (_, i) => values.slice(i * size, (i + 1) * size));
}
