import test from 'ava';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import type { Graph, Shape } from '../../soap/graph/graph.ts';
import type { LossName } from '../../soap/training/loss.ts';
import { attachLoss, lossOf, requireClassAxis, usualLoss } from '../../soap/training/loss.ts';
import { OpError } from '../../soap/ops/op.ts';
import { buildCase } from '../support/op-case.ts';
import { runSplit, runWhole } from '../support/op-splits.ts';

/** A model whose results are its inputs' hyperbolic tangents. */
function modelOf(...shapes: Shape[]): Graph {
  const builder = new GraphBuilder();
  const results = shapes.map((shape, i) => builder.op('tanh', 'tanh', [builder.input(`x${i}`, shape)]));
  return builder.build('m', results);
}

test('without a job classes are told apart, and single numbers met', (t) => {
  t.is(usualLoss(modelOf([4, 10])), 'crossEntropy');
  t.is(usualLoss(modelOf([4, 6, 10], [4, 2, 10])), 'crossEntropy');
  t.is(usualLoss(modelOf([4, 1])), 'meanSquaredError');
  t.is(usualLoss(modelOf([4])), 'meanSquaredError');
});

test('one class teaches nothing', (t) => {
  const error = t.throws(() => attachLoss(modelOf([4, 1]), 'crossEntropy'), { instanceOf: OpError });
  t.regex(error?.message ?? '', /logits of shape \[4,1\]; expected \[N, ..., classes\], at least two of them/);
});

const ATTACHED: [string, LossName, Shape[], Shape, (readonly number[] | undefined)[]][] = [
  ['the classes come last', 'crossEntropy', [[4, 10]], [4], [undefined]],
  ['a sequence has targets for each step', 'crossEntropy', [[4, 6, 10]], [4, 6], [undefined]],
  [
    'pieces of a sequence share its targets',
    'crossEntropy',
    [
      [4, 2, 10],
      [4, 3, 10],
      [4, 1, 10],
    ],
    [4, 6],
    [
      [0, 2],
      [2, 5],
      [5, 6],
    ],
  ],
  ['values of any shape are compared', 'meanSquaredError', [[4, 3, 2, 5, 2]], [4, 3, 2, 5, 2], [undefined]],
  [
    'values may come in pieces',
    'meanSquaredError',
    [
      [4, 3],
      [4, 5],
    ],
    [4, 8],
    [
      [0, 3],
      [3, 8],
    ],
  ],
  ['yes or no is asked of each value', 'binaryCrossEntropy', [[4, 3]], [4, 3], [undefined]],
];
for (const [title, loss, shapes, targets, pieces] of ATTACHED) {
  test(`${loss}: ${title}`, (t) => {
    const { graph, lossOps } = attachLoss(modelOf(...shapes), loss);
    const input = graph.tensors.find(({ name }) => name === 'targets')!;
    t.deepEqual(input.shape, targets);
    t.is(input.dtype, loss === 'crossEntropy' ? 'int64' : 'float32');
    const scale = 1 / targets.reduce((a, b) => a * b, 1);
    t.deepEqual(
      lossOps.map((id) => graph.ops[id]!).map(({ kind, attributes }) => [kind, attributes]),
      pieces.map((piece) => [loss, piece === undefined ? { scale } : { scale, start: piece[0] }]),
    );
    t.deepEqual(
      graph.outputs,
      lossOps.map((id) => graph.ops[id]!.outputs[0]!),
    );
  });
}

test('classes along another axis are moved last, and the targets have the axes that are left', (t) => {
  const training = attachLoss(modelOf([4, 5, 6, 7]), 'crossEntropy', { classAxis: 1 });
  const { graph, lossOps } = training;
  t.deepEqual(graph.tensors.find(({ name }) => name === 'targets')!.shape, [4, 6, 7]);
  const [logits] = graph.ops[lossOps[0]!]!.inputs;
  t.deepEqual(graph.tensors[logits!]!.shape, [4, 6, 7, 5]);
  t.deepEqual(lossOf(training), { name: 'crossEntropy', classAxis: 1 });
  const last = attachLoss(modelOf([4, 5]), 'crossEntropy', { classAxis: 1 });
  t.deepEqual(
    last.graph.ops.map(({ kind }) => kind),
    ['tanh', 'crossEntropy'],
  );
});

test('where the classes of a result may be along two axes, somebody has to say along which', (t) => {
  const message =
    /the result of model 'm?\w*' has shape \[4,7,7\], whose classes may be along axis 1, .* have shape \[4,7\]; say which by spec\.training\.loss\.classAxis: 1, or 2$/;
  t.throws(() => requireClassAxis(modelOf([4, 7, 7]), 'crossEntropy'), { instanceOf: OpError, message });
  t.throws(() => requireClassAxis(modelOf([4, 7, 7, 7]), 'crossEntropy', { ignoreIndex: 0 }), { instanceOf: OpError });
  for (const classAxis of [1, 2])
    t.notThrows(() => requireClassAxis(modelOf([4, 7, 7]), 'crossEntropy', { classAxis }));
  // Their targets tell, or nothing can be said of them.
  for (const shape of [
    [4, 7],
    [4, 7, 8],
    [4, 8, 7, 7],
    [4, 7, 8, 7],
  ])
    t.notThrows(() => requireClassAxis(modelOf(shape), 'crossEntropy'));
  t.notThrows(() => requireClassAxis(modelOf([4, 7, 7]), 'meanSquaredError'));
  t.notThrows(() => requireClassAxis(modelOf([4, 2, 2], [4, 2, 2]), 'crossEntropy'));
});

test('a loss refuses an axis of classes that a result has not, or that is in pieces', (t) => {
  const refused = (shapes: Shape[], classAxis: number, message: RegExp): unknown =>
    t.throws(() => attachLoss(modelOf(...shapes), 'crossEntropy', { classAxis }), { instanceOf: OpError, message });
  refused(
    [[4, 10]],
    2,
    /has a result of shape \[4,10\]; expected one result that has the loss's classAxis 2, counted from 0: correct/,
  );
  const pieces = [
    [4, 2, 10],
    [4, 3, 10],
  ];
  refused(pieces, 1, /has 2 results; expected one result that has the loss's classAxis 1, counted from 0: correct/);
});

const REFUSED: [string, LossName, Shape[], RegExp][] = [
  ['no results', 'crossEntropy', [], /has no results/],
  [
    'logits without classes',
    'crossEntropy',
    [[4]],
    /logits of shape \[4\]; expected \[N, \.\.\., classes\], at least two of them: take another/,
  ],
  [
    'results that are no pieces',
    'crossEntropy',
    [
      [4, 2, 10],
      [4, 2, 11],
    ],
    /2 results of shapes \[4,2,10\], \[4,2,11\].*: export a model that returns only what is to be trained/,
  ],
  [
    'classes as pieces',
    'crossEntropy',
    [
      [4, 10],
      [4, 10],
    ],
    /pieces of a sequence/,
  ],
];
for (const [title, loss, shapes, message] of REFUSED) {
  test(`a loss refuses ${title}`, (t) => {
    t.throws(() => attachLoss(modelOf(...shapes), loss), { instanceOf: OpError, message });
  });
}

test('the first of equal logits decides what is correct, however the classes are split', async (t) => {
  const logits = [5, 1, 5, 0, 2, 2, 1, 3, 0, 0, 0, 0, -1, -2, -3, -1];
  const built = buildCase({
    kind: 'crossEntropy',
    attributes: { scale: 1 },
    inputs: [
      { shape: [4, 4], values: logits },
      { shape: [4], dtype: 'int64', values: [2, 3, 0, 3] },
    ],
    dimensions: ['sample', 'class'],
  });
  const runner = { engine: createReferenceEngine() };
  for (const degrees of [
    [1, 1],
    [2, 2],
    [1, 4],
  ]) {
    const { outputs } = await runSplit(built, degrees, runner);
    t.deepEqual([...outputs[1]!], [0, 1, 1, 0]);
  }
});

test('the first of equal logits among many decides, in one group of classes or several', async (t) => {
  const classes = 144;
  const ties = [
    [5, 7],
    [5, 30],
    [23, 24, 143],
    [0, 12],
  ];
  const logits = ties.flatMap((top) => Array.from({ length: classes }, (_, i) => (top.includes(i) ? 3 : -i / classes)));
  const built = buildCase({
    kind: 'crossEntropy',
    attributes: { scale: 1 },
    inputs: [
      { shape: [4, classes], values: logits },
      { shape: [4], dtype: 'int64', values: [5, 30, 23, 0] },
    ],
    dimensions: ['sample', 'class'],
  });
  const runner = { engine: createReferenceEngine() };
  for (const degrees of [
    [1, 1],
    [2, 2],
    [1, 6],
  ]) {
    const { outputs } = await runSplit(built, degrees, runner);
    t.deepEqual([...outputs[1]!], [1, 0, 1, 1]);
  }
});

test('logits far apart do not overflow', async (t) => {
  const built = buildCase({
    kind: 'crossEntropy',
    attributes: { scale: 1 },
    inputs: [
      { shape: [1, 3], values: [1e4, -1e4, 0] },
      { shape: [1], dtype: 'int64', values: [2] },
    ],
    dimensions: ['sample', 'class'],
  });
  const { outputs, gradInputs } = await runWhole(built, { engine: createReferenceEngine() });
  t.deepEqual([...outputs[0]!], [1e4]);
  t.deepEqual([...gradInputs[0]!], [1, 0, -1]);
});
