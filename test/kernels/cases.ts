import type { OnnxTensor } from '../../soap/onnx/model.ts';
import type { NodeCase } from '../support/kernel-graphs.ts';
import { bool, f32, f64, filled, float, i32, i64, list } from '../support/kernel-graphs.ts';
import type { Geometry } from './naive.ts';
import { convExtents, naiveConv, naiveConvTranspose, naiveWindows, transposedExtents } from './naive.ts';

/** A node, and what it must give. */
export interface ContractCase extends NodeCase {
  /** Completes the sentence "op ...". */
  readonly does: string;
  readonly gives: readonly OnnxTensor[];
}

const X = f32([5], [-2, -0.5, 0, 0.25, 3]);
const P = f32([4], [0.25, 1, 2.5, 9]);
const each = (tensor: OnnxTensor, f: (x: number) => number): OnnxTensor =>
  f32(
    tensor.shape,
    Array.from({ length: tensor.data.length }, (_, i) => f(Number(tensor.data[i]))),
  );

/** erf by Simpson's rule over the integral that defines it. */
function erfByIntegral(x: number): number {
  const [steps, h] = [2000, x / 2000];
  let sum = 0;
  for (let i = 0; i <= steps; i += 1) {
    sum += (i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2) * Math.exp(-((i * h) ** 2));
  }
  return (2 / Math.sqrt(Math.PI)) * (h / 3) * sum;
}

const ELEMENTWISE: readonly ContractCase[] = [
  { op: 'Identity', does: 'copies', inputs: [X], gives: [X] },
  {
    op: 'Identity',
    does: 'copies int64 beyond 2^32',
    inputs: [i64([2], [2 ** 40, -7])],
    gives: [i64([2], [2 ** 40, -7])],
  },
  { op: 'Relu', does: 'cuts below zero', inputs: [X], gives: [f32([5], [0, 0, 0, 0.25, 3])] },
  { op: 'Sigmoid', does: 'is the logistic function', inputs: [X], gives: [each(X, (x) => 1 / (1 + Math.E ** -x))] },
  {
    op: 'Tanh',
    does: 'is the hyperbolic tangent',
    inputs: [X],
    gives: [each(X, (x) => (Math.E ** (2 * x) - 1) / (Math.E ** (2 * x) + 1))],
  },
  { op: 'Erf', does: 'is the error function', inputs: [X], gives: [each(X, erfByIntegral)] },
  {
    op: 'Atan',
    does: 'is the inverse of the tangent',
    inputs: [f32([3], [0, 1, -Math.sqrt(3)])],
    gives: [f32([3], [0, Math.PI / 4, -Math.PI / 3])],
  },
  {
    op: 'Sin',
    does: 'is the sine',
    inputs: [f32([3], [0, Math.PI / 6, -Math.PI / 2])],
    gives: [f32([3], [0, 0.5, -1])],
  },
  { op: 'Cos', does: 'is the cosine', inputs: [f32([3], [0, Math.PI / 3, Math.PI])], gives: [f32([3], [1, 0.5, -1])] },
  { op: 'Neg', does: 'negates', inputs: [X], gives: [f32([5], [2, 0.5, 0, -0.25, -3])] },
  { op: 'Exp', does: 'is the exponential', inputs: [f32([3], [0, 1, -1])], gives: [f32([3], [1, Math.E, 1 / Math.E])] },
  { op: 'Log', does: 'is the natural logarithm', inputs: [f32([2], [1, Math.E])], gives: [f32([2], [0, 1])] },
  { op: 'Sqrt', does: 'is the square root', inputs: [P], gives: [f32([4], [0.5, 1, 1.5811388, 3])] },
  { op: 'Reciprocal', does: 'divides one', inputs: [P], gives: [f32([4], [4, 1, 0.4, 1 / 9])] },
  { op: 'Abs', does: 'drops the sign', inputs: [X], gives: [f32([5], [2, 0.5, 0, 0.25, 3])] },
  { op: 'Sign', does: 'is -1, 0 or 1', inputs: [X], gives: [f32([5], [-1, -1, 0, 1, 1])] },
  { op: 'Softplus', does: 'is ln(1 + e^x)', inputs: [X], gives: [each(X, (x) => Math.log(1 + Math.E ** x))] },
  {
    op: 'HardSwish',
    does: 'is a straight line, a parabola, a straight line',
    inputs: [f32([5], [-4, -1.5, 0, 1.5, 4])],
    gives: [f32([5], [0, -0.375, 0, 1.125, 4])],
  },
  {
    op: 'LeakyRelu',
    does: 'scales below zero',
    attributes: { alpha: float(0.25) },
    inputs: [X],
    gives: [f32([5], [-0.5, -0.125, 0, 0.25, 3])],
  },
  {
    op: 'Elu',
    does: 'is an exponential below zero',
    attributes: { alpha: float(2) },
    inputs: [X],
    gives: [each(X, (x) => (x < 0 ? 2 * (Math.E ** x - 1) : x))],
  },
  {
    op: 'HardSigmoid',
    does: 'is cut at 0 and 1',
    attributes: { alpha: float(0.25), beta: float(0.5) },
    inputs: [X],
    gives: [f32([5], [0, 0.375, 0.5, 0.5625, 1])],
  },
  {
    op: 'Add',
    does: 'broadcasts both ways',
    inputs: [f32([2, 1], [10, 20]), f32([3], [1, 2, 3])],
    gives: [f32([2, 3], [11, 12, 13, 21, 22, 23])],
  },
  {
    op: 'Add',
    does: 'broadcasts a scalar over int64',
    inputs: [i64([2], [1, -5]), i64([], [7])],
    gives: [i64([2], [8, 2])],
  },
  {
    op: 'Sub',
    does: 'subtracts the second',
    inputs: [f32([2, 2], [1, 2, 3, 4]), f32([2], [10, 1])],
    gives: [f32([2, 2], [-9, 1, -7, 3])],
  },
  {
    op: 'Mul',
    does: 'multiplies by an initializer',
    inputs: [X, f32([], [2])],
    constant: [1],
    gives: [each(X, (x) => 2 * x)],
  },
  {
    op: 'Div',
    does: 'divides by the second',
    inputs: [f32([2], [1, -3]), f32([2], [4, 2])],
    gives: [f32([2], [0.25, -1.5])],
  },
  {
    op: 'Div',
    does: 'truncates integers',
    inputs: [i64([3], [7, -7, 6]), i64([], [2])],
    gives: [i64([3], [3, -3, 3])],
  },
  { op: 'Div', does: 'keeps float64', inputs: [f64([1], [1]), f64([1], [3])], gives: [f64([1], [1 / 3])] },
  { op: 'Pow', does: 'raises', inputs: [f32([3], [2, 3, 4]), f32([3], [3, 2, 0.5])], gives: [f32([3], [8, 9, 2])] },
  { op: 'Greater', does: 'is strict', inputs: [f32([3], [1, 2, 3]), f32([], [2])], gives: [bool([3], [0, 0, 1])] },
  { op: 'Less', does: 'is strict', inputs: [f32([3], [1, 2, 3]), f32([], [2])], gives: [bool([3], [1, 0, 0])] },
  {
    op: 'GreaterOrEqual',
    does: 'is not strict',
    inputs: [f32([3], [1, 2, 3]), f32([], [2])],
    gives: [bool([3], [0, 1, 1])],
  },
  { op: 'Equal', does: 'compares int64', inputs: [i64([3], [1, 2, 3]), i64([], [2])], gives: [bool([3], [0, 1, 0])] },
  {
    op: 'Max',
    does: 'takes any number of inputs',
    inputs: [f32([2], [1, 5]), f32([2], [4, 2]), f32([], [3])],
    gives: [f32([2], [4, 5])],
  },
  {
    op: 'Sum',
    does: 'takes any number of inputs',
    inputs: [f32([2], [1, 5]), f32([2], [4, 2]), f32([2], [0.5, -3])],
    gives: [f32([2], [5.5, 4])],
  },
  { op: 'Min', does: 'broadcasts', inputs: [f32([2], [1, 5]), f32([], [3])], gives: [f32([2], [1, 3])] },
  {
    op: 'Where',
    does: 'chooses, broadcasting all three',
    inputs: [bool([2, 1], [1, 0]), f32([2], [1, 2]), f32([], [9])],
    gives: [f32([2, 2], [1, 2, 9, 9])],
  },
  {
    op: 'DequantizeLinear',
    does: 'scales bytes',
    inputs: [{ dtype: 'uint8', shape: [2, 3], data: Uint8Array.of(0, 1, 0, 1, 1, 255) }, f32([], [1.25])],
    gives: [f32([2, 3], [0, 1.25, 0, 1.25, 1.25, 318.75])],
  },
  {
    op: 'Clip',
    does: 'cuts at both ends',
    inputs: [X, f32([], [-1]), f32([], [1])],
    gives: [f32([5], [-1, -0.5, 0, 0.25, 1])],
  },
  { op: 'Clip', does: 'cuts above only', inputs: [X, undefined, f32([], [0])], gives: [f32([5], [-2, -0.5, 0, 0, 0])] },
  {
    op: 'Cast',
    does: 'truncates float32 to int64',
    attributes: { to: 7 },
    inputs: [f32([3], [1.9, -1.9, 4])],
    gives: [i64([3], [1, -1, 4])],
  },
  {
    op: 'Cast',
    does: 'makes 0 and 1 of bool',
    attributes: { to: 1 },
    inputs: [bool([2], [1, 0])],
    gives: [f32([2], [1, 0])],
  },
  {
    op: 'Cast',
    does: 'makes bool of float32',
    attributes: { to: 9 },
    inputs: [X],
    gives: [bool([5], [1, 1, 0, 1, 1])],
  },
  {
    op: 'Cast',
    does: 'makes int32 of int64',
    attributes: { to: 6 },
    inputs: [i64([2], [5, -5])],
    gives: [i32([2], [5, -5])],
  },
];

const A23 = f32([2, 3], [1, 2, 3, 4, 5, 6]);
const B32 = f32([3, 2], [1, 0, 2, 1, 0, 3]);

const MATRICES: readonly ContractCase[] = [
  { op: 'MatMul', does: 'multiplies matrices', inputs: [A23, B32], gives: [f32([2, 2], [5, 11, 14, 23])] },
  {
    op: 'MatMul',
    does: 'multiplies batches, broadcasting one matrix',
    inputs: [f32([2, 1, 2], [1, 2, 3, 4]), f32([2, 2], [1, 1, 0, 2])],
    gives: [f32([2, 1, 2], [1, 5, 3, 11])],
  },
  {
    op: 'MatMul',
    does: 'broadcasts batch axes both ways',
    inputs: [f32([2, 1, 1, 1], [2, 3]), f32([3, 1, 1], [5, 7, 11])],
    gives: [f32([2, 3, 1, 1], [10, 14, 22, 15, 21, 33])],
  },
  { op: 'MatMul', does: 'takes vectors', inputs: [f32([2], [1, 2]), f32([2], [3, 4])], gives: [f32([], [11])] },
  { op: 'Gemm', does: 'multiplies without addend', inputs: [A23, B32], gives: [f32([2, 2], [5, 11, 14, 23])] },
  {
    op: 'Gemm',
    does: 'transposes the first, scales, and adds a scaled row',
    attributes: { transA: 1, alpha: float(0.5), beta: float(2) },
    inputs: [f32([2, 2], [1, 2, 3, 4]), f32([2, 3], [1, 0, 2, 0, 1, 1]), f32([3], [1, 2, 3])],
    gives: [f32([2, 3], [2.5, 5.5, 8.5, 3, 6, 10])],
  },
  {
    op: 'Gemm',
    does: 'transposes the second and adds a column',
    attributes: { transB: 1 },
    inputs: [f32([2, 2], [1, 2, 3, 4]), f32([3, 2], [1, 0, 2, 0, 1, 1]), f32([2, 1], [10, 20])],
    gives: [f32([2, 3], [11, 12, 13, 23, 26, 27])],
  },
  {
    op: 'FusedMatMul',
    domain: 'com.microsoft',
    does: 'transposes the first of a batch and scales',
    attributes: { transA: 1, alpha: float(-2) },
    inputs: [f32([2, 2, 1], [1, 2, 3, 4]), f32([2, 2, 1], [1, 1, 2, 1])],
    gives: [f32([2, 1, 1], [-6, -20])],
  },
  {
    op: 'FusedMatMul',
    domain: 'com.microsoft',
    does: 'transposes the second',
    attributes: { transB: 1 },
    inputs: [f32([1, 2], [1, 2]), f32([3, 2], [1, 0, 2, 0, 1, 1])],
    gives: [f32([1, 3], [1, 2, 3])],
  },
];

const GEOMETRY: Geometry = {
  n: 2,
  group: 1,
  c: 3,
  m: 2,
  input: [7, 6],
  kernel: [3, 3],
  strides: [1, 1],
  dilations: [1, 1],
  pads: [0, 0, 0, 0],
  outputPadding: [0, 0],
};

/** The attributes of a window. */
export function windowAttributes(g: Geometry): Record<string, number | readonly number[]> {
  return { kernel_shape: g.kernel, strides: g.strides, dilations: g.dilations, pads: g.pads };
}

/** A convolution of unpatterned values by the textbook's loops. */
export function convCase(does: string, part: Partial<Geometry>): ContractCase {
  const g = { ...GEOMETRY, ...part };
  const x = filled([g.n, g.c * g.group, ...g.input], 1);
  const w = filled([g.m * g.group, g.c, ...g.kernel], 2);
  const b = filled([g.m * g.group], 3);
  const y = naiveConv(numbers(x), numbers(w), numbers(b), g);
  const gives = [f32([g.n, g.m * g.group, ...convExtents(g)], y)];
  return { op: 'Conv', does, attributes: { ...windowAttributes(g), group: g.group }, inputs: [x, w, b], gives };
}

/** A transposed convolution of unpatterned values by the textbook's loops. */
export function convTransposeCase(does: string, part: Partial<Geometry>): ContractCase {
  const g = { ...GEOMETRY, ...part };
  const x = filled([g.n, g.c * g.group, ...g.input], 1);
  const w = filled([g.c * g.group, g.m, ...g.kernel], 2);
  const b = filled([g.m * g.group], 3);
  const y = naiveConvTranspose(numbers(x), numbers(w), numbers(b), g);
  const gives = [f32([g.n, g.m * g.group, ...transposedExtents(g)], y)];
  const attributes = { ...windowAttributes(g), group: g.group, output_padding: g.outputPadding };
  return { op: 'ConvTranspose', does, attributes, inputs: [x, w, b], gives };
}

/** A pool over unpatterned values; `part.c` is the number of channels. */
export function maxPoolCase(does: string, part: Partial<Geometry>): ContractCase {
  const g = { ...GEOMETRY, ...part };
  const x = filled([g.n, g.c, ...g.input], 4);
  const best = naiveWindows(numbers(x), g).map((window) => window.reduce((a, b) => (b.value > a.value ? b : a)));
  const shape = [g.n, g.c, ...convExtents(g)];
  const gives = [
    f32(
      shape,
      best.map(({ value }) => value),
    ),
    i64(
      shape,
      best.map(({ at }) => at),
    ),
  ];
  return { op: 'MaxPool', does, attributes: windowAttributes(g), inputs: [x], gives };
}

/** The same of means. Without padding counted the divisor is what lies inside. */
export function averagePoolCase(does: string, part: Partial<Geometry>, countPadding: number): ContractCase {
  const g = { ...GEOMETRY, ...part, dilations: [1, 1] as const };
  const x = filled([g.n, g.c, ...g.input], 5);
  const means = naiveWindows(numbers(x), g).map((window) => {
    const sum = window.reduce((total, { value }) => total + value, 0);
    return sum / (countPadding ? g.kernel[0] * g.kernel[1] : window.length);
  });
  const attributes = { kernel_shape: g.kernel, strides: g.strides, pads: g.pads, count_include_pad: countPadding };
  return { op: 'AveragePool', does, attributes, inputs: [x], gives: [f32([g.n, g.c, ...convExtents(g)], means)] };
}

function numbers({ data }: OnnxTensor): number[] {
  return Array.from(data, Number);
}

const LRN_X = filled([1, 5, 1, 2], 6);
/** Size 3: one neighbour on either side. */
const LRN_Y = numbers(LRN_X).map((x, i, all) => {
  const near = [all[i - 2] ?? 0, x, all[i + 2] ?? 0];
  return x / (2 + (0.5 / 3) * near.reduce((sum, y) => sum + y * y, 0)) ** 0.75;
});

const WINDOWS: readonly ContractCase[] = [
  convCase('slides over every place', {}),
  convCase('pads each side differently', { pads: [2, 0, 1, 3] }),
  convCase('has strides, and leaves a rest', { strides: [3, 2] }),
  convCase('has dilations', { dilations: [2, 2], pads: [1, 2, 2, 1] }),
  convCase('keeps groups apart', { group: 2, c: 2, m: 3 }),
  convCase('is depthwise', { group: 4, c: 1, m: 1, pads: [1, 1, 1, 1] }),
  convCase('has kernels of one element', { kernel: [1, 1], strides: [2, 2] }),
  {
    op: 'Conv',
    does: 'has one spatial axis and no bias',
    inputs: [f32([1, 1, 4], [1, 2, 3, 4]), f32([1, 1, 2], [1, -1])],
    gives: [f32([1, 1, 3], [-1, -1, -1])],
  },
  convTransposeCase('spreads over every place', {}),
  convTransposeCase('has strides and padded output', { strides: [3, 2], outputPadding: [2, 1], pads: [1, 0, 0, 1] }),
  convTransposeCase('has dilations', { dilations: [2, 3], pads: [1, 2, 2, 1] }),
  convTransposeCase('keeps groups apart', { group: 2, c: 2, m: 3, strides: [2, 2] }),
  maxPoolCase('takes the largest and its flat index', { kernel: [2, 2], strides: [2, 2] }),
  maxPoolCase('overlaps, pads and dilates', { strides: [2, 1], pads: [1, 0, 1, 1], dilations: [2, 1] }),
  {
    op: 'MaxPool',
    does: 'takes the first of equal elements',
    attributes: { kernel_shape: [2, 2] },
    inputs: [f32([1, 1, 2, 2], [1, 5, 5, 5])],
    gives: [f32([1, 1, 1, 1], [5]), i64([1, 1, 1, 1], [1])],
  },
  {
    op: 'MaxPool',
    does: 'never takes the padding',
    attributes: { kernel_shape: [2, 2], pads: [1, 1, 0, 0] },
    inputs: [f32([1, 1, 1, 1], [-3])],
    gives: [f32([1, 1, 1, 1], [-3])],
  },
  averagePoolCase('leaves the padding out', { pads: [1, 0, 1, 1], strides: [2, 1] }, 0),
  averagePoolCase('counts the padding where asked', { pads: [1, 0, 1, 1], strides: [2, 1] }, 1),
  {
    op: 'GlobalAveragePool',
    does: 'is the mean of each plane',
    inputs: [f32([1, 2, 1, 3], [1, 2, 3, 4, 5, 9])],
    gives: [f32([1, 2, 1, 1], [2, 6])],
  },
  {
    op: 'BatchNormalization',
    does: 'scales and shifts each channel by given moments',
    attributes: { epsilon: float(0.25) },
    inputs: [
      f32([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]),
      f32([2], [2, 3]),
      f32([2], [10, 20]),
      f32([2], [1, 4]),
      f32([2], [0.75, 2]),
    ],
    gives: [f32([2, 2, 2], [10, 12, 18, 20, 18, 20, 26, 28])],
  },
  {
    op: 'LRN',
    does: 'divides by neighbouring channels',
    attributes: { size: 3, alpha: float(0.5), beta: float(0.75), bias: float(2) },
    inputs: [LRN_X],
    gives: [f32(LRN_X.shape, LRN_Y)],
  },
];

const CUBE = f32([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]);
const EXP = [Math.exp(1), Math.exp(2), Math.exp(3)];
const TOTAL = EXP.reduce((a, b) => a + b, 0);

const REDUCTIONS: readonly ContractCase[] = [
  {
    op: 'ReduceSum',
    does: 'drops the axes of its second input',
    attributes: { keepdims: 0 },
    inputs: [CUBE, list(0, 2)],
    constant: [1],
    gives: [f32([2], [14, 22])],
  },
  { op: 'ReduceSum', does: 'keeps a negative axis', inputs: [CUBE, list(-2)], gives: [f32([2, 1, 2], [4, 6, 12, 14])] },
  { op: 'ReduceSum', does: 'without axes folds all', inputs: [CUBE], gives: [f32([1, 1, 1], [36])] },
  {
    op: 'ReduceSum',
    does: 'does nothing without axes where told so',
    attributes: { noop_with_empty_axes: 1 },
    inputs: [CUBE],
    gives: [CUBE],
  },
  {
    op: 'ReduceMean',
    does: 'reads the attribute axes',
    attributes: { axes: [0, 1], keepdims: 0 },
    inputs: [CUBE],
    gives: [f32([2], [4, 5])],
  },
  {
    op: 'ReduceMax',
    does: 'takes the largest',
    attributes: { axes: [1] },
    inputs: [CUBE],
    gives: [f32([2, 1, 2], [3, 4, 7, 8])],
  },
  {
    op: 'ArgMax',
    does: 'takes the first of the largest',
    attributes: { axis: 1, keepdims: 0 },
    inputs: [f32([3, 3], [1, 3, 3, -1, -2, -3, 0, 0, 5])],
    gives: [i64([3], [1, 0, 2])],
  },
  {
    op: 'ArgMax',
    does: 'keeps the axis',
    attributes: { axis: 0 },
    inputs: [CUBE],
    gives: [i64([1, 2, 2], [1, 1, 1, 1])],
  },
  {
    op: 'Softmax',
    does: 'does not overflow',
    inputs: [f32([2, 3], [1, 2, 3, 1001, 1002, 1003])],
    gives: [
      f32(
        [2, 3],
        [...EXP, ...EXP].map((x) => x / TOTAL),
      ),
    ],
  },
  {
    op: 'Softmax',
    does: 'normalizes along an inner axis',
    attributes: { axis: 0 },
    inputs: [f32([2, 2], [0, 1, 0, 1])],
    gives: [f32([2, 2], [0.5, 0.5, 0.5, 0.5])],
  },
  {
    op: 'LayerNormalization',
    does: 'gives mean and 1 / deviation too',
    attributes: { axis: -1, epsilon: float(3) },
    inputs: [f32([2, 2], [1, 3, -2, 2]), f32([2], [2, 4]), f32([2], [10, 20])],
    gives: [
      f32([2, 2], [9, 22, 10 - 4 / Math.sqrt(7), 20 + 8 / Math.sqrt(7)]),
      f32([2, 1], [2, 0]),
      f32([2, 1], [0.5, 1 / Math.sqrt(7)]),
    ],
  },
  {
    op: 'LogSoftmax',
    does: 'is the logarithm of softmax',
    inputs: [f32([1, 3], [101, 102, 103])],
    gives: [
      f32(
        [1, 3],
        EXP.map((x) => Math.log(x / TOTAL)),
      ),
    ],
  },
];

const LAYOUTS: readonly ContractCase[] = [
  { op: 'Transpose', does: 'reverses the axes', inputs: [A23], gives: [f32([3, 2], [1, 4, 2, 5, 3, 6])] },
  {
    op: 'Transpose',
    does: 'permutes three axes',
    attributes: { perm: [1, 2, 0] },
    inputs: [CUBE],
    gives: [f32([2, 2, 2], [1, 5, 2, 6, 3, 7, 4, 8])],
  },
  {
    op: 'Reshape',
    does: 'keeps an extent for 0 and finds one for -1',
    inputs: [CUBE, list(0, -1)],
    constant: [1],
    gives: [f32([2, 4], [1, 2, 3, 4, 5, 6, 7, 8])],
  },
  { op: 'Flatten', does: 'keeps the first axis', inputs: [CUBE], gives: [f32([2, 4], [1, 2, 3, 4, 5, 6, 7, 8])] },
  {
    op: 'Flatten',
    does: 'counts a negative axis',
    attributes: { axis: -1 },
    inputs: [CUBE],
    gives: [f32([4, 2], [1, 2, 3, 4, 5, 6, 7, 8])],
  },
  {
    op: 'Squeeze',
    does: 'drops the axes of its second input',
    inputs: [f32([1, 2, 1], [1, 2]), list(-1)],
    constant: [1],
    gives: [f32([1, 2], [1, 2])],
  },
  { op: 'Squeeze', does: 'drops all axes of extent 1', inputs: [f32([1, 2, 1], [1, 2])], gives: [f32([2], [1, 2])] },
  {
    op: 'Unsqueeze',
    does: 'adds axes',
    inputs: [f32([2], [1, 2]), list(0, -1)],
    constant: [1],
    gives: [f32([1, 2, 1], [1, 2])],
  },
  {
    op: 'Expand',
    does: 'repeats',
    inputs: [f32([2, 1], [1, 2]), list(2, 2, 3)],
    constant: [1],
    gives: [f32([2, 2, 3], [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2])],
  },
  {
    op: 'Concat',
    does: 'joins along an inner axis',
    attributes: { axis: 1 },
    inputs: [f32([2, 1], [1, 2]), f32([2, 2], [3, 4, 5, 6])],
    gives: [f32([2, 3], [1, 3, 4, 2, 5, 6])],
  },
  {
    op: 'Split',
    does: 'cuts into given sizes',
    attributes: { axis: 1 },
    inputs: [A23, list(1, 2)],
    constant: [1],
    gives: [f32([2, 1], [1, 4]), f32([2, 2], [2, 3, 5, 6])],
  },
  {
    op: 'Split',
    does: 'cuts into equal pieces',
    inputs: [A23],
    gives: [f32([1, 3], [1, 2, 3]), f32([1, 3], [4, 5, 6])],
  },
  {
    op: 'Slice',
    does: 'steps',
    inputs: [A23, list(0), list(2 ** 53), list(1), list(2)],
    constant: [1, 2, 3, 4],
    gives: [f32([2, 2], [1, 3, 4, 6])],
  },
  {
    op: 'Slice',
    does: 'walks backwards past the start',
    inputs: [A23, list(-1, -1), list(-100, 0), list(0, 1), list(-1, -1)],
    constant: [1, 2, 3, 4],
    gives: [f32([2, 2], [6, 5, 3, 2])],
  },
  { op: 'Slice', does: 'may be empty', inputs: [A23, list(2), list(1)], constant: [1, 2], gives: [f32([0, 3], [])] },
  {
    op: 'Pad',
    does: 'surrounds with a constant',
    inputs: [f32([1, 2], [1, 2]), list(1, 0, 0, 1), f32([], [9])],
    constant: [1],
    gives: [f32([2, 3], [9, 9, 9, 1, 2, 9])],
  },
  {
    op: 'Pad',
    does: 'cuts where negative',
    inputs: [f32([4], [1, 2, 3, 4]), list(-1, 2)],
    constant: [1],
    gives: [f32([5], [2, 3, 4, 0, 0])],
  },
];

const TABLE = f32([3, 2], [1, 2, 3, 4, 5, 6]);

const INDEXED: readonly ContractCase[] = [
  { op: 'Gather', does: 'picks rows', inputs: [TABLE, i64([2, 1], [2, -3])], gives: [f32([2, 1, 2], [5, 6, 1, 2])] },
  {
    op: 'Gather',
    does: 'picks columns',
    attributes: { axis: 1 },
    inputs: [TABLE, i64([1], [1])],
    gives: [f32([3, 1], [2, 4, 6])],
  },
  { op: 'Gather', does: 'drops the axis for a scalar', inputs: [TABLE, i64([], [1])], gives: [f32([2], [3, 4])] },
  {
    op: 'GatherElements',
    does: 'picks one element of each row',
    attributes: { axis: 1 },
    inputs: [TABLE, i64([3, 1], [1, 0, -1])],
    gives: [f32([3, 1], [2, 3, 6])],
  },
  {
    op: 'TopK',
    does: 'gives the largest in order, and of equal ones the first',
    inputs: [f32([2, 4], [1, 3, 3, 2, 5, 5, 7, -1]), i64([1], [2])],
    constant: [1],
    gives: [f32([2, 2], [3, 3, 7, 5]), i64([2, 2], [1, 2, 2, 0])],
  },
  {
    op: 'TopK',
    does: 'gives the smallest of an axis',
    attributes: { axis: 0, largest: 0 },
    inputs: [TABLE, i64([1], [1])],
    constant: [1],
    gives: [f32([1, 2], [1, 2]), i64([1, 2], [0, 0])],
  },
  {
    op: 'ScatterElements',
    does: 'replaces',
    attributes: { axis: 1 },
    inputs: [TABLE, i64([2, 1], [1, -2]), f32([2, 1], [20, 30])],
    gives: [f32([3, 2], [1, 20, 30, 4, 5, 6])],
  },
  {
    op: 'ScatterElements',
    does: 'adds repeated indices',
    attributes: { reduction: 'add' },
    inputs: [f32([3], [1, 2, 3]), i64([4], [0, 2, 0, 0]), f32([4], [10, 20, 30, 40])],
    gives: [f32([3], [81, 2, 23])],
  },
  {
    op: 'ScatterND',
    does: 'adds rows, also repeated ones',
    attributes: { reduction: 'add' },
    inputs: [TABLE, i64([3, 1], [2, 0, 2]), f32([3, 2], [1, 1, 2, 2, 3, 3])],
    gives: [f32([3, 2], [3, 4, 3, 4, 9, 10])],
  },
  {
    op: 'ScatterND',
    does: 'replaces elements',
    inputs: [TABLE, i64([2, 2], [0, 1, 2, 0]), f32([2], [20, 50])],
    gives: [f32([3, 2], [1, 20, 3, 4, 50, 6])],
  },
  {
    op: 'OneHot',
    does: 'marks the class, and nothing for a stranger',
    inputs: [i64([3], [1, -1, 7]), i64([], [3]), f32([2], [0, 1])],
    constant: [1],
    gives: [f32([3, 3], [0, 1, 0, 0, 0, 1, 0, 0, 0])],
  },
  {
    op: 'OneHot',
    does: 'puts the classes first where asked',
    attributes: { axis: 0 },
    inputs: [i64([2], [0, 1]), i64([], [2]), f32([2], [-1, 5])],
    constant: [1],
    gives: [f32([2, 2], [5, -1, -1, 5])],
  },
];

const MADE: readonly ContractCase[] = [
  {
    op: 'Constant',
    does: 'is its tensor',
    attributes: { value: { type: 'tensor', value: TABLE } },
    inputs: [],
    gives: [TABLE],
  },
  {
    op: 'Constant',
    does: 'is a list of integers',
    attributes: { value_ints: [3, -1] },
    inputs: [],
    gives: [list(3, -1)],
  },
  { op: 'Constant', does: 'is a float', attributes: { value_float: float(0.5) }, inputs: [], gives: [f32([], [0.5])] },
  { op: 'ConstantOfShape', does: 'is zero', inputs: [list(2, 2)], constant: [0], gives: [f32([2, 2], [0, 0, 0, 0])] },
  {
    op: 'ConstantOfShape',
    does: 'has a value of its type',
    attributes: { value: { type: 'tensor', value: i64([1], [7]) } },
    inputs: [list(2)],
    constant: [0],
    gives: [i64([2], [7, 7])],
  },
  { op: 'Shape', does: 'lists extents', inputs: [TABLE], gives: [list(3, 2)] },
  { op: 'Shape', does: 'lists some extents', attributes: { start: -2, end: -1 }, inputs: [CUBE], gives: [list(2)] },
];

/** What every kernel engine must compute. */
export const CASES: readonly ContractCase[] = [
  ...ELEMENTWISE,
  ...MATRICES,
  ...WINDOWS,
  ...REDUCTIONS,
  ...LAYOUTS,
  ...INDEXED,
  ...MADE,
];
