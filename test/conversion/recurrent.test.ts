import { readFileSync } from 'node:fs';
import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import type { TensorMemory } from '../../runtime/kernels/kernels.ts';
import type { Model } from '../../soap/graph/graph.ts';
import { importOnnx } from '../../soap/conversion/import.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor } from '../../soap/onnx/model.ts';
import { createRandom } from '../../soap/random.ts';
import { decodeSafetensors } from '../../soap/safetensors/safetensors.ts';
import { FileError } from '../../soap/schema/check.ts';
import { runGraph } from '../support/kernel-graphs.ts';
import { distance } from '../support/op-checks.ts';
import { runWholeGraph } from '../support/whole-graph.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/** Samples, steps, input width, hidden units. */
const [N, S, IN, H] = [3, 7, 4, 5];
const TOLERANCE = 1e-5;

const reference = createReferenceEngine();
const onnxRuntime = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => onnxRuntime.close());

const int = (value: number): OnnxAttribute => ({ type: 'int', value });
const ints = (...value: number[]): OnnxAttribute => ({ type: 'ints', value });
const text = (value: string): OnnxAttribute => ({ type: 'string', value });
const strings = (...value: string[]): OnnxAttribute => ({ type: 'strings', value });
const random = createRandom(5);
const floats = (...shape: number[]): OnnxTensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from({ length: elementCount(shape) }, () => random.normal() / 2),
});
const list = (...values: number[]): OnnxTensor => ({
  dtype: 'int64',
  shape: [values.length],
  data: BigInt64Array.from(values, BigInt),
});
const filled = (value: number, ...shape: number[]): OnnxTensor => ({
  dtype: 'float32',
  shape,
  data: new Float32Array(elementCount(shape)).fill(value),
});

function node(
  opType: string,
  inputs: readonly string[],
  outputs: string | readonly string[],
  attributes: OnnxNode['attributes'] = {},
): OnnxNode {
  const names = typeof outputs === 'string' ? [outputs] : outputs;
  return { name: `/${names[0]}`, opType, domain: '', inputs, outputs: names, attributes };
}

const GATES: Readonly<Record<string, number>> = { LSTM: 4, GRU: 3, RNN: 1 };

/** The initializers of a node. */
function weightsOf(opType: string, directions: number, width: number = IN): Record<string, OnnxTensor> {
  const rows = GATES[opType]! * H;
  return {
    w: floats(directions, rows, width),
    r: floats(directions, rows, H),
    b: floats(directions, 2 * rows),
  };
}

/** A model of x [N, S, IN] and perhaps states [N, directions * H]; results are named. */
function graphOf(
  nodes: readonly OnnxNode[],
  initializers: Record<string, OnnxTensor>,
  outputs: Readonly<Record<string, readonly number[]>>,
  states: readonly string[] = [],
): OnnxGraph {
  return {
    name: 'g',
    opset: 17,
    inputs: [
      { name: 'x', dtype: 'float32', shape: [N, S, IN] },
      ...states.map((name) => ({ name, dtype: 'float32' as const, shape: [N, H] })),
    ],
    outputs: Object.entries(outputs).map(([name, shape]) => ({ name, dtype: 'float32' as const, shape })),
    initializers: new Map(Object.entries(initializers)),
    nodes,
  };
}

/** Runs the file as ONNX Runtime does, with its own recurrent kernels. */
async function byOnnxRuntime(
  onnx: OnnxGraph,
  inputs: Readonly<Record<string, readonly number[]>>,
): Promise<TensorMemory[]> {
  const results = await runGraph(onnxRuntime, onnx, inputs);
  return onnx.outputs.map(({ name }) => results[name]!);
}

/** The largest distance between what the file gives by ONNX Runtime and what the imported model gives. */
async function error(onnx: OnnxGraph, unrollSteps: number): Promise<number> {
  const inputs = Object.fromEntries(
    onnx.inputs.map(({ name, shape }) => [
      name,
      Array.from({ length: elementCount(shape.map(Number)) }, () => random.normal()),
    ]),
  );
  const model = importOnnx(onnx, { batch: N, unrollSteps });
  const { tensors } = await runWholeGraph(model, inputs, reference);
  const expected = await byOnnxRuntime(onnx, inputs);
  const toNumbers = (memory: TensorMemory): number[] => Array.from<number | bigint, number>(memory, Number);
  return Math.max(...model.graph.outputs.map((id, k) => distance(toNumbers(tensors[id]!), toNumbers(expected[k]!))));
}

const kinds = ({ graph }: Model): string => graph.ops.map(({ kind }) => kind).join(' ');

const variants: [string, string, OnnxNode['attributes'], number][] = [
  ['LSTM', 'forward', {}, 1],
  ['LSTM', 'in reverse', { direction: text('reverse') }, 1],
  ['LSTM', 'in both directions', { direction: text('bidirectional') }, 2],
  ['GRU', 'as PyTorch', { linear_before_reset: int(1) }, 1],
  ['GRU', 'that resets before the product', {}, 1],
  ['GRU', 'in both directions', { direction: text('bidirectional'), linear_before_reset: int(1) }, 2],
  ['RNN', 'of tanh', {}, 1],
  ['RNN', 'of relu', { activations: strings('Relu') }, 1],
  ['RNN', 'in both directions', { direction: text('bidirectional'), activations: strings('Tanh', 'Relu') }, 2],
];

for (const [opType, does, attributes, directions] of variants) {
  const outputs = ['y', 'yh', ...(opType === 'LSTM' ? ['yc'] : [])];
  const shapes = { y: [S, directions, N, H], yh: [directions, N, H], yc: [directions, N, H] };
  const settings = { ...attributes, hidden_size: int(H) };

  test(`${opType} ${does} is unrolled to what ONNX Runtime's own kernel gives`, async (t) => {
    const named = Object.fromEntries(Object.entries(shapes).filter(([name]) => outputs.includes(name)));
    const nodes = [
      node('Transpose', ['x'], 'xt', { perm: ints(1, 0, 2) }),
      node(opType, ['xt', 'w', 'r', 'b'], outputs, settings),
    ];
    const onnx = graphOf(nodes, weightsOf(opType, directions), named);
    for (const unrollSteps of [1, 3, 8]) t.true((await error(onnx, unrollSteps)) <= TOLERANCE);
  });

  test(`${opType} ${does} takes its states from inputs`, async (t) => {
    const states = opType === 'LSTM' ? ['h0', 'c0'] : ['h0'];
    const first = states.flatMap((name) => [
      node('Unsqueeze', [name, 'zero'], `${name}1`),
      ...(directions === 1 ? [] : [node('Concat', [`${name}1`, `${name}1`], `${name}2`, { axis: int(0) })]),
    ]);
    const operands = ['xt', 'w', 'r', 'b', '', ...states.map((name) => `${name}${directions}`)];
    const nodes = [
      ...first,
      node('Transpose', ['x'], 'xt', { perm: ints(1, 0, 2) }),
      node(opType, operands, outputs, settings),
    ];
    const initializers = { ...weightsOf(opType, directions), zero: list(0) };
    const onnx = graphOf(nodes, initializers, { y: shapes.y }, states);
    t.true((await error(onnx, 3)) <= TOLERANCE);
  });
}

/** Two layers in both directions, and the turns of axes that PyTorch's exporter writes around them. */
const STACKED: readonly OnnxNode[] = [
  node('Transpose', ['x'], 'xt', { perm: ints(1, 0, 2) }),
  node('LSTM', ['xt', 'w', 'r', 'b'], ['y1', 'yh1', 'yc1'], { direction: text('bidirectional'), hidden_size: int(H) }),
  node('Transpose', ['y1'], 'y1t', { perm: ints(0, 2, 1, 3) }),
  node('Reshape', ['y1t', 'sides'], 'x2'),
  node('LSTM', ['x2', 'w2', 'r2', 'b2'], ['y2', 'yh2'], { direction: text('bidirectional'), hidden_size: int(H) }),
  node('Transpose', ['y2'], 'y2t', { perm: ints(0, 2, 1, 3) }),
  node('Reshape', ['y2t', 'sides'], 'y2s'),
  node('Transpose', ['y2s'], 'y', { perm: ints(1, 0, 2) }),
];
const second = weightsOf('LSTM', 2, 2 * H);
const STACKED_WEIGHTS = {
  ...weightsOf('LSTM', 2),
  w2: second['w']!,
  r2: second['r']!,
  b2: second['b']!,
  sides: list(0, 0, -1),
};

test('stacked layers in both directions cost no turns of axes, and read each other group by group', async (t) => {
  const onnx = graphOf(STACKED, STACKED_WEIGHTS, { y: [N, S, 2 * H] });
  const layer = 'lstm lstm lstm lstm';
  const model = importOnnx(onnx, { batch: N, unrollSteps: 4 });
  t.is(kinds(model), `${layer} concat concat ${layer} concat concat concat`);
  t.true((await error(onnx, 4)) <= TOLERANCE);
});

const parts: [string, OnnxNode[], Record<string, OnnxTensor>, number[], string][] = [
  [
    'the last step',
    [node('Gather', ['all', 'last'], 'y', { axis: int(1) })],
    { last: { ...list(-1), shape: [] } },
    [N, 2 * H],
    'slice reshape',
  ],
  [
    'the first steps',
    [node('Slice', ['all', 'from', 'to', 'one'], 'y')],
    { from: list(0), to: list(4), one: list(1) },
    [N, 4, 2 * H],
    '',
  ],
  [
    'some steps',
    [node('Slice', ['all', 'from', 'to', 'one'], 'y')],
    { from: list(3), to: list(-2), one: list(1) },
    [N, 2, 2 * H],
    'slice slice concat',
  ],
  [
    'the last states of both directions',
    [
      node('Gather', ['yh2', 'first'], 'ahead', { axis: int(0) }),
      node('Gather', ['yh2', 'last'], 'back', { axis: int(0) }),
      node('Concat', ['ahead', 'back'], 'y', { axis: int(1) }),
    ],
    { first: { ...list(0), shape: [] }, last: { ...list(-1), shape: [] } },
    [N, 2 * H],
    'concat',
  ],
];
for (const [what, nodes, initializers, shape, expected] of parts) {
  test(`${what} of a layer come without the others`, async (t) => {
    const all = STACKED.map((each) => (each.outputs[0] === 'y' ? { ...each, name: '/all', outputs: ['all'] } : each));
    const onnx = graphOf([...all, ...nodes], { ...STACKED_WEIGHTS, ...initializers }, { y: shape });
    t.regex(kinds(importOnnx(onnx, { batch: N, unrollSteps: 4 })), new RegExp(`lstm( concat)* ?${expected}$`));
    t.true((await error(onnx, 4)) <= TOLERANCE);
  });
}

test('layout 1, samples first, means the same', async (t) => {
  const weights = { ...weightsOf('GRU', 2) };
  const settings = { direction: text('bidirectional'), hidden_size: int(H) };
  const timeFirst = graphOf(
    [
      node('Transpose', ['x'], 'xt', { perm: ints(1, 0, 2) }),
      node('GRU', ['xt', 'w', 'r', 'b'], ['yt', 'yh'], settings),
      node('Transpose', ['yt'], 'y', { perm: ints(2, 0, 1, 3) }),
      node('Transpose', ['yh'], 'h', { perm: ints(1, 0, 2) }),
    ],
    weights,
    { y: [N, S, 2, H], h: [N, 2, H] },
  );
  const samplesFirst = graphOf(
    [node('GRU', ['x', 'w', 'r', 'b'], ['y', 'h'], { ...settings, layout: int(1) })],
    weights,
    { y: [N, S, 2, H], h: [N, 2, H] },
  );
  const x = Array.from({ length: N * S * IN }, () => random.normal());
  const results = async (onnx: OnnxGraph): Promise<TensorMemory[]> => {
    const model = importOnnx(onnx, { batch: N, unrollSteps: 2 });
    const { tensors } = await runWholeGraph(model, { x }, reference);
    return model.graph.outputs.map((id) => tensors[id]!);
  };
  t.deepEqual(await results(samplesFirst), await results(timeFirst));
});

/** Names of states, and of both together, as exporters call what they have folded; a module's are others. */
const [HIDDEN, MEMORY, BOTH] = ['onnx::LSTM_101', 'onnx::LSTM_102', 'onnx::Slice_99'];

/** An LSTM of x [N, S, IN] that starts from {@link HIDDEN} and {@link MEMORY}. */
const STARTED = [
  node('Transpose', ['x'], 'xt', { perm: ints(1, 0, 2) }),
  node('LSTM', ['xt', 'w', 'r', 'b', '', HIDDEN, MEMORY], 'y', { hidden_size: int(H) }),
];

const starts: [string, OnnxNode[], Record<string, OnnxTensor>, string][] = [
  [
    'zeros of the file',
    [],
    { [HIDDEN]: filled(0, 1, N, H), [MEMORY]: filled(0, 1, N, H) },
    '{"start":0,"steps":7,"initial":true}',
  ],
  [
    'zeros expanded to the batch of the file, whatever that of the job',
    [
      node('Slice', [BOTH, 'zero', 'one', 'zero'], 'h1'),
      node('Expand', ['h1', 'shape'], HIDDEN),
      node('Slice', [BOTH, 'one', 'two', 'zero'], 'c1'),
      node('Expand', ['c1', 'shape'], MEMORY),
    ],
    { [BOTH]: filled(0, 2, N, H), zero: list(0), one: list(1), two: list(2), shape: list(1, N + 1, H) },
    '{"start":0,"steps":7,"initial":true}',
  ],
  [
    'a computed hidden state and zeros for the other',
    [node('Unsqueeze', ['h0', 'zero'], HIDDEN)],
    { zero: list(0), [MEMORY]: filled(0, 1, N, H) },
    '{"start":0,"steps":7,"initial":"memory"}',
  ],
  [
    'a computed cell state and no other',
    [node('Unsqueeze', ['h0', 'zero'], MEMORY)],
    { zero: list(0), [HIDDEN]: filled(0, 1, N, H) },
    '{"start":0,"steps":7,"initial":"hidden"}',
  ],
];
for (const [what, nodes, initializers, attributes] of starts) {
  test(`an LSTM starts from ${what}`, async (t) => {
    const weights = { ...weightsOf('LSTM', 1), ...initializers };
    const onnx = graphOf([...nodes, ...STARTED], weights, { y: [S, 1, N, H] }, ['h0']);
    const { graph } = importOnnx(onnx, { batch: N, unrollSteps: 8 });
    t.is(JSON.stringify(graph.ops[0]!.attributes), attributes);
    if (!('shape' in initializers)) t.true((await error(onnx, 8)) <= TOLERANCE);
  });
}

for (const [does, start] of [
  ['at zeros', filled(0, 2, 1, H)],
  ['anywhere', floats(2, 1, H)],
] as const) {
  test(`a learned state that starts ${does} is trained, in a plan of the structure too`, async (t) => {
    const nodes = [
      node('Slice', ['start', 'zero', 'one', 'zero'], 'h1'),
      node('Expand', ['h1', 'shape'], HIDDEN),
      node('Slice', ['start', 'one', 'two', 'zero'], 'c1'),
      node('Expand', ['c1', 'shape'], MEMORY),
      ...STARTED,
    ];
    const lists = { zero: list(0), one: list(1), two: list(2), shape: list(1, N, H) };
    const onnx = graphOf(nodes, { ...weightsOf('LSTM', 1), start, ...lists }, { y: [S, 1, N, H] });
    const options = { batch: N, unrollSteps: 8 };
    const { graph, weights } = importOnnx(onnx, options);
    t.true(weights.has('start'));
    t.true((await error(onnx, 8)) <= TOLERANCE);
    const withoutWeights = decodeOnnx(
      encodeOnnx(onnx, (name) => weights.has(name)),
      'the structure',
      'zeros',
    );
    t.deepEqual(importOnnx(withoutWeights, options).graph, graph);
  });
}

const refusals: [string, string, Record<string, OnnxTensor>, OnnxNode, RegExp][] = [
  [
    'clipping',
    'LSTM',
    {},
    node('LSTM', ['xt', 'w', 'r'], 'y', { clip: { type: 'float', value: 3 } }),
    /clips its sums/,
  ],
  ['coupled gates', 'LSTM', {}, node('LSTM', ['xt', 'w', 'r'], 'y', { input_forget: int(1) }), /input_forget/],
  ['peepholes', 'LSTM', { p: floats(1, 3 * H) }, node('LSTM', ['xt', 'w', 'r', '', '', '', '', 'p'], 'y'), /peephole/],
  [
    'other activations',
    'GRU',
    {},
    node('GRU', ['xt', 'w', 'r'], 'y', { activations: strings('HardSigmoid', 'Tanh') }),
    /activations HardSigmoid, Tanh; expected Sigmoid, Tanh/,
  ],
  [
    'sequences of several lengths',
    'RNN',
    { lengths: list(7, 7, 6) },
    node('RNN', ['xt', 'w', 'r', '', 'lengths'], 'y'),
    /expected every sequence to have all 7 steps/,
  ],
  [
    'a constant state',
    'RNN',
    { [HIDDEN]: filled(1, 1, N, H) },
    node('RNN', ['xt', 'w', 'r', '', '', HIDDEN], 'y'),
    /starts from a constant state; expected zeros/,
  ],
  [
    'a state learned for a fixed batch',
    'RNN',
    { h: filled(0, 1, N, H) },
    node('RNN', ['xt', 'w', 'r', '', '', 'h'], 'y'),
    /starts from a learned state of a fixed batch; expected zeros/,
  ],
  [
    'peepholes that are zeros at first',
    'LSTM',
    { p: filled(0, 1, 3 * H) },
    node('LSTM', ['xt', 'w', 'r', '', '', '', '', 'p'], 'y'),
    /peephole/,
  ],
  ['weights of another shape', 'LSTM', {}, node('GRU', ['xt', 'w', 'r'], 'y'), /weights of shape \[1,20,4\]; expected/],
  ['an unknown direction', 'RNN', {}, node('RNN', ['xt', 'w', 'r'], 'y', { direction: text('up') }), /direction 'up'/],
  ['computed weights', 'RNN', {}, node('RNN', ['xt', 'xt', 'r'], 'y'), /weights that are computed; expected constants/],
  ['inputs that are not there', 'RNN', {}, node('RNN', ['xt', 'gone', 'r'], 'y'), /reads 'gone'/],
];
for (const [what, weights, initializers, refused, message] of refusals) {
  test(`${what} are refused`, (t) => {
    const nodes = [node('Transpose', ['x'], 'xt', { perm: ints(1, 0, 2) }), refused];
    const onnx = graphOf(nodes, { ...weightsOf(weights, 1), ...initializers }, { y: [S, 1, N, H] });
    t.throws(() => importOnnx(onnx, { batch: N }), { instanceOf: FileError, message });
  });
}

test('layers that read the same weights share the parameter', (t) => {
  const nodes = [
    node('Transpose', ['x'], 'xt', { perm: ints(1, 0, 2) }),
    node('RNN', ['xt', 'w', 'r', 'b'], 'y1'),
    node('Squeeze', ['y1', 'direction'], 'x2'),
    node('RNN', ['x2', 'w', 'r', 'b'], 'y'),
  ];
  const weights = { w: floats(1, H, H), r: floats(1, H, H), b: floats(1, 2 * H), direction: list(1) };
  const onnx = graphOf(nodes, weights, { y: [S, 1, N, H] });
  const inputs = [{ name: 'x', dtype: 'float32' as const, shape: [N, S, H] }];
  const { graph } = importOnnx({ ...onnx, inputs }, { batch: N, unrollSteps: 1 });
  t.deepEqual(
    graph.tensors.filter(({ role }) => role === 'parameter').map(({ name, shape }) => `${name} ${shape}`),
    [`w 1,${H},${H}`, `r 1,${H},${H}`, `b 2,1,${H}`],
  );
});

interface Reference {
  readonly lossesFloat64: readonly number[];
  readonly gradientNormsStep0Float64: Readonly<Record<string, number>>;
}

test("the golden lstm has PyTorch's first loss and the norm of every gradient, under PyTorch's names", async (t) => {
  const file = (name: string): Buffer => readFileSync(new URL(`../golden/lstm/${name}`, import.meta.url));
  const recorded: Reference = JSON.parse(file('reference.json').toString());
  const { tensors: data } = decodeSafetensors(file('data.safetensors'), 'data.safetensors');
  const batch = 16;
  const firstRows = (name: string): ArrayLike<number | bigint> => data.get(name)!.data.subarray(0, batch * 20);
  for (const unrollSteps of [8, 20]) {
    const model = importOnnx(decodeOnnx(file('model.onnx')), { batch, unrollSteps });
    const { tensors, backward } = await runWholeGraph(model, { tokens: firstRows('tokens') }, reference);
    const logits = tensors[model.graph.outputs[0]!]!;
    const { loss, gradient } = crossEntropy(Array.from(logits, Number), Array.from(firstRows('targets'), Number));
    t.true(Math.abs(loss - recorded.lossesFloat64[0]!) <= 1e-5, `loss ${loss}`);
    const gradients = await backward(gradient);
    const norms = model.graph.tensors
      .filter(({ role }) => role === 'parameter')
      .map(({ id, name }): [string, number] => [name, Math.hypot(...gradients[id]!)]);
    const expected = recorded.gradientNormsStep0Float64;
    t.deepEqual(norms.map(([name]) => name).toSorted(), Object.keys(expected).toSorted());
    for (const [name, norm] of norms) {
      t.true(Math.abs(norm - expected[name]!) <= 1e-4 * expected[name]!, `${name}: ${norm}`);
    }
  }
});

/** The mean cross-entropy of logits [rows, classes], and its gradient. */
function crossEntropy(logits: readonly number[], targets: readonly number[]): { loss: number; gradient: number[] } {
  const classes = logits.length / targets.length;
  let loss = 0;
  const gradient = targets.flatMap((target, row) => {
    const exponentials = logits.slice(row * classes, (row + 1) * classes).map(Math.exp);
    const sum = exponentials.reduce((a, b) => a + b, 0);
    loss -= Math.log(exponentials[target]! / sum) / targets.length;
    return exponentials.map((each, k) => (each / sum - (k === target ? 1 : 0)) / targets.length);
  });
  return { loss, gradient };
}
