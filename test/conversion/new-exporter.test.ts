import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { importOnnx, importUnfused } from '../../soap/conversion/import.ts';
import type { Model } from '../../soap/graph/graph.ts';
import type { OnnxNode, OnnxTensor } from '../../soap/onnx/model.ts';
import { bool, f32, filled, i64, list } from '../support/kernel-graphs.ts';
import { distance } from '../support/op-checks.ts';
import type { GraphParts } from '../support/onnx-graphs.ts';
import { constant, graphOf, imported, node, opLines, problemsOf } from '../support/onnx-graphs.ts';
import { runWholeGraph } from '../support/whole-graph.ts';

// Nodes as torch.onnx.export of PyTorch 2.13 writes them with `dynamo=True` and onnxscript 0.7.2, optimized and not.

/** Samples, steps, heads, width of a head, width. */
const [N, T, H, D, W] = [2, 4, 2, 3, 6];
const MINUS = -Infinity;
const SCALE_ROOT = f32([1], [D ** -0.25]);
const X = { x: [N, T, W] };
const WEIGHTS = { in: [W, 3 * W], inBias: [3 * W], out: [W, W], outBias: [W] };

const seen = (value: number, hidden: number): number[] =>
  Array.from({ length: T * T }, (_, i) => (i % T > Math.floor(i / T) ? hidden : value));

/** scaled_dot_product_attention of q, k and v, [N, H, T, D], as `y4`: scores [N, H, T, T] become `p` by `visible`. */
function dotProduct(
  visible: readonly OnnxNode[],
  scales: readonly OnnxNode[] = [constant('root', SCALE_ROOT)],
): OnnxNode[] {
  return [
    ...scales,
    constant('rows', list(-1, T, D)),
    node('Reshape', ['k', 'rows'], 'kRows'),
    node('Transpose', ['kRows'], 'kTurned', { perm: [0, 2, 1] }),
    constant('turned', list(-1, H, D, T)),
    node('Reshape', ['kTurned', 'turned'], 'kt'),
    node('Mul', ['q', 'root'], 'qScaled'),
    node('Mul', ['kt', 'root'], 'kScaled'),
    node('MatMul', ['qScaled', 'kScaled'], 'scores'),
    ...visible,
    node('MatMul', ['p', 'v'], 'y4'),
  ];
}

const NO_MASK = [node('Softmax', ['scores'], 'p', { axis: -1 })];

/** The mask of is_causal=True: ones, their lower triangle, and what is 0 in it hidden. */
const IS_CAUSAL = [
  constant('one', f32([], [1])),
  constant('square', list(T, T)),
  node('Expand', ['one', 'square'], 'ones'),
  node('Trilu', ['ones'], 'lower', { upper: 0 }),
  constant('zero', f32([], [0])),
  node('Equal', ['lower', 'zero'], 'hidden'),
  constant('minus', f32([], [MINUS])),
  node('Where', ['hidden', 'minus', 'zero'], 'mask'),
  node('Add', ['scores', 'mask'], 'visible'),
  node('Softmax', ['visible'], 'p', { axis: -1 }),
];

/** A mask of booleans, and 0 for what is not a number behind the softmax. */
const BOOLEANS = [
  constant('lower', bool([T, T], seen(1, 0))),
  constant('zero', f32([], [0])),
  constant('least', f32([], [-3.4028234663852886e38])),
  node('Where', ['lower', 'zero', 'least'], 'mask'),
  node('Add', ['scores', 'mask'], 'visible'),
  node('Softmax', ['visible'], 'shares', { axis: -1 }),
  node('IsNaN', ['shares'], 'none'),
  node('Where', ['none', 'zero', 'shares'], 'p'),
];

const added = (mask: readonly number[], shape: readonly number[] = [1, 1, T, T]): OnnxNode[] => [
  constant('mask', f32(shape, mask)),
  node('Add', ['mask', 'scores'], 'visible'),
  node('Softmax', ['visible'], 'p', { axis: -1 }),
];

/** The scale before anything is folded. */
const UNFOLDED_SCALE = [
  node('Shape', ['q'], 'qShape'),
  constant('last', list(-1)),
  node('Gather', ['qShape', 'last'], 'width'),
  node('CastLike', ['width', 'q'], 'widthAsFloat'),
  constant('whole', f32([], [1])),
  node('CastLike', ['whole', 'q'], 'one1'),
  node('Sqrt', ['widthAsFloat'], 'widthRoot'),
  node('Div', ['one1', 'widthRoot'], 'scale'),
  node('Sqrt', ['scale'], 'root1'),
  node('CastLike', ['root1', 'k'], 'root'),
];

/** q, k and v in heads, cut from `in` by a Split. */
const SPLIT = node('Split', ['in3'], ['q3', 'k3', 'v3'], { axis: -1, num_outputs: 3 });

/** The same by a sequence, without optimization. */
const SEQUENCE = [
  constant('lengths', i64([], [W])),
  node('SplitToSequence', ['in3', 'lengths'], 'parts', { axis: 2 }),
  ...['q3', 'k3', 'v3'].flatMap((name, i) => [
    constant(`at${i}`, i64([], [i])),
    node('SequenceAt', ['parts', `at${i}`], name),
  ]),
];

/** Attention of a module of one's own, as nanoGPT has it: views of [N, T, H, D] and transpositions. */
function byHand(attention: readonly OnnxNode[], parts: readonly OnnxNode[] = [SPLIT]): GraphParts {
  return {
    inputs: X,
    weights: WEIGHTS,
    opset: 20,
    nodes: [
      node('MatMul', ['x', 'in'], 'product'),
      node('Add', ['product', 'inBias'], 'in3'),
      ...parts,
      constant('cut', list(-1, T, H, D)),
      ...['q', 'k', 'v'].flatMap((name) => [
        node('Reshape', [`${name}3`, 'cut'], `${name}Cut`),
        node('Transpose', [`${name}Cut`], name, { perm: [0, 2, 1, 3] }),
      ]),
      ...attention,
      node('Transpose', ['y4'], 'back', { perm: [0, 2, 1, 3] }),
      constant('join', list(-1, T, W)),
      node('Reshape', ['back', 'join'], 'joined'),
      node('MatMul', ['joined', 'out'], 'outProduct'),
      node('Add', ['outProduct', 'outBias'], 'y'),
    ],
  };
}

/** What unbind(0) of `stacked` is, to PyTorch's older exporter, and indexing of it. */
const UNBOUND = [
  node('Split', ['stacked'], ['q1', 'k1', 'v1'], { axis: 0, num_outputs: 3 }),
  constant('first', list(0)),
  ...['q', 'k', 'v'].map((name) => node('Squeeze', [`${name}1`, 'first'], name)),
];
const INDEXED = ['q', 'k', 'v'].flatMap((name, i) => [
  constant(`at${i}`, i64([], [i])),
  node('Gather', ['stacked', `at${i}`], name, { axis: 0 }),
]);

/** Attention of a vision transformer, as timm has it: q, k and v are an axis that is brought to the front. */
function vision(
  parts: readonly OnnxNode[],
  cut: readonly number[] = [-1, T, 3, H, D],
  perm = [2, 0, 3, 1, 4],
): GraphParts {
  const { nodes, ...rest } = byHand(dotProduct(NO_MASK), []);
  const own = nodes.filter(({ name }) => !['cut', ...['q', 'k', 'v'].flatMap((of) => [of, `${of}Cut`])].includes(name));
  const stacked = [
    constant('three', list(...cut)),
    node('Reshape', ['in3', 'three'], 'view'),
    node('Transpose', ['view'], 'stacked', { perm }),
  ];
  return { ...rest, nodes: own.toSpliced(2, 0, ...stacked, ...parts) };
}

/** torch.nn.MultiheadAttention with batch_first=True, as torch.nn.TransformerEncoderLayer has it: steps first inside. */
function multihead(attention: readonly OnnxNode[]): GraphParts {
  return {
    inputs: X,
    weights: WEIGHTS,
    opset: 20,
    nodes: [
      node('Transpose', ['x'], 'stepsFirst', { perm: [1, 0, 2] }),
      node('MatMul', ['stepsFirst', 'in'], 'product'),
      node('Add', ['product', 'inBias'], 'in3'),
      constant('three', list(T, -1, 3, W)),
      node('Reshape', ['in3', 'three'], 'view'),
      constant('first', list(0)),
      node('Unsqueeze', ['view', 'first'], 'unsqueezed'),
      node('Transpose', ['unsqueezed'], 'stacked1', { perm: [3, 1, 2, 0, 4] }),
      constant('before', list(-2)),
      node('Squeeze', ['stacked1', 'before'], 'stacked'),
      constant('rowsOfHeads', list(T, -1, D)),
      constant('cut', list(-1, H, T, D)),
      ...['q', 'k', 'v'].flatMap((name, i) => [
        constant(`at${i}`, i64([], [i])),
        node('Gather', ['stacked', `at${i}`], `${name}3`, { axis: 0 }),
        node('Reshape', [`${name}3`, 'rowsOfHeads'], `${name}Rows3`),
        node('Transpose', [`${name}Rows3`], `${name}Turned3`, { perm: [1, 0, 2] }),
        node('Reshape', [`${name}Turned3`, 'cut'], name),
      ]),
      ...attention,
      node('Transpose', ['y4'], 'permuted', { perm: [2, 0, 1, 3] }),
      constant('flat', list(-1, W)),
      node('Reshape', ['permuted', 'flat'], 'joined'),
      node('Gemm', ['joined', 'out', 'outBias'], 'outRows', { transB: 1 }),
      constant('unflat', list(T, -1, W)),
      node('Reshape', ['outRows', 'unflat'], 'outSteps'),
      node('Transpose', ['outSteps'], 'y', { perm: [1, 0, 2] }),
    ],
  };
}

/** The same asked for its weights too, or as PyTorch 1 has it: products over all heads of all samples. */
function multiheadOfRows(visible: readonly OnnxNode[]): GraphParts {
  const { nodes, ...rest } = multihead([]);
  const own = nodes.filter(({ name }) => !['cut', 'q', 'k', 'v', 'permuted'].includes(name));
  const at = own.findIndex(({ name }) => name === 'flat');
  const attention = [
    constant('root', f32([], [Math.sqrt(D)])),
    node('Div', ['qTurned3', 'root'], 'qScaled'),
    node('Transpose', ['kTurned3'], 'kt', { perm: [0, 2, 1] }),
    node('MatMul', ['qScaled', 'kt'], 'scores'),
    ...visible,
    node('MatMul', ['p', 'vTurned3'], 'y3'),
    node('Transpose', ['y3'], 'permuted', { perm: [1, 0, 2] }),
  ];
  return { ...rest, nodes: own.toSpliced(at, 0, ...attention) };
}

const FUSED = ['linear', 'slice', 'slice', 'slice', 'attention', 'linear'];
const cases: [does: string, parts: GraphParts, causal: boolean][] = [
  ['scaled_dot_product_attention', byHand(dotProduct(NO_MASK)), false],
  ['scaled_dot_product_attention that is causal', byHand(dotProduct(IS_CAUSAL)), true],
  ['scaled_dot_product_attention with a mask that is added', byHand(dotProduct(added(seen(0, MINUS)))), true],
  ['scaled_dot_product_attention with a mask of booleans', byHand(dotProduct(BOOLEANS)), true],
  ['scaled_dot_product_attention that is not optimized', byHand(dotProduct(IS_CAUSAL, UNFOLDED_SCALE), SEQUENCE), true],
  ['attention of a vision transformer', vision(UNBOUND), false],
  ['attention of a vision transformer that indexes', vision(INDEXED), false],
  ['MultiheadAttention', multihead(dotProduct(NO_MASK)), false],
  ['MultiheadAttention that is causal', multihead(dotProduct(IS_CAUSAL)), true],
  ['MultiheadAttention over all heads of all samples', multiheadOfRows(NO_MASK), false],
  [
    'MultiheadAttention over all heads of all samples that is causal',
    multiheadOfRows(added(seen(0, MINUS), [1, T, T])),
    true,
  ],
  ['MultiheadAttention that is not optimized', multihead(dotProduct(NO_MASK, UNFOLDED_SCALE)), false],
];

const engines = [createReferenceEngine(), createOnnxRuntimeEngine({ threads: 1 })];
test.after.always(() => {
  for (const engine of engines) engine.close();
});

/** Results and gradients of all inputs and parameters, by name, on one engine. */
async function trained(model: Model, engine: (typeof engines)[number]): Promise<Map<string, ArrayLike<number>>> {
  const { graph } = model;
  const x = filled(X.x, 7).data;
  const { tensors, backward } = await runWholeGraph(model, { x }, engine);
  const output = graph.outputs[0]!;
  const gradients = await backward(Array.from(filled(graph.tensors[output]!.shape, 9).data, Number));
  const named = graph.tensors
    .filter(({ role }) => role !== 'activation')
    .map(({ id, name }) => [name, gradients[id]!] as const);
  return new Map<string, ArrayLike<number>>([['result', Array.from(tensors[output]!, Number)], ...named]);
}

for (const [does, parts, causal] of cases) {
  test(`${does} becomes one op, and computes and trains as the nodes do`, async (t) => {
    const [onnx, options] = [graphOf(parts), { batch: N }];
    const [fused, apart] = [importOnnx(onnx, options), importUnfused(onnx, options)];
    t.deepEqual(
      fused.graph.ops.map(({ kind }) => kind),
      FUSED,
    );
    t.deepEqual(fused.graph.ops[4]!.attributes, { heads: H, causal });
    t.false(apart.graph.ops.some(({ kind }) => kind === 'attention'));
    for (const engine of engines) {
      const [found, expected] = [await trained(fused, engine), await trained(apart, engine)];
      t.deepEqual([...found.keys()].toSorted(), ['result', 'x', ...Object.keys(WEIGHTS)].toSorted());
      for (const [name, values] of expected) t.true(distance(found.get(name)!, values) <= 1e-5, name);
    }
  });
}

test('a layer that has steps first inside has samples first, and computes and trains as the nodes do', async (t) => {
  const { nodes, ...rest } = multihead(dotProduct(NO_MASK));
  const parts = {
    ...rest,
    nodes: [
      ...nodes.filter(({ name }) => name !== 'y'),
      node('Add', ['stepsFirst', 'outSteps'], 'sum'),
      node('Transpose', ['in'], 'inTurned', { perm: [1, 0] }),
      node('MatMul', ['sum', 'in'], 'wide'),
      node('Relu', ['wide'], 'relu'),
      node('MatMul', ['relu', 'inTurned'], 'narrow'),
      node('Mul', ['narrow', 'outBias'], 'scaled'),
      node('Transpose', ['scaled'], 'y', { perm: [1, 0, 2] }),
    ],
  };
  const [fused, apart] = [importOnnx(graphOf(parts), { batch: N }), importUnfused(graphOf(parts), { batch: N })];
  const kinds = fused.graph.ops.map(({ kind }) => kind);
  t.deepEqual(kinds, [...FUSED, 'add', 'linear', 'relu', 'linear', 'mul']);
  for (const engine of engines) {
    const [found, expected] = [await trained(fused, engine), await trained(apart, engine)];
    for (const [name, values] of expected) t.true(distance(found.get(name)!, values) <= 1e-5, name);
  }
});

/** Something between that no rule knows, in the place of dropout. */
const UNKNOWN = [node('Softmax', ['scores'], 'shares', { axis: -1 }), node('Abs', ['shares'], 'p')];

for (const [does, parts] of [
  ['each sample', multihead(dotProduct(UNKNOWN))],
  ['all samples', multiheadOfRows(UNKNOWN)],
] as const) {
  test(`attention over heads of ${does} that stays as it is written has samples first, and computes and trains as the nodes do`, async (t) => {
    const [fused, apart] = [importOnnx(graphOf(parts), { batch: N }), importUnfused(graphOf(parts), { batch: N })];
    const first = (model: Model): boolean =>
      model.graph.ops.every(({ outputs }) => [N, N * H].includes(model.graph.tensors[outputs[0]!]!.shape[0]!));
    t.deepEqual([first(fused), first(apart)], [true, false]);
    for (const engine of engines) {
      const [found, expected] = [await trained(fused, engine), await trained(apart, engine)];
      for (const [name, values] of expected) t.true(distance(found.get(name)!, values) <= 1e-5, name);
    }
  });
}

const kindsOf = (parts: GraphParts): string[] => imported(parts).graph.ops.map(({ kind }) => kind);
const replaced = (parts: GraphParts, name: string, by: OnnxNode): GraphParts => ({
  ...parts,
  nodes: parts.nodes.map((each) => (each.name === name ? by : each)),
});

const others: [does: string, parts: GraphParts][] = [
  ['with a scale of its own', byHand(dotProduct(NO_MASK, [constant('root', f32([1], [D ** -0.5]))]))],
  ['with a mask that hides the past', byHand(dotProduct(added(seen(MINUS, 0))))],
  [
    'with 1 for what is not a number',
    byHand(
      dotProduct(
        BOOLEANS.map((each) => (each.name === 'p' ? node('Where', ['none', 'one1', 'shares'], 'p') : each)),
        [constant('root', SCALE_ROOT), constant('one1', f32([], [1]))],
      ),
    ),
  ],
  [
    'of keys that are cut, and not turned',
    replaced(byHand(dotProduct(NO_MASK)), 'kTurned', node('Transpose', ['kRows'], 'kTurned', { perm: [0, 1, 2] })),
  ],
  ['of heads that each have q, k and v side by side', vision(INDEXED, [-1, T, H, 3, D], [3, 0, 2, 1, 4])],
  [
    "whose result has heads and steps in each other's place",
    replaced(byHand(dotProduct(NO_MASK)), 'back', node('Transpose', ['y4'], 'back', { perm: [0, 1, 2, 3] })),
  ],
];
for (const [does, parts] of others) {
  test(`attention ${does} stays as it is written`, (t) => t.false(kindsOf(parts).includes('attention')));
}

test('moves that bring a value back are left out, others are direct', (t) => {
  const moved = (perm: readonly number[]): GraphParts => ({
    inputs: X,
    nodes: [
      node('Transpose', ['x'], 'there', { perm: [1, 0, 2] }),
      constant('flat', list(-1, W)),
      node('Reshape', ['there', 'flat'], 'rows'),
      constant('unflat', list(T, N, W)),
      node('Reshape', ['rows', 'unflat'], 'steps'),
      node('Transpose', ['steps'], 'back', { perm }),
      node('Relu', ['back'], 'y'),
    ],
  });
  t.deepEqual(opLines(imported(moved([1, 0, 2]))), ['relu {} x']);
  t.deepEqual(opLines(imported(moved([1, 2, 0]))), ['transpose {"perm":[0,2,1]} x', 'relu {} back']);
  t.deepEqual(kindsOf(moved([2, 0, 1])), ['transpose', 'transpose', 'relu']);
});

test('what is computed of each row is computed with samples first, but not with what differs from step to step', (t) => {
  const added = (shape: readonly number[], perm = [1, 0, 2]): GraphParts => ({
    inputs: X,
    weights: { w: shape },
    nodes: [
      node('Transpose', ['x'], 'there', { perm }),
      node('Add', ['there', 'w'], 'sum'),
      node('Transpose', ['sum'], 'back', { perm: [1, 0, 2] }),
      node('Relu', ['back'], 'y'),
    ],
  });
  t.deepEqual(opLines(imported(added([W]))), ['add {} x w', 'relu {} sum']);
  t.deepEqual(kindsOf(added([N, W])), ['transpose', 'add', 'transpose', 'relu']);
  t.deepEqual(kindsOf(added([N], [1, 2, 0])), ['transpose', 'add', 'transpose', 'relu']);
  // Which of both would be first cannot be told.
  const square = { ...added([W]), inputs: { x: [T, T, W] } };
  t.deepEqual(kindsOf(square), ['transpose', 'add', 'transpose', 'relu']);
});

const refused: [nodes: readonly OnnxNode[], expected: RegExp][] = [
  [[constant('at', i64([], [3])), node('SequenceAt', ['parts', 'at'], 'y')], /takes part 3 of 3; expected one of them/],
  [[node('SequenceAt', ['parts', 'other'], 'y')], /reads 'other', which no node before it makes/],
  [[node('SequenceAt', ['nothing', 'lengths'], 'y')], /reads 'nothing', which no node before it makes/],
];
for (const [nodes, expected] of refused) {
  test(`a sequence is refused: ${expected}`, (t) => {
    const split = [constant('lengths', i64([], [2])), node('SplitToSequence', ['x', 'lengths'], 'parts', { axis: 1 })];
    t.regex(problemsOf({ nodes: [...split, ...nodes] }).join('\n'), expected);
  });
}

test('a sequence has parts of given lengths, the last of one length the shortest; empty ones that nobody takes are none', (t) => {
  const part = (lengths: OnnxTensor, at: number): GraphParts => ({
    nodes: [
      constant('lengths', lengths),
      constant('at', i64([], [at])),
      node('SplitToSequence', ['x', 'lengths'], 'parts', { axis: -1 }),
      node('SequenceAt', ['parts', 'at'], 'y'),
    ],
  });
  const slice = (start: number, end: number): string[] => [
    `slice {"starts":[${start}],"ends":[${end}],"axes":[1],"steps":[1]} x`,
  ];
  t.deepEqual(opLines(imported(part(i64([], [4]), 1))), slice(4, 6));
  t.deepEqual(opLines(imported(part(list(1, 3, 2), -2))), slice(1, 4));
  t.deepEqual(opLines(imported(part(list(2, 2, 2, 0), 2))), slice(4, 6), 'chunk(4) of 6');
  t.regex(
    problemsOf(part(list(2, 2, 2, 0), 3)).join(),
    /takes part 3 of lengths \[2,2,2,0\]; expected one that is not empty/,
  );
  t.regex(problemsOf(part(i64([], [0]), 0)).join(), /has lengths \[0\]; expected at least one, none below 1/);
});

test('CastLike takes the type of what it is like, and a cast to the same type is nothing', (t) => {
  const nodes = [node('CastLike', ['w', 'x'], 'v'), node('Mul', ['x', 'v'], 'y')];
  t.deepEqual(opLines(imported({ weights: { w: [6] }, nodes })), ['mul {} x w']);
  const counted = [node('CastLike', ['k', 'x'], 'v'), node('Mul', ['x', 'v'], 'y')];
  const lines = opLines(imported({ inputs: { x: [4, 6], k: [4, 6] }, integers: ['k'], nodes: counted }));
  t.deepEqual(lines, ['cast {"to":"float32"} k', 'mul {} x v']);
});

test('ones and zeros that the exporter has folded for the groups of a GroupNorm are not trained', (t) => {
  const [ones, zeros] = [f32([3], [1, 1, 1]), f32([3], [0, 0, 0])];
  const parts: GraphParts = {
    inputs: { x: [2, 3, 4] },
    weights: { val_8: ones, val_11: zeros },
    nodes: [node('InstanceNormalization', ['x', 'val_8', 'val_11'], 'y')],
  };
  t.is(imported(parts).weights.size, 0);
  const named = {
    ...parts,
    weights: { s: ones, b: zeros },
    nodes: [node('InstanceNormalization', ['x', 's', 'b'], 'y')],
  };
  t.is(imported(named).weights.size, 2);
});

test('a bias of zeros that nodes make for a convolution without one is not trained', (t) => {
  const zeros = [
    constant('zero', f32([], [0])),
    constant('channels', list(4)),
    node('Expand', ['zero', 'channels'], 'b'),
  ];
  const convolution = (nodes: readonly OnnxNode[], weights: GraphParts['weights'] = {}): string[] =>
    opLines(
      imported({
        inputs: { x: [2, 3, 5] },
        weights: { w: [4, 3, 2], ...weights },
        nodes: [...nodes, node('Conv', ['x', 'w', 'b'], 'y')],
      }),
    ).map((line) => line.slice(line.lastIndexOf('} ') + 2));
  t.deepEqual(convolution(zeros), ['x w']);
  t.deepEqual(convolution([], { b: f32([4], [0, 0, 0, 0]) }), ['x w b']);
});
