import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import type { OnnxNode } from '../../soap/onnx/model.ts';
import { bool, f32, i64, list } from '../support/kernel-graphs.ts';
import { distance } from '../support/op-checks.ts';
import type { GraphParts } from '../support/onnx-graphs.ts';
import { constant, imported, node, problemsOf } from '../support/onnx-graphs.ts';
import { runWholeGraph } from '../support/whole-graph.ts';

const engines = [createReferenceEngine(), createOnnxRuntimeEngine({ threads: 1 })];
test.after.always(() => {
  for (const engine of engines) engine.close();
});

const X = [-2, -0.5, 0, 0.5, 1, 3];
const of = (...nodes: OnnxNode[]): GraphParts => ({ inputs: { x: [1, 2, 3] }, opset: 18, nodes });
const padded = (mode: string): GraphParts =>
  of(constant('pads', list(0, 0, 0, 0, 0, 1)), node('Pad', ['x', 'pads'], 'y', { mode }));
const reduced = (opType: string, keepdims: number): GraphParts => of(node(opType, ['x'], 'y', { axes: [2], keepdims }));
const logic = (opType: string): GraphParts =>
  of(
    constant('zero', f32([], [0])),
    constant('some', bool([1, 1, 3], [1, 0, 1])),
    node('Greater', ['x', 'zero'], 'a'),
    node(opType, opType === 'Not' ? ['a'] : ['a', 'some'], 'c'),
    node('Where', ['c', 'x', 'zero'], 'y'),
  );
const tanhGelu = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

type GraphCase = readonly [does: string, parts: GraphParts, expected: readonly number[]];

// By the text of each operator: https://onnx.ai/onnx/operators/
const cases: readonly GraphCase[] = [
  [
    'PRelu',
    { ...of(node('PRelu', ['x', 'slope'], 'y')), weights: { slope: f32([2, 1], [0.1, 0.2]) } },
    X.map((x, i) => (x > 0 ? x : (i < 3 ? 0.1 : 0.2) * x)),
  ],
  ['Selu', of(node('Selu', ['x'], 'y')), X.map((x) => 1.0507009873 * (x > 0 ? x : 1.6732632423 * Math.expm1(x)))],
  ['Celu', of(node('Celu', ['x'], 'y', { alpha: 1.5 })), X.map((x) => (x > 0 ? x : 1.5 * Math.expm1(x / 1.5)))],
  ['Mish', of(node('Mish', ['x'], 'y')), X.map((x) => x * Math.tanh(Math.log1p(Math.exp(x))))],
  ['Gelu by tanh', of(node('Gelu', ['x'], 'y', { approximate: 'tanh' })), X.map(tanhGelu)],
  [
    'Einsum of three',
    {
      ...of(node('Einsum', ['x', 'p', 'q'], 'y', { equation: 'bij,jk,kl->bli' })),
      weights: { p: f32([3, 2], [1, 2, 3, 4, 5, 6]), q: f32([2, 2], [1, 0, 1, 2]) },
    },
    // x p is [[-3.5, -6], [18.5, 23]], and that times q [[-9.5, -12], [41.5, 46]], turned.
    [-9.5, 41.5, -12, 46],
  ],
  [
    'LayerNormalization over two axes',
    {
      ...of(node('LayerNormalization', ['x', 'scale', 'bias'], 'y', { axis: -2 })),
      weights: { scale: f32([2, 3], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), bias: f32([2, 3], [0, 0, 0, 1, 1, 1]) },
    },
    // The mean is 1 / 3, the variance 14.5 / 6 - 1 / 9, and epsilon what it is where nobody says it.
    X.map((x, i) => ((x - 1 / 3) / Math.sqrt(14.5 / 6 - 1 / 9 + 1e-5)) * 0.1 * (i + 1) + (i < 3 ? 0 : 1)),
  ],
  ['Floor', of(node('Floor', ['x'], 'y')), X.map(Math.floor)],
  ['Ceil', of(node('Ceil', ['x'], 'y')), X.map((x) => -Math.floor(-x))],
  [
    'Round to the even one of two',
    of(constant('shift', f32([], [1])), node('Add', ['x', 'shift'], 's'), node('Round', ['s'], 'y')),
    [-1, 0, 1, 2, 2, 4],
  ],
  ['a power of a number', of(constant('two', f32([], [2])), node('Pow', ['two', 'x'], 'y')), X.map((x) => 2 ** x)],
  [
    'a power of a number by whole ones',
    of(constant('half', f32([], [0.5])), node('Cast', ['x'], 'whole', { to: 7 }), node('Pow', ['half', 'whole'], 'y')),
    X.map((x) => 0.5 ** Math.trunc(x)),
  ],
  [
    'RMSNormalization',
    {
      ...of(node('RMSNormalization', ['x', 'scale'], 'y', { epsilon: 1e-6 })),
      weights: { scale: f32([3], [1, 2, 3]) },
    },
    X.map((x, i) => (x / Math.sqrt((i < 3 ? 4.25 : 10.25) / 3 + 1e-6)) * (1 + (i % 3))),
  ],
  [
    'RMSNormalization over two axes',
    {
      ...of(node('RMSNormalization', ['x', 'scale'], 'y', { axis: 1 })),
      weights: { scale: f32([2, 3], [1, 1, 1, 2, 2, 2]) },
    },
    X.map((x, i) => (x / Math.sqrt(14.5 / 6 + 1e-5)) * (i < 3 ? 1 : 2)),
  ],
  [
    'Gemm with factors and a matrix that is added',
    {
      ...of(
        constant('rows', list(1, 6)),
        node('Reshape', ['x', 'rows'], 'r'),
        node('Gemm', ['r', 'b', 'c'], 'y', { alpha: 0.5, beta: 1.5 }),
      ),
      weights: { b: f32([6, 2], [1, 0, 0, 1, 1, 1, 2, 0, 0, 2, 1, 1]), c: f32([1, 2], [10, 20]) },
    },
    [0.5 * (-2 + 1 + 3) + 15, 0.5 * (-0.5 + 2 + 3) + 30],
  ],
  ...[0, 1].map((transB): GraphCase => [
    `Gemm with one number that is added to all columns of a ${transB === 1 ? 'transposed ' : ''}matrix`,
    {
      ...of(
        constant('rows', list(1, 6)),
        node('Reshape', ['x', 'rows'], 'r'),
        node('Gemm', ['r', 'b', 'c'], 'y', { transB }),
      ),
      weights: { b: f32(transB === 1 ? [2, 6] : [6, 2], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]), c: f32([1], [10]) },
    },
    [12, 12],
  ]),
  ['CumSum', of(constant('axis', list(2)), node('CumSum', ['x', 'axis'], 'y')), [-2, -2.5, -2.5, 0.5, 1.5, 4.5]],
  [
    'CumSum of an inner axis, backwards, without the element itself',
    of(constant('axis', list(-2)), node('CumSum', ['x', 'axis'], 'y', { exclusive: 1, reverse: 1 })),
    [0.5, 1, 3, 0, 0, 0],
  ],
  [
    'CumSum of integers',
    of(
      constant('axis', list(2)),
      node('Cast', ['x'], 'whole', { to: 7 }),
      node('CumSum', ['whole', 'axis'], 'sums'),
      node('Cast', ['sums'], 'y', { to: 1 }),
    ),
    [-2, -2, -2, 0, 1, 4],
  ],
  [
    'Tile',
    of(constant('times', list(2, 1, 2)), node('Tile', ['x', 'times'], 'y')),
    [0, 1].flatMap(() => [...X.slice(0, 3), ...X.slice(0, 3), ...X.slice(3), ...X.slice(3)]),
  ],
  [
    'Tile of more samples than are written out',
    of(constant('times', list(300, 1, 1)), node('Tile', ['x', 'times'], 'y')),
    Array.from({ length: 300 }, () => X).flat(),
  ],
  [
    // In float32 the first is 3 times the second, and less than that.
    'Mod of nearly three times its divisor',
    of(
      constant('zero', f32([], [0])),
      constant('nearly', f32([], [0.11434302479028702])),
      constant('divisor', f32([], [0.03811434283852577])),
      node('Mul', ['x', 'zero'], 'zeros'),
      node('Add', ['zeros', 'nearly'], 'dividend'),
      node('Mod', ['dividend', 'divisor'], 'y', { fmod: 1 }),
    ),
    X.map(() => 0.11434302479028702 % 0.03811434283852577),
  ],
  ...[1, 2].map((p): GraphCase => [
    `LpNormalization of zeros, by p ${p}`,
    of(
      constant('zero', f32([], [0])),
      node('Mul', ['x', 'zero'], 'zeros'),
      node('LpNormalization', ['zeros'], 'y', { p }),
    ),
    X.map(() => 0),
  ]),
  ['Sign', of(node('Sign', ['x'], 's'), node('Mul', ['s', 'x'], 'y')), X.map(Math.abs)],
  [
    'Max of three',
    of(
      node('Neg', ['x'], 'n'),
      constant('one', f32([1, 2, 3], [1, 1, 1, 1, 1, 1])),
      node('Max', ['x', 'n', 'one'], 'y'),
    ),
    X.map((x) => Math.max(Math.abs(x), 1)),
  ],
  [
    'Min with a number',
    of(constant('one', f32([], [1])), node('Min', ['x', 'one'], 'y')),
    X.map((x) => Math.min(x, 1)),
  ],
  ['ReduceMin', reduced('ReduceMin', 0), [-2, 0.5]],
  ['ReduceL1', reduced('ReduceL1', 1), [2.5, 4.5]],
  ['ReduceL2', reduced('ReduceL2', 0), [Math.sqrt(4.25), Math.sqrt(10.25)]],
  ['ReduceSumSquare', reduced('ReduceSumSquare', 1), [4.25, 10.25]],
  [
    'ReduceLogSumExp',
    reduced('ReduceLogSumExp', 0),
    [X.slice(0, 3), X.slice(3)].map((row) => Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))),
  ],
  ['Not', logic('Not'), [-2, -0.5, 0, 0, 0, 0]],
  ['And', logic('And'), [0, 0, 0, 0.5, 0, 3]],
  ['Or', logic('Or'), [-2, 0, 0, 0.5, 1, 3]],
  ['Xor', logic('Xor'), [-2, 0, 0, 0, 1, 0]],
  [
    'Pad by reflection',
    of(constant('pads', list(0, 0, 2, 0, 0, 1)), node('Pad', ['x', 'pads'], 'y', { mode: 'reflect' })),
    [0, -0.5, -2, -0.5, 0, -0.5, 3, 1, 0.5, 1, 3, 1],
  ],
  [
    'Pad by the edge',
    of(constant('pads', list(0, 0, 1, 0, 0, 1)), node('Pad', ['x', 'pads'], 'y', { mode: 'edge' })),
    [-2, -2, -0.5, 0, 0, 0.5, 0.5, 1, 3, 3],
  ],
  [
    'Pad that wraps around',
    of(constant('pads', list(0, 0, 1, 0, 0, 0)), node('Pad', ['x', 'pads'], 'y', { mode: 'wrap' })),
    [0, -2, -0.5, 0, 3, 0.5, 1, 3],
  ],
  [
    'Pad that cuts',
    of(constant('pads', list(0, 0, -1, 0, 1, 0)), node('Pad', ['x', 'pads'], 'y')),
    [-0.5, 0, 1, 3, 0, 0],
  ],
  [
    'Pad that cuts and puts a number around, of operator set 9',
    {
      ...of(node('Pad', ['x'], 'y', { pads: [0, 0, -1, 0, 1, 1], value: { type: 'float', value: 7 } })),
      opset: 9,
    },
    [-0.5, 0, 7, 1, 3, 7, 7, 7, 7],
  ],
  [
    'Pad of one axis by name',
    of(constant('pads', list(1, 0)), constant('axes', list(-1)), node('Pad', ['x', 'pads', '', 'axes'], 'y')),
    [0, -2, -0.5, 0, 0, 0.5, 1, 3],
  ],
];
for (const [does, parts, expected] of cases) {
  test(`${does} is written as other nodes`, async (t) => {
    const model = imported(parts);
    for (const engine of engines) {
      const { tensors } = await runWholeGraph(model, { x: X }, engine);
      const found = Array.from(tensors[model.graph.outputs[0]!]!, Number);
      t.is(found.length, expected.length);
      t.true(distance(found, expected) <= 1e-6, `${engine.name}: ${found}`);
    }
  });
}

const PIXELS = Array.from({ length: 16 }, (_, i) => i);
const moves: readonly (readonly [
  opType: string,
  shape: readonly number[],
  mode: string,
  expected: readonly number[],
])[] = [
  ['DepthToSpace', [1, 8, 1, 2], 'CRD', [0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15]],
  ['DepthToSpace', [1, 8, 1, 2], 'DCR', [0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15]],
  ['SpaceToDepth', [1, 2, 2, 4], '', [0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15]],
];
for (const [opType, shape, mode, expected] of moves) {
  test(`${opType} ${mode} moves blocks`, async (t) => {
    const attributes = { blocksize: 2, ...(mode === '' ? {} : { mode }) };
    const model = imported({ inputs: { x: shape }, nodes: [node(opType, ['x'], 'y', attributes)] });
    for (const engine of engines) {
      const { tensors } = await runWholeGraph(model, { x: PIXELS }, engine);
      t.deepEqual(Array.from(tensors[model.graph.outputs[0]!]!, Number), [...expected]);
    }
  });
}

test('the norm of nothing but zeros has a gradient of zeros', async (t) => {
  const model = imported(reduced('ReduceL2', 0));
  for (const engine of engines) {
    const { backward } = await runWholeGraph(model, { x: [0, 0, 0, 3, 0, 4] }, engine);
    const gradient = (await backward([1, 1]))[model.graph.inputs[0]!]!;
    t.true(distance(Array.from(gradient), [0, 0, 0, 0.6, 0, 0.8]) <= 1e-6, gradient.join());
  }
});

const NUMBERS = [
  constant('one', list(1)),
  constant('two', list(2)),
  constant('far', list(3)),
  constant('farther', list(4)),
  constant('ones', list(1, 1)),
];

const refused: readonly (readonly [GraphParts, RegExp])[] = [
  [of(constant('pads', list(1, 0, 0, 0, 0, 0)), node('Pad', ['x', 'pads'], 'y')), /expected 0 for the samples/],
  [
    { ...of(node('LayerNormalization', ['x', 'w'], 'y', { axis: -2 })), weights: { w: f32([3], [1, 1, 1]) } },
    /over axes of \[2,3\] has a scale or bias of \[3\]; expected \[2,3\]/,
  ],
  [
    { ...of(node('LayerNormalization', ['x', 'w'], 'y', { axis: 0 })), weights: { w: f32([1, 2, 3], X) } },
    /has axis 0 for shape \[1,2,3\]; expected one behind the samples/,
  ],
  [of(node('CumSum', ['x', 'x'], 'y')), /CumSum has an axis that is computed; expected a constant/],
  [
    of(constant('axis', list(0)), node('CumSum', ['x', 'axis'], 'y')),
    /CumSum has axis 0 for shape \[1,2,3\]; expected one behind the samples, of at most 2048/,
  ],
  [of(node('Pad', ['x', 'x'], 'y')), /has pads that are computed; expected constants/],
  [padded('mirror'), /mode mirror; expected constant or one of edge, reflect, wrap/],
  [of(node('DepthToSpace', ['x'], 'y', { blocksize: 2 })), /blocks of 2 for shape \[1,2,3\]; expected \[N, C, H, W\]/],
  [
    { inputs: { x: [1, 3, 2, 2] }, nodes: [node('DepthToSpace', ['x'], 'y', { blocksize: 2 })] },
    /blocks of 2 x 2 for 3 channels; expected a multiple/,
  ],
  ...[
    node('Concat', ['x', 'x'], 'y', { axis: 3 }),
    node('Softmax', ['x'], 'y', { axis: -4 }),
    node('Gather', ['x', 'far'], 'y', { axis: 3 }),
    node('Split', ['x'], 'y', { axis: 3 }),
    node('Squeeze', ['x', 'far'], 'y'),
    node('Unsqueeze', ['x', 'farther'], 'y'),
    node('Slice', ['x', 'one', 'two', 'far'], 'y'),
    node('ReduceSum', ['x', 'far'], 'y'),
    node('CumSum', ['x', 'far'], 'y'),
    node('Pad', ['x', 'ones', '', 'far'], 'y'),
    node('LayerNormalization', ['x', 'w'], 'y', { axis: 3 }),
  ].map((each): readonly [GraphParts, RegExp] => [
    { ...of(...NUMBERS, each), weights: { w: f32([3], [1, 1, 1]) } },
    new RegExp(`${each.opType} has axis (3|-4|4) of a tensor with (3|4); expected one from -(3|4) to (2|3)`),
  ]),
  [
    of(constant('twice', list(1, -2)), node('ReduceSum', ['x', 'twice'], 'y')),
    /ReduceSum has axes \[1,-2\] of a tensor with 3; expected each once/,
  ],
  [of(node('Tile', ['x', 'x'], 'y')), /Tile has repeats that are computed; expected constants/],
  [
    of(constant('times', list(1, 2)), node('Tile', ['x', 'times'], 'y')),
    /Tile repeats \[1,2\] of shape \[1,2,3\]; expected a positive number for each axis/,
  ],
  [
    of(constant('times', list(1, 50, 6)), node('Tile', ['x', 'times'], 'y')),
    /Tile repeats \[1,50,6\]; expected at most 256 copies behind the first axis/,
  ],
  [
    of(constant('at', i64([1, 4], [0, 0, 0, 0])), node('GatherND', ['x', 'at'], 'y')),
    /GatherND has indices of shape \[1,4\] for data of \[1,2,3\]; expected the first 0 extents alike, and a last one from 1 to 3/,
  ],
  [
    of(constant('at', i64([2, 1], [0, 0])), node('GatherND', ['x', 'at'], 'y', { batch_dims: 1 })),
    /GatherND has indices of shape \[2,1\] .*; expected the first 1 extents alike, and a last one from 1 to 2/,
  ],
  [
    of(constant('at', i64([1, 2], [0, 2])), node('GatherND', ['x', 'at'], 'y')),
    /GatherND has indices beyond the data; expected some within \[1,2\]/,
  ],
  [
    of(constant('at', i64([1, 2], [0, 1])), node('ScatterND', ['x', 'at', 'x'], 'y')),
    /ScatterND has updates of shape \[1,2,3\]; expected \[1,3\]/,
  ],
  [
    of(constant('at', i64([1, 1], [0])), node('ScatterND', ['x', 'at', 'x'], 'y', { reduction: 'max' })),
    /ScatterElements has reduction 'max'; expected none or add/,
  ],
  [of(node('OneHot', ['x', 'x', 'x'], 'y')), /OneHot has a depth, or values, that are computed; expected constants/],
  [of(node('Trilu', ['x', 'x'], 'y')), /Trilu has a diagonal that is computed; expected a constant/],
  [
    { nodes: [node('Trilu', ['x'], 'y')], inputs: { x: [4] } },
    /Trilu has shape \[4\]; expected \[..., rows, columns\]/,
  ],
  [of(node('Mod', ['x', 'x'], 'y')), /Mod of floats has fmod 0; expected 1/],
  [of(node('LpNormalization', ['x'], 'y', { p: 3 })), /LpNormalization has p 3; expected 1 or 2/],
  [
    { ...of(node('Hardmax', ['x'], 'y')), opset: 12 },
    /Hardmax of operator set 12 has axis 1 of \[1,2,3\], and so all axes after it; expected the last/,
  ],
  [of(node('ArgMax', ['x'], 'y', { axis: 3 })), /ArgMax has axis 3 of a tensor with 3; expected one from -3 to 2/],
];
for (const [parts, expected] of refused) {
  test(`a node is refused: ${expected}`, (t) => t.regex(problemsOf(parts).join('\n'), expected));
}
