import test from 'ava';
import { GraphBuilder } from '../../soap/training/builder.ts';
import type { Attributes, Shape } from '../../soap/graph/graph.ts';
import { OpError } from '../../soap/ops/op.ts';
import { bool, f32, float, i64, list } from '../support/kernel-graphs.ts';
import type { GraphParts } from '../support/onnx-graphs.ts';
import { constant, imported, node, opLines, problemsOf } from '../support/onnx-graphs.ts';

const refused: [kind: string, inputs: readonly Shape[], attributes: Attributes, message: RegExp][] = [
  [
    'linear',
    [
      [4, 6],
      [5, 7],
    ],
    { transposed: true },
    /width 6; its weight expects 7/,
  ],
  ['linear', [[6], [5, 6]], { transposed: true }, /shapes \[6\] and \[5,6\]; expected two matrices/],
  ['linear', [[4, 6], [5, 6], [4]], { transposed: true }, /bias of 4; its weight gives 5 channels/],
  [
    'matmul',
    [
      [2, 3, 4],
      [3, 4, 5],
    ],
    {},
    /\[2,3,4\] and \[3,4,5\]; expected \[..., M, K\] and \[..., K, N\]/,
  ],
  ['matmul', [[4], [4, 5]], {}, /expected \[..., M, K\]/],
  [
    'add',
    [
      [4, 6],
      [4, 5],
    ],
    {},
    /\[4,6\] and \[4,5\]; expected extents that are equal or 1/,
  ],
  ['mul', [[4, 6]], {}, /1 inputs; expected 2/],
  [
    'mul',
    [
      [4, 6],
      [4, 6],
    ],
    { scalar: 2 },
    /2 inputs; expected 1/,
  ],
  ['layerNorm', [[4, 6], [5]], { epsilon: 1e-5 }, /\[4,6\] and \[5\]; expected \[N, ..., W\] and \[W\]/],
  ['layerNorm', [[4, 6], [6], [5]], { epsilon: 1e-5 }, /\[4,6\] and \[5\]/],
  ['softmax', [[4, 6]], { axis: 2 }, /axis 2; its input has shape \[4,6\]/],
  ['embedding', [[4, 6], [5]], {}, /\[4,6\] and \[5\]; expected \[N, ...\] and \[V, W\]/],
  [
    'embedding',
    [
      [4, 6],
      [5, 2],
    ],
    { start: 4, steps: 3 },
    /tokens 4 to 7 of 6; expected some within/,
  ],
  ['transpose', [[4, 6]], { perm: [0, 2] }, /perm \[0,2\]; its input of shape \[4,6\] has axes 0 to 1/],
  ['reshape', [[4, 6]], { shape: [5, 5] }, /\[5,5\] of shape \[4,6\]; expected as many elements/],
  [
    'slice',
    [[4, 6]],
    { starts: [0], ends: [2], axes: [2] },
    /axes \[2\].*shape \[4,6\]; expected lists of equal length/,
  ],
  ['slice', [[4, 6]], { starts: [3], ends: [3], axes: [1] }, /\[3:3:1\] of an axis of 6; expected some elements/],
  ['slice', [[4, 6]], { starts: [0], ends: [3], axes: [1], steps: [0] }, /\[0:3:0\]/],
  [
    'gather',
    [[4, 6]],
    { axis: 1, indices: [6], indicesShape: [1] },
    /\[6\] of axis 1 of \[4,6\]; expected indices from 0 to 5/,
  ],
  ['topK', [[4, 6]], { axis: 1, k: 7, largest: true }, /takes 7 of axis 1 of \[4,6\]; expected 1 to 6/],
  ['topK', [[4, 6]], { axis: 2, k: 1, largest: true }, /along axis 2 of \[4,6\]; expected one of its axes/],
  [
    'gatherElements',
    [
      [4, 6],
      [5, 2],
    ],
    { axis: 1 },
    /indices \[5,2\] along axis 1 of \[4,6\]; expected as many axes, and no more along the others/,
  ],
  [
    'scatterElements',
    [
      [4, 6],
      [4, 2],
      [4, 3],
    ],
    { axis: 1, adds: false },
    /indices \[4,2\] and updates \[4,3\]; expected equal shapes/,
  ],
  ['constant', [], { shape: [2, 2], values: [1, 2, 3] }, /3 values; expected 1 or 4/],
  ['where', [[4], [3], [4]], {}, /\[4\] and \[3\] and \[4\]; expected extents/],
  ['expand', [[4, 3]], { shape: [4, 6] }, /\[4,6\] of shape \[4,3\]/],
  ['reduceMean', [[4, 6]], { axes: [2], keepDims: true }, /axes \[2\]; its input of shape \[4,6\] has 0 to 1/],
  [
    'attention',
    [
      [2, 4, 6],
      [2, 4, 6],
      [2, 4, 6],
    ],
    { heads: 4, causal: true },
    /4 heads for widths 6 and 6/,
  ],
  [
    'attention',
    [
      [2, 4, 6],
      [2, 4, 4],
      [2, 4, 6],
    ],
    { heads: 2, causal: true },
    /expected equal samples/,
  ],
];
for (const [kind, shapes, attributes, message] of refused) {
  test(`${kind} of ${shapes.map((shape) => `[${shape}]`).join(', ')} ${JSON.stringify(attributes)} is refused`, (t) => {
    const builder = new GraphBuilder();
    const inputs = shapes.map((shape, i) => builder.input(`x${i}`, shape));
    t.throws(() => builder.op(kind, 'op', inputs, attributes), { instanceOf: OpError, message });
  });
}

const half = f32([], [0.5]);
const cube = { x: [2, 3, 4] };
const imports: [does: string, parts: GraphParts, expected: string[]][] = [
  ['a number on the right', { nodes: [constant('c', half), node('Mul', ['x', 'c'], 'y')] }, ['mul {"scalar":0.5} x']],
  [
    'a number on the left',
    { nodes: [constant('c', half), node('Sub', ['c', 'x'], 'y')] },
    ['sub {"scalar":0.5,"scalarFirst":true} x'],
  ],
  ['a weight of one number', { nodes: [node('Mul', ['x', 'w'], 'y')], weights: { w: half } }, ['mul {} x w']],
  [
    'a number that the exporter folded',
    { nodes: [node('Mul', ['x', 'onnx::Mul_7'], 'y')], weights: { 'onnx::Mul_7': half } },
    ['mul {"scalar":0.5} x'],
  ],
  [
    'a number that torch.export folded',
    { nodes: [node('Mul', ['x', 'val_89'], 'y')], weights: { val_89: f32([1], [0.5]) } },
    ['mul {"scalar":0.5} x'],
  ],
  [
    'a causal mask as torch.export writes it',
    {
      nodes: [
        constant('shape', i64([2], [3, 4])),
        node('Expand', ['val_68', 'shape'], 'ones'),
        node('Trilu', ['ones'], 'triangle', { upper: 0 }),
        node('Add', ['x', 'triangle'], 'y'),
      ],
      inputs: cube,
      weights: { val_68: f32([], [1]) },
    },
    ['constant {"dtype":"float32","shape":[3,4],"values":[1,0,0,0,1,1,0,0,1,1,1,0]}', 'add {} x triangle'],
  ],
  [
    'a table that is no weight',
    { nodes: [constant('c', f32([6], [1, 2, 3, 4, 5, 6])), node('Add', ['x', 'c'], 'y')] },
    ['constant {"dtype":"float32","shape":[6],"values":[1,2,3,4,5,6]}', 'add {} x c'],
  ],
  [
    'a mask among the weights',
    { nodes: [node('Add', ['x', 'm'], 'y')], weights: { m: f32([6], [0, 0, 0, 0, 0, -1e9]) } },
    ['constant {"dtype":"float32","shape":[6],"values":[0,0,0,0,0,-1000000000]}', 'add {} x m'],
  ],
  [
    'a condition that is constant',
    { nodes: [constant('c', bool([6], [1, 1, 0, 0, 1, 1])), constant('z', half), node('Where', ['c', 'x', 'z'], 'y')] },
    [
      'constant {"dtype":"int64","shape":[6],"values":[1,1,0,0,1,1]}',
      'constant {"dtype":"float32","shape":[],"values":[0.5]}',
      'where {} c x z',
    ],
  ],
  [
    'Clip with bounds as attributes',
    { nodes: [node('Clip', ['x'], 'y', { min: float(0), max: float(6) })], opset: 9 },
    ['clip {"min":0,"max":6} x'],
  ],
  [
    'Clip with one bound as an input',
    { nodes: [constant('c', half), node('Clip', ['x', '', 'c'], 'y')] },
    ['clip {"min":-3.4028234663852886e+38,"max":0.5} x'],
  ],
  ['Pow', { nodes: [constant('c', half), node('Pow', ['x', 'c'], 'y')] }, ['pow {"exponent":0.5} x']],
  ['Gelu of operator set 20', { nodes: [node('Gelu', ['x'], 'y')], opset: 20 }, ['gelu {} x']],
  ['LeakyRelu without alpha', { nodes: [node('LeakyRelu', ['x'], 'y')] }, ['leakyRelu {"alpha":0.01} x']],
  ['Softmax of the last axis', { nodes: [node('Softmax', ['x'], 'y')], inputs: cube }, ['softmax {"axis":2} x']],
  [
    'Softmax of operator set 9 with the axis it means by default',
    { nodes: [node('Softmax', ['x'], 'y')], opset: 9 },
    ['softmax {"axis":1} x'],
  ],
  [
    'ReduceSum with axes as an input',
    { nodes: [constant('a', list(-1)), node('ReduceSum', ['x', 'a'], 'y', { keepdims: 0 })] },
    ['reduceSum {"axes":[1],"keepDims":false} x'],
  ],
  [
    'ReduceMean with axes as an attribute',
    { nodes: [node('ReduceMean', ['x'], 'y', { axes: [-1, 1] })], inputs: cube },
    ['reduceMean {"axes":[1,2],"keepDims":true} x'],
  ],
  [
    'Slice of operator set 9',
    { nodes: [node('Slice', ['x'], 'y', { starts: [-4], ends: [100], axes: [1] })], opset: 9 },
    ['slice {"starts":[2],"ends":[6],"axes":[1],"steps":[1]} x'],
  ],
  [
    'Slice backwards',
    {
      nodes: [
        ...['s', 'e', 'a', 'p'].map((name, i) => constant(name, list([-1, -100, -1, -2][i]!))),
        node('Slice', ['x', 's', 'e', 'a', 'p'], 'y'),
      ],
    },
    ['slice {"starts":[5],"ends":[0],"axes":[1],"steps":[-2]} x'],
  ],
  [
    'Split into extents',
    {
      nodes: [
        node('Split', ['x'], ['a', 'b'], { axis: -1, split: [2, 4] }),
        node('Concat', ['b', 'a'], 'y', { axis: 1 }),
      ],
      opset: 9,
    },
    [
      'slice {"starts":[0],"ends":[2],"axes":[1],"steps":[1]} x',
      'slice {"starts":[2],"ends":[6],"axes":[1],"steps":[1]} x',
      'concat {"axis":1} a:1 a:0',
    ],
  ],
  [
    'Unsqueeze and Squeeze of operator set 9',
    {
      nodes: [node('Unsqueeze', ['x'], 'a', { axes: [-1, 0] }), node('Squeeze', ['a'], 'y', { axes: [0] })],
      opset: 9,
    },
    ['reshape {"shape":[1,4,6,1]} x', 'reshape {"shape":[4,6,1]} a'],
  ],
  [
    'Gather of a constant index from the end',
    { nodes: [constant('i', i64([], [-1])), node('Gather', ['x', 'i'], 'y', { axis: 1 })] },
    ['gather {"axis":1,"indices":[5],"indicesShape":[]} x'],
  ],
  [
    'Gather of tokens from a table',
    { nodes: [node('Gather', ['w', 'x'], 'y')], integers: ['x'], weights: { w: [9, 2] } },
    ['embedding {} x w'],
  ],
  [
    'Gather of some tokens from a table',
    {
      nodes: [node('Slice', ['x'], 'a', { starts: [1], ends: [3], axes: [1] }), node('Gather', ['w', 'a'], 'y')],
      integers: ['x'],
      weights: { w: [9, 2] },
      opset: 9,
    },
    ['embedding {"start":1,"steps":2} x w'],
  ],
  ['LogSoftmax', { nodes: [node('LogSoftmax', ['x'], 'y')] }, ['logSoftmax {"axis":1} x']],
  [
    'ReduceMax of all axes',
    { nodes: [node('ReduceMax', ['x'], 'y', { axes: [1], keepdims: 0 })] },
    ['reduceMax {"axes":[1],"keepDims":false} x'],
  ],
  [
    'a comparison with a number',
    { nodes: [constant('c', half), node('Less', ['x', 'c'], 'a'), node('Where', ['a', 'c', 'x'], 'y')] },
    ['less {"scalar":0.5} x', 'constant {"dtype":"float32","shape":[],"values":[0.5]}', 'where {} a c x'],
  ],
  ['Tile', { nodes: [constant('r', list(1, 3)), node('Tile', ['x', 'r'], 'y')] }, ['concat {"axis":1} x x x']],
  [
    'Einsum of scores',
    { nodes: [node('Einsum', ['x', 'x'], 'y', { equation: 'bid,bjd->bij' })], inputs: cube },
    ['transpose {"perm":[0,2,1]} x', 'matmul {} x y:0'],
  ],
  [
    'Einsum of heads and a layer that takes them together',
    {
      nodes: [node('Einsum', ['x', 'w'], 'y', { equation: 'bhd,hde->be' })],
      inputs: cube,
      weights: { w: [3, 4, 5] },
    },
    ['flatten {} x', 'reshape {"shape":[12,5]} w', 'matmul {} y:1 y:3'],
  ],
  [
    'Einsum with the samples in the second operand',
    { nodes: [node('Einsum', ['w', 'x'], 'y', { equation: 'ij,bj->bi' })], weights: { w: [5, 6] } },
    ['linear {"transposed":true} x w'],
  ],
  [
    'Expand to the batch',
    {
      nodes: [constant('s', list(4, 1, 6)), node('Expand', ['w', 's'], 'a'), node('Add', ['a', 'x'], 'y')],
      inputs: { x: [4, 1, 6] },
      weights: { w: [1, 1, 6] },
    },
    ['expand {"shape":[4,1,6]} w', 'add {} a x'],
  ],
];
for (const [does, parts, expected] of imports) {
  test(`import reads ${does}`, (t) => t.deepEqual(opLines(imported(parts)), expected));
}

const problems: [does: string, parts: GraphParts, message: RegExp][] = [
  [
    'Softmax over all the rest',
    { nodes: [node('Softmax', ['x'], 'y', { axis: 1 })], inputs: cube, opset: 11 },
    /operator set 11 has axis 1 of \[2,3,4\].*expected the last/,
  ],
  [
    'a Gelu of another form',
    { nodes: [node('Gelu', ['x'], 'y', { approximate: 'sigmoid' })] },
    /approximate sigmoid; expected none, the exact form, or tanh/,
  ],
  ['a computed exponent', { nodes: [node('Pow', ['x', 'x'], 'y')] }, /Pow has an exponent that is computed/],
  [
    'exponents of their own',
    { nodes: [constant('c', f32([6], [1, 2, 3, 4, 5, 6])), node('Pow', ['x', 'c'], 'y')] },
    /Pow has an exponent of shape \[6\]; expected one constant number/,
  ],
  ['a computed bound', { nodes: [node('Clip', ['x', 'x'], 'y')] }, /Clip has a bound 'min' that is computed/],
  ['computed axes', { nodes: [node('ReduceSum', ['x', 'x'], 'y')] }, /ReduceSum has axes that are computed/],
  ['a computed shape', { nodes: [node('Reshape', ['x', 'x'], 'y')] }, /Reshape has a shape that is computed/],
  ['computed bounds', { nodes: [node('Slice', ['x', 'x', 'x'], 'y')] }, /Slice has bounds that are computed/],
  ['computed extents', { nodes: [node('Expand', ['x', 'x'], 'y')] }, /Expand has a shape that is computed/],
  [
    'computed indices of computed values',
    { nodes: [node('Gather', ['x', 'x'], 'y')] },
    /computed indices of computed values/,
  ],
  [
    'computed indices of an inner axis',
    { nodes: [node('Gather', ['w', 'x'], 'y', { axis: 1 })], integers: ['x'], weights: { w: [4, 4] } },
    /computed indices of axis 1 of a weight; expected axis 0/,
  ],
  [
    'a Split that does not add up',
    { nodes: [node('Split', ['x'], ['a', 'y'], { axis: 1, split: [2, 2] })], opset: 9 },
    /axis of 6 into \[2,2\]; expected 2 that add up/,
  ],
  ['a Cast to a string', { nodes: [node('Cast', ['x'], 'y', { to: 8 })] }, /Cast is to a type unknown here/],
];
for (const [does, parts, message] of problems) {
  test(`import refuses ${does}`, (t) => {
    const found = problemsOf(parts);
    t.is(found.length, 1);
    t.regex(found[0]!, message);
  });
}

test('outputs of ops that only move elements have the type of what they move', (t) => {
  const { graph } = imported({
    nodes: [
      node('Transpose', ['x'], 'a'),
      constant('i', i64([], [1])),
      node('Gather', ['a', 'i'], 'b', { axis: 1 }),
      node('Cast', ['b'], 'y', { to: 1 }),
    ],
    integers: ['x'],
  });
  t.deepEqual(
    graph.ops.map(({ kind, outputs }) => `${kind} ${graph.tensors[outputs[0]!]!.dtype}`),
    ['transpose int64', 'gather int64', 'cast float32'],
  );
});
