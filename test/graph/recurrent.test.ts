import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import type { TensorMemory } from '../../runtime/kernels/kernels.ts';
import type { Model } from '../../soap/graph/graph.ts';
import { importOnnx } from '../../soap/graph/import.ts';
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor } from '../../soap/onnx/model.ts';
import { createRandom } from '../../soap/random.ts';
import { FileError } from '../../soap/schema/check.ts';
import { sizeOf } from '../kernels/graphs.ts';
import { distance } from '../support/op-checks.ts';
import { runGraph } from '../support/run-graph.ts';

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
  data: Float32Array.from({ length: sizeOf(shape) }, () => random.normal() / 2),
});
const list = (...values: number[]): OnnxTensor => ({
  dtype: 'int64',
  shape: [values.length],
  data: BigInt64Array.from(values, BigInt),
});
const zeros = (...shape: number[]): OnnxTensor => ({ dtype: 'float32', shape, data: new Float32Array(sizeOf(shape)) });

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
  const kernel = onnxRuntime.compile(onnx);
  const memory = Object.fromEntries(
    [...onnx.inputs, ...onnx.outputs].map(({ name, dtype, shape }) => [
      name,
      onnxRuntime.allocate(dtype, sizeOf(shape.map(Number))),
    ]),
  );
  for (const [name, values] of Object.entries(inputs)) values.forEach((value, i) => (memory[name]![i] = value));
  await kernel.bind(memory).run();
  kernel.release();
  return onnx.outputs.map(({ name }) => memory[name]!);
}

/** The largest distance between what the file gives by ONNX Runtime and what the imported model gives. */
async function error(onnx: OnnxGraph, unrollSteps: number): Promise<number> {
  const inputs = Object.fromEntries(
    onnx.inputs.map(({ name, shape }) => [
      name,
      Array.from({ length: sizeOf(shape.map(Number)) }, () => random.normal()),
    ]),
  );
  const model = importOnnx(onnx, { batch: N, unrollSteps });
  const actual = await runGraph(model, inputs, reference);
  const expected = await byOnnxRuntime(onnx, inputs);
  const toNumbers = (memory: TensorMemory): number[] => Array.from<number | bigint, number>(memory, Number);
  return Math.max(...model.graph.outputs.map((id, k) => distance(toNumbers(actual[id]!), toNumbers(expected[k]!))));
}

const kinds = ({ graph }: Model): string[] => graph.ops.map(({ kind }) => kind);

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
