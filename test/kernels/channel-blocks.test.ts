import test from 'ava';
import { useChannelBlocks } from '../../runtime/kernels/onnxruntime/channel-blocks.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import type { PlainAttributes } from '../support/kernel-graphs.ts';
import { filled, node, nodeGraph, runGraph } from '../support/kernel-graphs.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

interface Case {
  readonly op: 'Conv' | 'ConvTranspose';
  readonly attributes: PlainAttributes;
  readonly x: readonly number[];
  readonly weight: readonly number[];
  readonly y: readonly number[];
  /** Op types and domains that the graph must come to, on a processor with blocks of 16. */
  readonly becomes: string;
  readonly bias?: true;
  readonly relu?: true;
}

const BLOCKED =
  'nchwc.ReorderInput Reshape nchwc.ReorderInput Reshape Transpose Reshape nchwc.Conv nchwc.ReorderOutput';
const REVERSED =
  'nchwc.ReorderInput Reshape nchwc.ReorderInput Reshape Transpose Gather Reshape nchwc.Conv nchwc.ReorderOutput';

const OF_FEW = 'Reshape nchwc.ReorderInput Reshape nchwc.Conv nchwc.ReorderOutput';

const CASES: readonly Case[] = [
  {
    op: 'Conv',
    attributes: { pads: [1, 1, 1, 1] },
    x: [2, 32, 7, 6],
    weight: [48, 32, 3, 3],
    y: [2, 48, 7, 6],
    becomes: BLOCKED,
    bias: true,
    relu: true,
  },
  {
    op: 'Conv',
    attributes: { pads: [2, 0, 1, 3], strides: [2, 1], dilations: [1, 2] },
    x: [1, 16, 8, 9],
    weight: [32, 16, 5, 3],
    y: [1, 32, 4, 8],
    becomes: BLOCKED,
  },
  {
    op: 'Conv',
    attributes: { pads: [2, 2, 2, 2], strides: [4, 4] },
    x: [2, 3, 14, 19],
    weight: [32, 3, 7, 7],
    y: [2, 32, 3, 5],
    becomes: OF_FEW,
    bias: true,
    relu: true,
  },
  {
    op: 'Conv',
    attributes: { group: 2, dilations: [2, 5] },
    x: [1, 6, 9, 30],
    weight: [64, 3, 3, 4],
    y: [1, 64, 5, 15],
    becomes: OF_FEW,
  },
  { op: 'Conv', attributes: { group: 2 }, x: [1, 6, 4, 4], weight: [16, 3, 3, 3], y: [1, 16, 2, 2], becomes: 'Conv' },
  {
    op: 'ConvTranspose',
    attributes: { pads: [1, 1, 1, 1] },
    x: [2, 48, 5, 6],
    weight: [48, 16, 3, 3],
    y: [2, 16, 5, 6],
    becomes: REVERSED,
  },
  {
    op: 'ConvTranspose',
    attributes: { pads: [0, 2, 1, 1], dilations: [2, 1] },
    x: [1, 16, 5, 6],
    weight: [16, 32, 2, 5],
    y: [1, 32, 6, 7],
    becomes: REVERSED,
    relu: true,
  },
  {
    op: 'ConvTranspose',
    attributes: {},
    x: [2, 6, 5, 4],
    weight: [6, 10, 1, 1],
    y: [2, 10, 5, 4],
    becomes: 'Transpose Conv',
  },
  {
    op: 'ConvTranspose',
    attributes: { strides: [2, 2] },
    x: [1, 16, 4, 4],
    weight: [16, 16, 3, 3],
    y: [1, 16, 9, 9],
    becomes: 'ConvTranspose',
  },
  { op: 'Conv', attributes: {}, x: [1, 16, 4, 4], weight: [24, 16, 3, 3], y: [1, 24, 2, 2], becomes: 'Conv' },
  {
    op: 'Conv',
    attributes: { group: 2 },
    x: [1, 32, 4, 4],
    weight: [16, 16, 3, 3],
    y: [1, 16, 2, 2],
    becomes: 'Conv',
  },
];

/** The convolution, and a Relu after it where the case has one. */
function graphOf({ op, attributes, x, weight, y, bias, relu }: Case): OnnxGraph {
  const channels = y[1]!;
  const inputs = [filled(x, 1), filled(weight, 2), ...(bias === undefined ? [] : [filled([channels], 3)])];
  const kernel = { kernel_shape: weight.slice(2), ...attributes };
  const graph = nodeGraph({ op, attributes: kernel, inputs }, [{ dtype: 'float32', shape: y }]);
  if (relu === undefined) return graph;
  const convolution = { ...graph.nodes[0]!, outputs: ['z'] };
  return { ...graph, nodes: [convolution, node('Relu', ['z'], ['y0'])] };
}

for (const each of CASES) {
  const { op, attributes, x, weight, becomes } = each;
  const title = `${op} ${JSON.stringify(attributes)} of [${x}] by [${weight}]${each.relu ? ' with Relu' : ''}`;
  test(`${title} becomes ${becomes}`, (t) => {
    const { nodes } = useChannelBlocks(graphOf(each), 16);
    const types = nodes.map(({ domain, opType }) => [...domain.split('.').slice(2), opType].join('.'));
    t.is(types.join(' '), becomes);
  });
  test(`${title} gives what the reference does`, async (t) => {
    const graph = graphOf(each);
    const values = Object.fromEntries(
      graph.inputs.map(({ name, shape }, i) => [name, filled(shape.map(Number), i + 1).data]),
    );
    const engines = [createOnnxRuntimeEngine({ threads: 1 }), createReferenceEngine()];
    const [ours, theirs] = await Promise.all(engines.map((engine) => runGraph(engine, graph, values)));
    const scale = Math.sqrt(elementCount(weight));
    theirs!['y0']!.forEach((value, i) => t.true(Math.abs(Number(value) - Number(ours!['y0']![i])) < 1e-6 * scale));
    for (const engine of engines) engine.close();
  });
}

test('without blocks, only transposed convolutions of one tap change', (t) => {
  const changed = CASES.filter((each) => {
    const graph = graphOf(each);
    return useChannelBlocks(graph, undefined).nodes.some((node, i) => node !== graph.nodes[i]);
  });
  t.deepEqual(
    changed.map(({ weight }) => weight),
    [[6, 10, 1, 1]],
  );
});

test('a value that several convolutions read is put into blocks once', (t) => {
  const graph = graphOf(CASES[0]!);
  const [first] = graph.nodes;
  const again = { ...first!, name: 'again', outputs: ['z2'] };
  const { nodes } = useChannelBlocks({ ...graph, nodes: [first!, again] }, 16);
  const reordered = nodes.filter(({ opType, inputs }) => opType === 'ReorderInput' && inputs[0] === first!.inputs[0]);
  t.is(reordered.length, 1);
});
