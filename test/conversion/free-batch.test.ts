import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { exportOnnx, fixedBatch } from '../../soap/conversion/export.ts';
import { importOnnx } from '../../soap/conversion/import.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';
import type { OnnxGraph, OnnxNode } from '../../soap/onnx/model.ts';
import { f32, filled, i64, list, runGraph } from '../support/kernel-graphs.ts';
import type { GraphParts } from '../support/onnx-graphs.ts';
import { constant, graphOf, node } from '../support/onnx-graphs.ts';
import { distance } from '../support/op-checks.ts';
import { runForward } from '../support/run-graph.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

const engine = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => engine.close());

/** Samples that the models are imported with. */
const BATCH = 4;

/** The shape of a sample, where a case says no other. */
const SAMPLE = [3, 6];

/** A model with the samples left open, as PyTorch exports it with dynamic axes. */
interface OpenModel extends Omit<GraphParts, 'inputs' | 'integers'> {
  readonly does: string;
  readonly sample?: readonly number[];
}

function openGraph({ sample = SAMPLE, ...parts }: OpenModel): OnnxGraph {
  return {
    ...graphOf(parts),
    inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', ...sample] }],
  };
}

/** `target`: the number of samples, some times over, at an axis of constants. */
function shapeOfBatch(target: string, shape: readonly number[], { axis = 0, times = 1 } = {}): OnnxNode[] {
  const parts = [shape.slice(0, axis), shape.slice(axis)].map((values, i) =>
    constant(`${target}_${i}`, list(...values)),
  );
  return [
    node('Shape', ['x'], `${target}_x`),
    constant(`${target}_zero`, list(0)),
    node('Gather', [`${target}_x`, `${target}_zero`], `${target}_n`),
    constant(`${target}_times`, list(times)),
    node('Mul', [`${target}_n`, `${target}_times`], `${target}_m`),
    ...parts,
    node('Concat', [`${target}_0`, `${target}_m`, `${target}_1`], target, { axis: 0 }),
  ];
}

const W = { w: [6, 6] };

const MODELS: readonly OpenModel[] = [
  {
    does: 'repeats a norm to the shape of the samples',
    weights: W,
    nodes: [
      node('MatMul', ['x', 'w'], 'v'),
      node('ReduceL2', ['v'], 'norm', { axes: [-1], keepdims: 1 }),
      node('Shape', ['v'], 'shape'),
      node('Expand', ['norm', 'shape'], 'norms'),
      node('Div', ['v', 'norms'], 'y'),
    ],
  },
  {
    does: 'repeats keys for groups of heads',
    weights: W,
    nodes: [
      constant('apart', list(0, 3, 1, 6)),
      node('Reshape', ['x', 'apart'], 'k'),
      ...shapeOfBatch('repeated', [3, 2, 6]),
      node('Expand', ['k', 'repeated'], 'v'),
      constant('joined', list(0, 6, 6)),
      node('Reshape', ['v', 'joined'], 'all'),
      node('MatMul', ['all', 'w'], 'y'),
    ],
  },
  {
    does: 'embeds token types made for the batch',
    weights: { ...W, table: [2, 6] },
    nodes: [
      ...shapeOfBatch('shape', [3]),
      constant('one', i64([1, 3], [0, 1, 1])),
      node('Expand', ['one', 'shape'], 'types'),
      node('Gather', ['table', 'types'], 'embedded'),
      node('Add', ['x', 'embedded'], 'v'),
      node('MatMul', ['v', 'w'], 'y'),
    ],
  },
  {
    does: 'masks by a constant made for the batch',
    weights: W,
    nodes: [
      node('MatMul', ['x', 'w'], 'v'),
      ...shapeOfBatch('shape', [3, 1]),
      constant('steps', f32([1, 3, 1], [1, 1, 0])),
      node('Expand', ['steps', 'shape'], 'mask'),
      node('Mul', ['v', 'mask'], 'y'),
    ],
  },
  {
    does: 'adds to scores of merged heads what is a constant for each head of a sample',
    weights: {},
    nodes: [
      constant('merged', list(-1, 3, 3)),
      node('Reshape', ['x', 'merged'], 'scores'),
      ...shapeOfBatch('shape', [2, 3, 3]),
      constant('slopes', filled([1, 2, 3, 3])),
      node('Expand', ['slopes', 'shape'], 'slopesOfAll'),
      node('Reshape', ['slopesOfAll', 'merged'], 'bias'),
      node('Add', ['scores', 'bias'], 'masked'),
      constant('apart', list(-1, 2, 3, 3)),
      node('Reshape', ['masked', 'apart'], 'y'),
    ],
    sample: [2, 3, 3],
  },
  {
    does: 'adds to scores of merged heads what is trained for all of them',
    weights: { bias: [1, 3, 3] },
    nodes: [
      constant('merged', list(-1, 3, 3)),
      node('Reshape', ['x', 'merged'], 'scores'),
      ...shapeOfBatch('shape', [3, 3], { times: 2 }),
      node('Expand', ['bias', 'shape'], 'biasOfAll'),
      node('Add', ['scores', 'biasOfAll'], 'masked'),
      constant('apart', list(-1, 2, 3, 3)),
      node('Reshape', ['masked', 'apart'], 'y'),
    ],
    sample: [2, 3, 3],
  },
  {
    does: 'slices the whole batch',
    weights: W,
    nodes: [
      constant('starts', list(0, 1)),
      constant('ends', { dtype: 'int64', shape: [2], data: BigInt64Array.of(2n ** 63n - 1n, 3n) }),
      constant('axes', list(0, 1)),
      node('Slice', ['x', 'starts', 'ends', 'axes'], 'v'),
      node('MatMul', ['v', 'w'], 'y'),
    ],
  },
  {
    does: 'slices all of every axis',
    weights: W,
    nodes: [
      constant('starts', list(0)),
      constant('ends', { dtype: 'int64', shape: [1], data: BigInt64Array.of(2n ** 63n - 1n) }),
      node('Slice', ['x', 'starts', 'ends'], 'v'),
      node('MatMul', ['v', 'w'], 'y'),
    ],
  },
  {
    does: 'pads by less than nothing',
    weights: W,
    nodes: [
      node('MatMul', ['x', 'w'], 'v'),
      constant('pads', list(0, -1, 2, 0, 1, -2)),
      node('Pad', ['v', 'pads'], 'y'),
    ],
  },
  {
    does: 'puts steps first and heads beside the samples',
    weights: W,
    nodes: [
      node('Transpose', ['x'], 'stepsFirst', { perm: [1, 0, 2] }),
      node('MatMul', ['stepsFirst', 'w'], 'q'),
      ...shapeOfBatch('heads', [3, 3], { axis: 1, times: 2 }),
      node('Reshape', ['q', 'heads'], 'h'),
      node('Transpose', ['h'], 'headsFirst', { perm: [1, 0, 2] }),
      node('Softmax', ['headsFirst'], 'p', { axis: -1 }),
      node('Transpose', ['p'], 'back', { perm: [1, 0, 2] }),
      ...shapeOfBatch('whole', [3, 6], { axis: 1 }),
      node('Reshape', ['back', 'whole'], 'o'),
      node('Transpose', ['o'], 'y', { perm: [1, 0, 2] }),
    ],
  },
  {
    does: 'repeats a bias for every head',
    weights: { bias: [1, 3, 3] },
    nodes: [
      constant('shape', list(8, 3, 3)),
      node('Expand', ['bias', 'shape'], 'biases'),
      node('Add', ['x', 'biases'], 'y'),
    ],
    sample: [8, 3, 3],
  },
  {
    does: 'puts a token before each sample',
    weights: { ...W, token: [1, 1, 6] },
    nodes: [
      ...shapeOfBatch('shape', [1, 6]),
      node('Expand', ['token', 'shape'], 'tokens'),
      node('Concat', ['tokens', 'x'], 'v', { axis: 1 }),
      node('MatMul', ['v', 'w'], 'y'),
    ],
  },
];

/** Runs an exported graph in ONNX Runtime on so many samples. */
async function runExported(onnx: OnnxGraph, samples: number, x: Float32Array, result: number[]): Promise<number[]> {
  const fixed = (shape: OnnxGraph['inputs'][number]['shape']): (number | string)[] => [samples, ...shape.slice(1)];
  const whole = {
    ...onnx,
    inputs: onnx.inputs.map((each) => ({ ...each, shape: fixed(each.shape) })),
    outputs: onnx.outputs.map((each) => ({ ...each, shape: [samples, ...result] })),
  };
  const { [onnx.outputs[0]!.name]: y } = await runGraph(engine, whole, { x });
  return Array.from<number | bigint, number>(y!, Number);
}

for (const model of MODELS) {
  test(`a model that ${model.does} gives, exported, for any batch what it gives for each sample alone`, async (t) => {
    const open = openGraph(model);
    const alone = importOnnx(open, { batch: 1 });
    const [onnx, ofOne] = [BATCH, 1].map((batch) => decodeOnnx(encodeOnnx(exportOnnx(importOnnx(open, { batch })))));
    for (const each of [onnx, ofOne]) t.is(fixedBatch(each!), undefined);
    const result = alone.graph.tensors[alone.graph.outputs[0]!]!.shape.slice(1);
    const { sample = SAMPLE } = model;
    for (const samples of [1, BATCH, 2 * BATCH]) {
      const x = Float32Array.from(filled([samples, ...sample]).data, Number);
      const expected: number[] = [];
      for (let i = 0; i < samples; i++) {
        const own = x.slice(i * elementCount(sample), (i + 1) * elementCount(sample));
        expected.push(...Array.from(await runForward(alone, new Map([['x', own]]), engine), Number));
      }
      for (const each of [onnx, ofOne]) {
        t.true(distance(await runExported(each!, samples, x, result), expected) <= 1e-6, `of ${samples}`);
      }
    }
  });
}

const ONE_BATCH: readonly OpenModel[] = [
  {
    does: 'has a weight for each sample of a batch',
    weights: { w: [BATCH, 3, 6] },
    nodes: [node('Add', ['x', 'w'], 'y')],
  },
  {
    does: 'adds other constants to other samples',
    weights: W,
    nodes: [
      node('MatMul', ['x', 'w'], 'v'),
      constant('numbers', filled([BATCH, 1, 1])),
      node('Add', ['v', 'numbers'], 'y'),
    ],
  },
  {
    does: 'reverses its samples',
    weights: W,
    nodes: [
      node('MatMul', ['x', 'w'], 'v'),
      ...['starts', 'ends', 'axes', 'steps'].map((name, i) => constant(name, list([BATCH - 1, -BATCH - 1, 0, -1][i]!))),
      node('Slice', ['v', 'starts', 'ends', 'axes', 'steps'], 'y'),
    ],
  },
];

for (const model of ONE_BATCH) {
  test(`a model that ${model.does} takes, exported, no other batch`, (t) => {
    const onnx = exportOnnx(importOnnx(openGraph(model), { batch: BATCH }));
    t.is(fixedBatch(onnx), BATCH);
    t.deepEqual(
      [...onnx.inputs, ...onnx.outputs].map(({ shape }) => shape),
      [
        [BATCH, ...SAMPLE],
        [BATCH, ...SAMPLE],
      ],
    );
  });
}

test('shapes of results that do not begin with the samples name them where they are', (t) => {
  const nodes = [node('MatMul', ['x', 'w'], 'v'), node('Transpose', ['v'], 'y', { perm: [1, 0, 2] })];
  const { outputs } = exportOnnx(importOnnx(openGraph({ does: '', weights: W, nodes }), { batch: BATCH }));
  t.deepEqual(outputs[0]!.shape, [3, 'batch', 6]);
});
