import { readFileSync } from 'node:fs';
import test from 'ava';
import { exportOnnx } from '../../soap/conversion/export.ts';
import type { Model } from '../../soap/graph/graph.ts';
import { importOnnx } from '../../soap/conversion/import.ts';
import { builtinModel } from '../../soap/models/index.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor } from '../../soap/onnx/model.ts';
import { FileError } from '../../soap/schema/check.ts';
import { meaning } from '../support/meaning.ts';

const file = (path: string): OnnxGraph => decodeOnnx(readFileSync(new URL(path, import.meta.url)), path);
const float = (...shape: number[]): OnnxTensor => {
  const length = shape.reduce((a, b) => a * b, 1);
  return { dtype: 'float32', shape, data: Float32Array.from({ length }, (_, i) => i / 8) };
};
const ints = (...values: number[]): OnnxTensor => ({
  dtype: 'int64',
  shape: [values.length],
  data: BigInt64Array.from(values, BigInt),
});
const int = (value: number): OnnxAttribute => ({ type: 'int', value });

function node(
  opType: string,
  inputs: readonly string[],
  output: string,
  attributes: OnnxNode['attributes'] = {},
): OnnxNode {
  return { name: `/${output}`, opType, domain: '', inputs, outputs: [output], attributes };
}

/** A model of images [batch, 2, 3, 3] with the output `y`. */
function graphOf(
  nodes: readonly OnnxNode[],
  initializers: Record<string, OnnxTensor> = {},
  batch: number | string = 64,
): OnnxGraph {
  return {
    name: 'g',
    opset: 17,
    inputs: [{ name: 'x', dtype: 'float32', shape: [batch, 2, 3, 3] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: [batch, 'features'] }],
    initializers: new Map(Object.entries(initializers)),
    nodes,
  };
}

const kinds = ({ graph }: Model): string[] => graph.ops.map(({ kind }) => kind);
const outputShape = ({ graph }: Model): readonly number[] => graph.tensors[graph.outputs[0]!]!.shape;

/** What a node does, without names, which ops without one of their own get from their results. */
const computation = ({ opType, attributes, inputs }: OnnxNode): unknown => ({
  opType,
  attributes,
  reads: inputs.length,
});

function problemsOf(onnx: OnnxGraph): string[] {
  try {
    importOnnx(onnx, { batch: 4 });
  } catch (error) {
    if (error instanceof FileError) return error.problems.map(({ path, message }) => `${path} ${message}`);
    throw error;
  }
  return [];
}

const models: [string, Model][] = [
  ['golden mlp', importOnnx(file('../golden/mlp/model.onnx'), { batch: 8 })],
  ['golden cnn', importOnnx(file('../golden/cnn/model.onnx'), { batch: 8 })],
  ['golden gpt', importOnnx(file('../golden/gpt/model.onnx'), { batch: 8 })],
  ['golden dlrm', importOnnx(file('../golden/dlrm/model.onnx'), { batch: 8 })],
  ['lenet', builtinModel('lenet', 8, 1)],
  ['gpt', builtinModel('gpt', 8, 1, { layers: 1, width: 8, heads: 2, sequence: 4, vocabulary: 16 })],
  ['bert', builtinModel('bert', 8, 1, { layers: 1, width: 8, heads: 2, sequence: 4, vocabulary: 16 })],
  ['vit', builtinModel('vit', 8, 1, { layers: 1, width: 8, heads: 2, image: 32, patch: 16 })],
];
for (const [name, model] of models) {
  test(`${name} exported through a file and imported again is the same model`, (t) => {
    const again = importOnnx(decodeOnnx(encodeOnnx(exportOnnx(model))), { batch: 8 });
    t.deepEqual(meaning(again), meaning(model));
    t.deepEqual(exportOnnx(again).nodes.map(computation), exportOnnx(model).nodes.map(computation));
  });
}

test('an exported model has a free batch and can be imported with any', (t) => {
  const onnx = exportOnnx(builtinModel('lenet', 8, 1));
  t.deepEqual(onnx.inputs[0]!.shape, ['batch', 1, 28, 28]);
  t.deepEqual(onnx.outputs[0]!.shape, ['batch', 10]);
  t.deepEqual(outputShape(importOnnx(onnx, { batch: 3 })), [3, 10]);
});

test('golden mlp and cnn have the weights of the file under their names, and the batch that is asked for', (t) => {
  for (const name of ['mlp', 'cnn']) {
    const onnx = file(`../golden/${name}/model.onnx`);
    const { graph, weights } = importOnnx(onnx, { batch: 12 });
    t.deepEqual([...weights.keys()].toSorted(), [...onnx.initializers.keys()].toSorted());
    for (const [parameter, values] of weights) t.deepEqual(values, onnx.initializers.get(parameter)!.data);
    for (const { role, shape } of graph.tensors) if (role !== 'parameter') t.is(shape[0], 12);
  }
});

const views: [string, OnnxNode[], Record<string, OnnxTensor>, (number | string)?][] = [
  ["[the file's batch, -1]", [node('Reshape', ['x', 's'], 'y')], { s: ints(64, -1) }],
  ["[the file's batch, features]", [node('Reshape', ['x', 's'], 'y')], { s: ints(64, 18) }],
  ['[0, -1]', [node('Reshape', ['x', 's'], 'y')], { s: ints(0, -1) }],
  ['[-1, features]', [node('Reshape', ['x', 's'], 'y')], { s: ints(-1, 18) }, 'batch'],
  [
    '[x.size(0), -1]',
    [
      node('Shape', ['x'], 'size'),
      node('Constant', [], 'zero', { value: { type: 'tensor', value: { ...ints(0), shape: [] } } }),
      node('Gather', ['size', 'zero'], 'samples', { axis: int(0) }),
      node('Unsqueeze', ['samples', 'axes'], 'first'),
      node('Concat', ['first', 'rest'], 'shape', { axis: int(0) }),
      node('Reshape', ['x', 'shape'], 'y'),
    ],
    { axes: ints(0), rest: ints(-1) },
    'batch',
  ],
];
for (const [what, nodes, initializers, batch] of views) {
  test(`a Reshape to ${what} is a flatten, whatever the batch`, (t) => {
    const model = importOnnx(graphOf(nodes, initializers, batch), { batch: 16 });
    t.deepEqual(kinds(model), ['flatten']);
    t.deepEqual(outputShape(model), [16, 18]);
  });
}

test("a Reshape that cuts samples into pieces does so with the job's samples", (t) => {
  const reshaped = (...shape: number[]): readonly number[] =>
    outputShape(importOnnx(graphOf([node('Reshape', ['x', 's'], 'y')], { s: ints(...shape) }), { batch: 4 }));
  t.deepEqual(reshaped(128, 9), [8, 9]);
  t.deepEqual(reshaped(64, -1, 3), [4, 6, 3]);
  t.deepEqual(reshaped(6, 64, 3), [6, 4, 3]);
  t.deepEqual(reshaped(0, 0, -1), [4, 2, 9]);
});

/** Reshapes in a file of 4 samples [8, 16], all of whose extents are multiples of 4: axes in another order, then the target, and that of 6 samples. */
const MOVED: [what: string, perm: number[], target: number[], expected: number[]][] = [
  ['time first, heads beside samples', [1, 0, 2], [8, 16, 4], [8, 24, 4]],
  ['the same, with the rest open', [1, 0, 2], [8, -1, 4], [8, 24, 4]],
  ['time first, heads by themselves', [1, 0, 2], [8, 4, 4, 4], [8, 6, 4, 4]],
  ['samples first, heads by themselves', [0, 1, 2], [4, 8, 4, 4], [6, 8, 4, 4]],
  ['all rows', [0, 1, 2], [32, 16], [48, 16]],
  ['features first', [2, 1, 0], [16, 8, 2, -1], [16, 8, 2, 3]],
];
for (const [what, perm, target, expected] of MOVED) {
  test(`a Reshape in a file of a fixed batch finds the samples where they are: ${what}`, (t) => {
    const onnx: OnnxGraph = {
      ...graphOf(
        [
          node('Transpose', ['x'], 'a', { perm: { type: 'ints', value: perm } }),
          node('Reshape', ['a', 's'], 'b'),
          node('Relu', ['b'], 'y'),
        ],
        { s: ints(...target) },
      ),
      inputs: [{ name: 'x', dtype: 'float32', shape: [4, 8, 16] }],
    };
    t.deepEqual(outputShape(importOnnx(onnx, { batch: 6 })), expected);
    const own = target.map((extent) => (extent === -1 ? -512 / target.reduce((a, b) => a * b, 1) : extent));
    t.deepEqual(outputShape(importOnnx(onnx, { batch: 4 })), own);
  });
}

test('a Reshape that does not fit is a problem of its node', (t) => {
  const problems = problemsOf(graphOf([node('Reshape', ['x', 's'], 'y')], { s: ints(5, 7) }));
  t.regex(
    problems.join(),
    /^node '\/y' op '\/y': Reshape makes \[5,7\] of shape \[4,2,3,3\]; expected as many elements$/,
  );
});

test('an Expand in a file of one sample repeats what is one, and keeps the rows of a weight', (t) => {
  const expanded = (weight: OnnxTensor, ...target: number[]): readonly number[] => {
    const graph = graphOf([node('Expand', ['w', 's'], 'v'), node('Add', ['v', 'c'], 'y')], {}, 1);
    const initializers = new Map(Object.entries({ w: weight, s: ints(...target), c: float(1) }));
    return outputShape(importOnnx({ ...graph, initializers }, { batch: 4 }));
  };
  t.deepEqual(expanded(float(1, 18), 1, 18), [4, 18]);
  t.deepEqual(expanded(float(5, 18), 1, 1), [5, 18]);
  t.deepEqual(expanded(float(18), 1, 18), [4, 18]);
});

test('Identity and Dropout at inference leave nothing behind', (t) => {
  const model = importOnnx(
    graphOf(
      [
        node('Identity', ['x'], 'a'),
        node('Dropout', ['a'], 'b'),
        node('Relu', ['b'], 'c'),
        node('Dropout', ['c', 'ratio', 'off'], 'd'),
        node('Flatten', ['d'], 'y'),
      ],
      { ratio: { ...float(), data: Float32Array.of(0.5) }, off: { dtype: 'bool', shape: [], data: Uint8Array.of(0) } },
    ),
    { batch: 4 },
  );
  t.deepEqual(kinds(model), ['relu', 'flatten']);
});

const on: OnnxTensor = { dtype: 'bool', shape: [], data: Uint8Array.of(1) };
const scalar = (value: number): OnnxTensor => ({ ...float(), data: Float32Array.of(value) });

/** A graph with a Dropout of x, whose mask is called so. */
function withDropout(
  inputs: readonly string[],
  initializers: Record<string, OnnxTensor>,
  { opset = 17, attributes = {}, readsMask = false }: DropoutForm = {},
): OnnxGraph {
  const dropout = { ...node('Dropout', ['x', ...inputs], 'a', attributes), outputs: ['a', 'mask'] };
  const last = readsMask
    ? [node('Cast', ['mask'], 'c', { to: int(1) }), node('Mul', ['a', 'c'], 'b')]
    : [node('Relu', ['a'], 'b')];
  return { ...graphOf([dropout, ...last, node('Flatten', ['b'], 'y')], initializers), opset };
}

interface DropoutForm {
  readonly opset?: number;
  readonly attributes?: OnnxNode['attributes'];
  readonly readsMask?: boolean;
}

const half: OnnxAttribute = { type: 'float', value: 0.5 };
const DROPOUTS: readonly [title: string, graph: OnnxGraph, attributes: object | undefined][] = [
  ['by its inputs', withDropout(['ratio', 'on'], { on, ratio: scalar(0.25) }), { ratio: 0.25 }],
  ['by default', withDropout(['', 'on'], { on }), { ratio: 0.5 }],
  ['of ratio 0', withDropout(['ratio', 'on'], { on, ratio: scalar(0) }), undefined],
  ['whose mask is read', withDropout(['', 'on'], { on }, { readsMask: true }), { ratio: 0.5, mask: true }],
  ['whose mask is read at inference', withDropout([], {}, { readsMask: true }), { ratio: 0, mask: true }],
  ['without a mode, of set 9', withDropout([], {}, { opset: 9, attributes: { ratio: half } }), undefined],
  ['that is no test, of set 6', withDropout([], {}, { opset: 6, attributes: { ratio: half } }), { ratio: 0.5 }],
  ['that is a test, of set 6', withDropout([], {}, { opset: 6, attributes: { is_test: int(1) } }), undefined],
];
for (const [title, graph, attributes] of DROPOUTS) {
  test(`a Dropout ${title} ${attributes === undefined ? 'leaves nothing behind' : 'is an op'}`, (t) => {
    const { ops } = importOnnx(graph, { batch: 4 }).graph;
    t.deepEqual(ops.find(({ kind }) => kind === 'dropout')?.attributes, attributes);
  });
}

test('a Dropout whose ratio is none, or that says what it drops only in the course of training, is a sentence', (t) => {
  for (const ratio of [1, -0.5, Number.NaN]) {
    t.deepEqual(problemsOf(withDropout(['ratio', 'on'], { on, ratio: scalar(ratio) })), [
      `node '/a' Dropout has a ratio of ${ratio}; expected at least 0 and less than 1`,
    ]);
  }
  for (const [inputs, message] of [
    [['r', 'on'], /Dropout has a ratio that is computed; expected a constant number: export the model again$/],
    [['', 'r'], /Dropout has a training_mode that is computed; expected a constant: export the model again$/],
  ] as const) {
    const graph = withDropout(inputs, { on });
    t.regex(problemsOf({ ...graph, nodes: [node('Relu', ['x'], 'r'), ...graph.nodes] }).join(), message);
  }
});

test('an Identity of a weight is a parameter with that value', (t) => {
  const weight = float(3, 18);
  const model = importOnnx(
    graphOf(
      [
        node('Flatten', ['x'], 'flat'),
        node('Identity', ['w'], 'weight'),
        node('Gemm', ['flat', 'weight'], 'y', { transB: int(1) }),
      ],
      { w: weight },
    ),
    { batch: 4 },
  );
  t.deepEqual([...model.weights], [['weight', weight.data]]);
});

test('every unknown op is listed at once with its node and domain, and nothing that only depends on one', (t) => {
  const problems = problemsOf(
    graphOf([
      node('Foo', ['x'], 'a'),
      node('Relu', ['a'], 'b'),
      node('Shape', ['b'], 'size'),
      node('Reshape', ['b', 'size'], 'c'),
      { ...node('Gelu', ['c'], 'd'), domain: 'com.microsoft' },
      node('Dropout', ['d'], 'y'),
    ]),
  );
  t.is(problems.length, 2);
  t.regex(problems[0]!, /^node '\/a' uses op 'Foo', which is not supported; expected one of Abs, Acos, Add, .*Gemm/);
  t.regex(problems[1]!, /^node '\/d' uses op 'Gelu' of domain 'com.microsoft', which is not supported/);
});

test('random numbers are refused with what makes them in exported models', (t) => {
  const nodes = [node('RandomUniformLike', ['x'], 'noise'), node('Mul', ['x', 'noise'], 'y')];
  t.deepEqual(problemsOf(graphOf(nodes)), [
    "node '/noise' uses op 'RandomUniformLike'; expected no random numbers but those of Dropout: export the model without noise or stochastic depth",
  ]);
});

test('an op that reads what nothing makes is named', (t) => {
  t.deepEqual(problemsOf(graphOf([node('Add', ['x', 'ghost'], 'y')])), [
    "node '/y' reads 'ghost', which no node before it makes: export the model again",
  ]);
});

test('tokens of int32, as TensorFlow has them, are fed as int64', (t) => {
  const tokens = { ...graphOf([node('Gather', ['table', 'a'], 'y')], { table: float(5, 3) }) };
  const { graph } = importOnnx({ ...tokens, inputs: [{ name: 'a', dtype: 'int32', shape: ['N', 4] }] }, { batch: 2 });
  const [input] = graph.inputs.map((id) => graph.tensors[id]!);
  t.like(input, { name: 'a', dtype: 'int64', shape: [2, 4] });
  t.deepEqual(outputShape({ graph, weights: new Map() }), [2, 4, 3]);
});

test('inputs that cannot be fed are all listed', (t) => {
  const inputs = [
    { name: 'a', dtype: 'float32', shape: ['batch', 'width'] },
    { name: 'b', dtype: 'float64', shape: ['batch', 2] },
    { name: 'c', dtype: 'float32', shape: [] },
    { name: 'd', dtype: 'float32', shape: [9, 'batch', 8] },
    { name: 'e', dtype: 'bool', shape: ['batch', 9] },
  ] as const;
  const problems = problemsOf({ ...graphOf([node('Relu', ['a'], 'y')]), inputs });
  t.deepEqual(problems, [
    "input 'a' has shape [batch,width]; expected samples first and numbers after: export with static shapes",
    "input 'b' has element type float64; expected float32, int64 or int32",
    "input 'c' has shape []; expected samples first and numbers after: export with static shapes",
    "input 'd' has shape [9,batch,8]; expected samples first and numbers after: export a model that takes samples first, as recurrent " +
      'layers and attention do with batch_first=True',
    "input 'e' has element type bool; expected float32, int64 or int32: let the model take int64 and compare it itself, as mask != 0 does",
  ]);
});

test('shapes that do not fit an op are a problem of its node', (t) => {
  const problems = problemsOf(
    graphOf([node('Flatten', ['x'], 'flat'), node('Gemm', ['flat', 'w'], 'y', { transB: int(1) })], { w: float(3, 7) }),
  );
  t.is(problems.length, 1);
  t.regex(problems[0]!, /^node '\/y' .*width 18; its weight expects 7/);
});

test('a small file cannot make constants without end', (t) => {
  const fills = Array.from({ length: 20 }, (_, i) => node('ConstantOfShape', ['size'], `fill${i}`));
  const problems = problemsOf(graphOf([...fills, node('Flatten', ['x'], 'y')], { size: ints(2 ** 13, 2 ** 12) }));
  t.is(problems.length, 12);
  t.regex(problems[0]!, /^node '\/fill8' makes constants of more than 1 GiB in all/);
});

test('a weight, an input and nodes of one name stay apart when exported', (t) => {
  const nodes = [
    node('Flatten', ['x'], 'flat'),
    { ...node('Gemm', ['flat', 'fc'], 'hidden', { transB: int(1) }), name: 'fc' },
    { ...node('Relu', ['hidden'], 'y'), name: 'x' },
  ];
  const model = importOnnx(graphOf(nodes, { fc: float(3, 18) }), { batch: 4 });
  const exported = exportOnnx(model);
  const defined = [
    ...exported.inputs.map(({ name }) => name),
    ...exported.initializers.keys(),
    ...exported.nodes.flatMap(({ outputs }) => outputs),
  ];
  t.is(new Set(defined).size, defined.length, defined.join(' '));
  t.deepEqual(meaning(importOnnx(exported, { batch: 4 })), meaning(model));
});
