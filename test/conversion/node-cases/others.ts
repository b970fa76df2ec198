import type { OnnxNode } from '../../../soap/onnx/model.ts';
import { f32, filled, float, i64, list } from '../../support/kernel-graphs.ts';
import type { NodeCase } from '../../support/beside-runtime.ts';
import type { GraphParts } from '../../support/onnx-graphs.ts';
import { constant, node } from '../../support/onnx-graphs.ts';

const OPSET = 18;
const SHAPE = [2, 3, 5];
const of = (...nodes: OnnxNode[]): GraphParts => ({ inputs: { x: SHAPE }, opset: OPSET, nodes });

type Attributes = Parameters<typeof node>[3];

/** Numbers from -0.72 to 0.72, none within 0.04 of another or of a quarter: a difference takes no step over one. */
const APART = { x: Array.from({ length: 30 }, (_, i) => (((i * 7) % 30) - 14.5) * 0.05) };

/** Nodes of one operand. */
const single: readonly (readonly [
  opType: string,
  attributes?: Attributes,
  does?: string,
  more?: Pick<NodeCase, 'values' | 'jumps'>,
])[] = [
  ['Tan'],
  ['Cosh'],
  ['Sinh'],
  ['Asin', {}, '', { values: APART }],
  ['Acos', {}, '', { values: APART }],
  ['Softsign'],
  ['ThresholdedRelu', { alpha: float(0.25) }, '', { values: APART }],
  ['Shrink', { lambd: float(0.25), bias: float(0.1) }, 'with a bias', { values: APART }],
  ['Shrink', { lambd: float(0.25) }, 'without', { values: APART }],
  ['LpNormalization'],
  ['LpNormalization', { axis: 1, p: 1 }, 'by absolute values'],
  ['MeanVarianceNormalization', { axes: [1, 2] }, 'of each sample'],
  ['MeanVarianceNormalization', { axes: [0, 2] }, 'of all samples'],
  ['Hardmax', {}, '', { jumps: true }],
  ['Hardmax', { axis: 1 }, 'of an inner axis', { jumps: true }],
  ['Trilu'],
  ['Trilu', { upper: 0 }, 'of the lower triangle'],
  ['ReduceProd', {}, 'of all elements'],
];

/** Integers, as floats, so that ONNX Runtime and what is imported have the same type. */
const asFloat = (name: string): OnnxNode => node('Cast', [name], 'y', { to: 1 });
const places = (opType: string, attributes: Attributes): OnnxNode[] => [
  node(opType, ['x'], 'at', attributes),
  asFloat('at'),
];
/** Whole numbers from -6 to 6 of x. */
const WHOLE = [
  constant('seven', f32([], [7])),
  node('Mul', ['x', 'seven'], 'x7'),
  node('Cast', ['x7'], 'whole', { to: 7 }),
];
/** Equal largest and smallest elements. */
const EQUAL = { x: Array.from({ length: 30 }, (_, i) => [0.5, -0.5, 0.5, 0, -0.5][(i * 2) % 5]!) };
/** Indices below 0 and beyond all classes, too. */
const CLASSES = { at: [0, 3, -1, 2, -4, 5, 1, -9] };
const oneHot = (axis: number, values: OnnxNode, more: readonly OnnxNode[] = []): GraphParts => ({
  inputs: { at: [2, 4] },
  integers: ['at'],
  opset: OPSET,
  nodes: [constant('depth', list(4)), values, node('OneHot', ['at', 'depth', 'values'], 'y', { axis }), ...more],
});

const several: readonly NodeCase[] = [
  { does: 'Swish', parts: { ...of(node('Swish', ['x'], 'y', { alpha: float(1.5) })), opset: 24 } },
  {
    does: 'ReduceProd over an odd axis',
    parts: of(constant('axes', list(2)), node('ReduceProd', ['x', 'axes'], 'y', { keepdims: 0 })),
  },
  { does: 'ReduceProd over samples', parts: of(constant('axes', list(0, 1)), node('ReduceProd', ['x', 'axes'], 'y')) },
  {
    does: 'ReduceProd with a 0',
    parts: of(constant('axes', list(2)), node('ReduceProd', ['x', 'axes'], 'y', { keepdims: 0 })),
    values: { x: Array.from({ length: 30 }, (_, i) => (i % 5 === 2 ? 0 : 1 + i / 30)) },
  },
  {
    does: 'ReduceLogSum',
    parts: of(node('Exp', ['x'], 'e'), constant('axes', list(1)), node('ReduceLogSum', ['e', 'axes'], 'y')),
  },
  {
    does: 'Trilu beside the diagonal',
    parts: of(constant('k', i64([], [1])), node('Trilu', ['x', 'k'], 'y', { upper: 0 })),
  },
  {
    does: 'Mod of floats',
    parts: {
      inputs: { x: SHAPE, by: SHAPE },
      opset: OPSET,
      nodes: [
        // Away from 0, where steps of a difference would skip a divisor.
        constant('ten', f32([], [10])),
        constant('shift', f32([], [2.5])),
        node('Mul', ['x', 'ten'], 'dividend'),
        node('Add', ['by', 'shift'], 'divisor'),
        node('Mod', ['dividend', 'divisor'], 'y', { fmod: 1 }),
      ],
    },
  },
  ...[0, 1].map((fmod): NodeCase => ({
    does: `Mod of whole numbers, with fmod ${fmod}`,
    parts: of(
      ...WHOLE,
      constant('by', i64([5], [3, -3, 2, -4, 5])),
      node('Mod', ['whole', 'by'], 'rest', { fmod }),
      asFloat('rest'),
    ),
    jumps: true,
  })),
  { does: 'ArgMax', parts: of(...places('ArgMax', { axis: -1 })), jumps: true },
  { does: 'ArgMax without the axis', parts: of(...places('ArgMax', { axis: 1, keepdims: 0 })), jumps: true },
  { does: 'ArgMax over samples', parts: of(...places('ArgMax', {})), jumps: true },
  { does: 'ArgMin of equal elements', parts: of(...places('ArgMin', { axis: 2 })), values: EQUAL, jumps: true },
  { does: 'ArgMax of equal elements', parts: of(...places('ArgMax', { axis: 2 })), values: EQUAL, jumps: true },
  {
    does: 'ArgMax of the last of equal elements',
    parts: of(...places('ArgMax', { axis: 2, select_last_index: 1, keepdims: 0 })),
    values: EQUAL,
    jumps: true,
  },
  {
    does: 'ArgMax of whole numbers',
    parts: of(...WHOLE, node('ArgMax', ['whole'], 'at', { axis: 2 }), asFloat('at')),
    jumps: true,
  },
  { does: 'OneHot', parts: oneHot(-1, constant('values', f32([2], [0, 1]))), values: CLASSES },
  { does: 'OneHot of numbers of its own', parts: oneHot(1, constant('values', f32([2], [-0.5, 2]))), values: CLASSES },
  {
    does: 'OneHot of whole numbers',
    parts: {
      ...oneHot(0, constant('values', i64([2], [3, 7]))),
      nodes: [
        ...oneHot(0, constant('values', i64([2], [3, 7]))).nodes.map((each) =>
          each.opType === 'OneHot' ? { ...each, name: 'hot', outputs: ['hot'] } : each,
        ),
        asFloat('hot'),
      ],
    },
    values: CLASSES,
  },
  {
    does: 'IsInf',
    parts: of(
      constant('large', f32([], [3e38])),
      node('Mul', ['x', 'large'], 'r'),
      node('IsInf', ['r'], 'both'),
      node('IsInf', ['r'], 'above', { detect_negative: 0 }),
      node('IsInf', ['r'], 'below', { detect_positive: 0 }),
      constant('one', f32([], [1])),
      constant('two', f32([], [2])),
      constant('zero', f32([], [0])),
      node('Where', ['both', 'one', 'zero'], 'a'),
      node('Where', ['above', 'two', 'a'], 'b'),
      constant('three', f32([], [3])),
      node('Where', ['below', 'three', 'b'], 'c'),
      constant('four', f32([], [4])),
      // Of what is below, too, `both` says something.
      node('Where', ['both', 'four', 'zero'], 'd'),
      node('Add', ['c', 'd'], 'y'),
    ),
    values: { x: Array.from({ length: 30 }, (_, i) => [0, 1, -1, 2, -2][i % 5]!) },
    jumps: true,
  },
];

const pairs = (count: number): number[] => Array.from({ length: count }, (_, i) => [2, 0, -1, 1, 0, 4, -2, -5][i % 8]!);
const gathered = (indices: OnnxNode, attributes: Attributes = {}): GraphParts =>
  of(indices, node('GatherND', ['x', 'at'], 'y', attributes));
const scattered = (reduction: string, indices: readonly number[], updates: readonly number[]): GraphParts => ({
  inputs: { x: SHAPE, u: updates },
  opset: OPSET,
  nodes: [
    constant(
      'at',
      i64(
        indices,
        [-1, 0, 1, -2, 0, 4].slice(
          0,
          indices.reduce((a, b) => a * b, 1),
        ),
      ),
    ),
    node('ScatterND', ['x', 'at', 'u'], 'y', reduction === 'none' ? {} : { reduction }),
  ],
});
/** What is left of sample i: a step that its own numbers choose, by [i, step]. */
const BY_SAMPLE = [
  node('Cast', ['step'], 'whole', { to: 7 }),
  constant('rows', i64([2, 1], [0, 1])),
  node('Concat', ['rows', 'whole'], 'at', { axis: 1 }),
];

const indexed: readonly NodeCase[] = [
  { does: 'GatherND of rows', parts: gathered(constant('at', i64([3, 1], [1, 0, -1]))) },
  {
    does: 'GatherND of elements',
    parts: gathered(constant('at', i64([2, 2, 3], [0, 2, 4, -1, 0, -5, 1, 1, 1, 0, -3, 2]))),
  },
  { does: 'GatherND of pieces', parts: gathered(constant('at', i64([3, 2], [0, 2, 1, 0, -1, -1]))) },
  {
    does: 'GatherND within samples',
    parts: gathered(
      constant(
        'at',
        i64(
          [2, 4, 1],
          pairs(8).map((k) => k % 3),
        ),
      ),
      { batch_dims: 1 },
    ),
  },
  {
    does: 'GatherND by indices that are computed',
    parts: {
      inputs: { x: SHAPE, step: [2, 1] },
      integers: ['step'],
      opset: OPSET,
      nodes: [...BY_SAMPLE, node('GatherND', ['x', 'at'], 'y')],
    },
    values: { step: [2, -3] },
  },
  {
    does: 'GatherND of one element of each sample',
    parts: {
      inputs: { x: SHAPE, step: [2, 1] },
      integers: ['step'],
      opset: OPSET,
      nodes: [
        constant('rows', i64([2, 1], [0, 1])),
        node('Concat', ['rows', 'step', 'step'], 'at', { axis: -1 }),
        node('GatherND', ['x', 'at'], 'y'),
      ],
    },
    values: { step: [2, -1] },
  },
  {
    does: 'GatherND of samples in another order',
    parts: {
      inputs: { x: SHAPE, step: [2, 1] },
      integers: ['step'],
      opset: OPSET,
      nodes: [
        constant('rows', i64([2, 1], [1, 0])),
        node('Concat', ['rows', 'step'], 'at', { axis: -1 }),
        node('GatherND', ['x', 'at'], 'y'),
      ],
    },
    values: { step: [2, -3] },
  },
  {
    does: 'GatherND within samples by indices that are computed',
    parts: {
      inputs: { x: [2, 3, 4, 2], at: [2, 5, 2] },
      integers: ['at'],
      opset: OPSET,
      nodes: [node('GatherND', ['x', 'at'], 'y', { batch_dims: 1 })],
    },
    values: { at: [0, 1, 2, 3, -1, -4, 0, 0, 1, 2, 2, 2, -3, 1, 0, -1, 1, 1, 2, 0] },
  },
  {
    does: 'GatherND of rows of a weight',
    parts: {
      inputs: { at: [2, 3, 1] },
      integers: ['at'],
      opset: OPSET,
      weights: { table: filled([4, 3], 2) },
      nodes: [node('GatherND', ['table', 'at'], 'y')],
    },
  },
  { does: 'ScatterND of rows', parts: scattered('none', [2, 1], [2, 3, 5]) },
  { does: 'ScatterND of pieces', parts: scattered('none', [2, 2], [2, 5]) },
  { does: 'ScatterND of elements', parts: scattered('none', [2, 3], [2]) },
  { does: 'ScatterND that adds', parts: scattered('add', [2, 2], [2, 5]) },
  {
    does: 'ScatterND by indices that are computed',
    parts: {
      inputs: { x: SHAPE, u: [2, 5], step: [2, 1] },
      integers: ['step'],
      opset: OPSET,
      nodes: [...BY_SAMPLE, node('ScatterND', ['x', 'at', 'u'], 'y')],
    },
    values: { step: [2, -3] },
  },
];

/** Of x by scales, as older operator sets have it. */
const scaled = (opType: string, opset: number, mode: string, scales: readonly number[]): NodeCase => ({
  does: `${opType} of operator set ${opset}, ${mode} by [${scales}]`,
  parts: {
    inputs: { x: [2, 3, 4, 5] },
    opset,
    nodes: [constant('scales', f32([4], [1, 1, ...scales])), node(opType, ['x', 'scales'], 'y', { mode })],
  },
});

/** All other nodes. */
export const OTHER_CASES: readonly NodeCase[] = [
  ...single.map(([opType, attributes = {}, does = '', more = {}]): NodeCase => ({
    does: `${opType} ${does}`.trim(),
    parts: of(node(opType, ['x'], 'y', attributes)),
    ...more,
  })),
  ...several,
  scaled('Upsample', 9, 'nearest', [2, 3]),
  scaled('Upsample', 9, 'linear', [2, 2]),
  scaled('Resize', 10, 'nearest', [2, 1.4]),
  scaled('Resize', 10, 'linear', [1.5, 2]),
  ...indexed,
];
