import test from 'ava';
import { bool, f32, float, list } from '../support/kernel-graphs.ts';
import { inputGradients } from '../../soap/graph/input-gradients.ts';
import type { GraphParts } from '../support/onnx-graphs.ts';
import { constant, imported, node, opLines } from '../support/onnx-graphs.ts';
import type { OnnxNode } from '../../soap/onnx/model.ts';

const scalar = (name: string, value: number): OnnxNode => constant(name, f32([], [value]));
const X = { x: [2, 4, 6] };

/** x W^T + b, as nn.Linear is exported. */
const LINEAR: GraphParts = {
  inputs: X,
  weights: { w: [5, 6], b: [5] },
  nodes: [
    node('Transpose', ['w'], 't', { perm: [1, 0] }),
    node('MatMul', ['x', 't'], 'p'),
    node('Add', ['b', 'p'], 'y'),
  ],
};

/** The nodes of a layer norm up to operator set 16. */
const LAYER_NORM: readonly OnnxNode[] = [
  node('ReduceMean', ['x'], 'mean', { axes: [-1] }),
  node('Sub', ['x', 'mean'], 'd'),
  scalar('two', 2),
  node('Pow', ['d', 'two'], 'squares'),
  node('ReduceMean', ['squares'], 'variance', { axes: [-1] }),
  scalar('epsilon', 2 ** -10),
  node('Add', ['variance', 'epsilon'], 'sum'),
  node('Sqrt', ['sum'], 'root'),
  node('Div', ['d', 'root'], 'n'),
  node('Mul', ['n', 'w'], 'scaled'),
  node('Add', ['scaled', 'b'], 'y'),
];

/** 1 + erf(x / sqrt 2) */
const ERF: readonly OnnxNode[] = [
  scalar('root', Math.SQRT2),
  scalar('one', 1),
  scalar('half', 0.5),
  node('Div', ['x', 'root'], 'q'),
  node('Erf', ['q'], 'e'),
  node('Add', ['e', 'one'], 's'),
];

/** Attention of x on itself in two heads of 3: scores are scaled and masked by `between`, from `scores` to `visible`. */
function attention(between: readonly OnnxNode[], { q = 'qh', k = 'kt' } = {}): GraphParts {
  return {
    inputs: X,
    nodes: [
      constant('cut', list(2, 4, 2, 3)),
      node('Reshape', ['x', 'cut'], 'r'),
      node('Transpose', ['r'], 'qh', { perm: [0, 2, 1, 3] }),
      node('Transpose', ['r'], 'kt', { perm: [0, 2, 3, 1] }),
      node('Transpose', ['r'], 'vh', { perm: [0, 2, 1, 3] }),
      scalar('root', Math.sqrt(3)),
      scalar('fourth', 3 ** -0.25),
      constant('lower', bool([4, 4], mask(1, 0))),
      scalar('minus', -1e9),
      constant('mask', f32([4, 4], mask(0, -1e9))),
      constant('other', f32([4, 4], mask(-1e9, 0))),
      node('Mul', ['qh', 'fourth'], 'qs'),
      node('Mul', ['fourth', 'kt'], 'ks'),
      node('MatMul', [q, k], 'scores'),
      ...between,
      node('Softmax', ['visible'], 'p'),
      node('MatMul', ['p', 'vh'], 'o'),
      node('Transpose', ['o'], 'back', { perm: [0, 2, 1, 3] }),
      constant('join', list(2, 4, 6)),
      node('Reshape', ['back', 'join'], 'y'),
    ],
  };
}

function mask(seen: number, hidden: number): number[] {
  return Array.from({ length: 16 }, (_, i) => (i % 4 > Math.floor(i / 4) ? hidden : seen));
}

const scaled = node('Div', ['scores', 'root'], 'scaled');
const fused: [does: string, parts: GraphParts, expected: string[]][] = [
  ['a linear layer with a transposed weight', LINEAR, ['linear {"transposed":true} x w b']],
  [
    'a linear layer with a weight as it is, without bias',
    { inputs: X, weights: { w: [6, 5] }, nodes: [node('MatMul', ['x', 'w'], 'y')] },
    ['linear {"transposed":false} x w'],
  ],
  [
    'a layer norm of operator set 9',
    { inputs: X, weights: { w: [6], b: [6] }, nodes: LAYER_NORM, opset: 9 },
    ['layerNorm {"epsilon":0.0009765625} x w b'],
  ],
  [
    'a layer norm that multiplies for its squares',
    {
      inputs: X,
      weights: { w: [6], b: [6] },
      nodes: LAYER_NORM.map((each) => (each.opType === 'Pow' ? node('Mul', ['d', 'd'], 'squares') : each)),
    },
    ['layerNorm {"epsilon":0.0009765625} x w b'],
  ],
  [
    'a GELU that halves at the end',
    { nodes: [...ERF, node('Mul', ['x', 's'], 'p'), node('Mul', ['p', 'half'], 'y')] },
    ['gelu {} x'],
  ],
  [
    'a GELU that halves x',
    { nodes: [...ERF, node('Mul', ['half', 'x'], 'h'), node('Mul', ['s', 'h'], 'y')] },
    ['gelu {} x'],
  ],
  [
    'a GELU that halves 1 + erf',
    { nodes: [...ERF, node('Mul', ['s', 'half'], 'h'), node('Mul', ['x', 'h'], 'y')] },
    ['gelu {} x'],
  ],
  ['a SiLU', { nodes: [node('Sigmoid', ['x'], 's'), node('Mul', ['x', 's'], 'y')] }, ['silu {} x']],
  [
    'attention',
    attention([node('Identity', ['scaled'], 'visible')].toSpliced(0, 0, scaled)),
    ['attention {"heads":2,"causal":false} x x x'],
  ],
  [
    'attention with a mask that is added',
    attention([scaled, node('Add', ['scaled', 'mask'], 'visible')]),
    ['attention {"heads":2,"causal":true} x x x'],
  ],
  [
    'attention with a mask that chooses',
    attention([scaled, node('Where', ['lower', 'scaled', 'minus'], 'visible')]),
    ['attention {"heads":2,"causal":true} x x x'],
  ],
  [
    'attention that scales q and k',
    attention([node('Add', ['scores', 'mask'], 'visible')], { q: 'qs', k: 'ks' }),
    ['attention {"heads":2,"causal":true} x x x'],
  ],
];
for (const [does, parts, expected] of fused) {
  test(`${does} becomes one op`, (t) => t.deepEqual(opLines(imported(parts)), expected));
}

const kindsOf = (parts: GraphParts): string[] => imported(parts).graph.ops.map(({ kind }) => kind);
const unfused: [does: string, parts: GraphParts, without: string][] = [
  ['a scale of its own', attention([node('Identity', ['scores'], 'visible')]), 'attention'],
  ['a mask that is not causal', attention([scaled, node('Add', ['scaled', 'other'], 'visible')]), 'attention'],
  [
    'erf of another argument',
    { nodes: [...ERF, node('Mul', ['s', 's'], 'p'), node('Mul', ['p', 'half'], 'y')] },
    'gelu',
  ],
  ['a factor other than a half', { nodes: [...ERF, node('Mul', ['x', 's'], 'y')] }, 'gelu'],
  [
    'a sigmoid of another value',
    { inputs: { x: [2, 4], z: [2, 4] }, nodes: [node('Sigmoid', ['z'], 's'), node('Mul', ['x', 's'], 'y')] },
    'silu',
  ],
  [
    'a deviation from another mean',
    {
      inputs: { ...X, z: [2, 4, 6] },
      weights: { w: [6], b: [6] },
      nodes: LAYER_NORM.with(0, node('ReduceMean', ['z'], 'mean', { axes: [-1] })),
    },
    'layerNorm',
  ],
];
for (const [does, parts, without] of unfused) {
  test(`${does} is no ${without}`, (t) => t.false(kindsOf(parts).includes(without)));
}

test('a product that something else reads too keeps its place before the bias', (t) => {
  const nodes = [...LINEAR.nodes.slice(0, 2), node('Add', ['b', 'p'], 'a'), node('Mul', ['a', 'p'], 'y')];
  t.deepEqual(kindsOf({ ...LINEAR, nodes }), ['linear', 'add', 'mul']);
});

test('a weight that two layers share stays one parameter, an Identity of it is another', (t) => {
  const weights = { w: [6, 6] };
  const layers = (second: string): GraphParts => ({
    inputs: X,
    weights,
    nodes: [node('Identity', ['w'], 'v'), node('MatMul', ['x', 'w'], 'a'), node('MatMul', ['a', second], 'y')],
  });
  t.deepEqual([...imported(layers('w')).weights.keys()], ['w']);
  const { weights: two } = imported(layers('v'));
  t.deepEqual([...two.keys()].toSorted(), ['v', 'w']);
  t.deepEqual(two.get('v'), two.get('w'));
});

test('a choice by whole numbers needs no cast to booleans, one by floats keeps it: gradients stop there', (t) => {
  const chosen = (by: string): GraphParts => ({
    weights: { w: [6] },
    nodes: [
      node('Mul', ['x', 'w'], 'float'),
      node('Cast', ['x'], 'whole', { to: 7 }),
      node('Cast', [by], 'condition', { to: 9 }),
      node('Where', ['condition', 'float', 'x'], 'y'),
    ],
  });
  t.deepEqual(kindsOf(chosen('whole')), ['mul', 'cast', 'where']);
  t.deepEqual(kindsOf(chosen('float')), ['mul', 'cast', 'where']);
  const { graph } = imported(chosen('float'));
  t.deepEqual(inputGradients(graph), [[false, true], [false], [false, true, false]]);
});

test('what no output needs is left out, with its weights', (t) => {
  const { graph, weights } = imported({
    weights: { w: [6, 6] },
    nodes: [node('MatMul', ['x', 'w'], 'unread'), node('Relu', ['x'], 'y')],
  });
  t.deepEqual(
    graph.tensors.map(({ name }) => name),
    ['x', 'y'],
  );
  t.is(weights.size, 0);
});

test('LayerNormalization reads epsilon and stays one op', (t) => {
  const nodes = [node('LayerNormalization', ['x', 'w'], 'y', { epsilon: float(0.5) })];
  t.deepEqual(opLines(imported({ inputs: X, weights: { w: [6] }, nodes })), ['layerNorm {"epsilon":0.5} x w']);
});
