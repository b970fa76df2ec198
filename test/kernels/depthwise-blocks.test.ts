/** Convolutions with a kernel for each channel over blocks of channels, against the reference. */
import test from 'ava';
import { useDepthwiseBlocks } from '../../runtime/kernels/onnxruntime/depthwise-blocks.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import type { PlainAttributes } from '../support/kernel-graphs.ts';
import { filled, nodeGraph, runGraph } from '../support/kernel-graphs.ts';

interface Case {
  readonly does: string;
  readonly op?: 'Conv' | 'ConvTranspose';
  readonly attributes?: PlainAttributes;
  readonly x: readonly number[];
  readonly taps: readonly number[];
  readonly y: readonly number[];
  readonly bias?: true;
  /** Whether it stays, on a processor with blocks of 16. */
  readonly stays?: true;
}

const CASES: readonly Case[] = [
  { does: 'in whole blocks', attributes: { pads: [1, 1, 1, 1] }, x: [2, 32, 5, 6], taps: [3, 3], y: [2, 32, 5, 6] },
  {
    does: 'with uneven pads, strides, dilations and a bias',
    attributes: { pads: [2, 0, 1, 3], strides: [2, 1], dilations: [1, 2] },
    x: [1, 16, 8, 9],
    taps: [5, 3],
    y: [1, 16, 4, 8],
    bias: true,
  },
  {
    does: 'whose channels of all samples are whole blocks, with a bias',
    attributes: { pads: [1, 1, 1, 1], strides: [2, 2] },
    x: [4, 12, 6, 7],
    taps: [3, 3],
    y: [4, 12, 3, 4],
    bias: true,
  },
  {
    does: 'with kernels as large as the image',
    attributes: { dilations: [2, 1] },
    x: [1, 48, 11, 9],
    taps: [5, 7],
    y: [1, 48, 3, 3],
  },
  { does: 'of signals', attributes: { pads: [3, 0] }, x: [2, 24, 11], taps: [4], y: [2, 24, 11], bias: true },
  {
    does: 'transposed',
    op: 'ConvTranspose',
    attributes: { pads: [1, 0, 2, 1] },
    x: [2, 32, 5, 6],
    taps: [4, 3],
    y: [2, 32, 5, 7],
  },
  {
    does: 'transposed, whose channels of all samples are whole blocks, with dilations',
    op: 'ConvTranspose',
    attributes: { pads: [2, 1, 2, 1], dilations: [2, 1] },
    x: [4, 4, 5, 6],
    taps: [3, 3],
    y: [4, 4, 5, 6],
  },
  {
    does: 'transposed, of signals',
    op: 'ConvTranspose',
    attributes: { pads: [2, 0] },
    x: [2, 16, 8],
    taps: [3],
    y: [2, 16, 8],
  },
  {
    does: 'transposed, with strides',
    op: 'ConvTranspose',
    attributes: { strides: [2, 2] },
    x: [1, 16, 4, 4],
    taps: [3, 3],
    y: [1, 16, 9, 9],
    stays: true,
  },
  {
    does: 'transposed, with more pads than a kernel reaches',
    op: 'ConvTranspose',
    attributes: { pads: [3, 0, 0, 0] },
    x: [1, 16, 5, 4],
    taps: [3, 3],
    y: [1, 16, 4, 6],
    stays: true,
  },
  { does: 'of channels that are no whole blocks', x: [3, 4, 5, 5], taps: [3, 3], y: [3, 4, 3, 3], stays: true },
  { does: 'of one tap', x: [2, 16, 3, 3], taps: [1, 1], y: [2, 16, 3, 3], stays: true },
  { does: 'of volumes', x: [2, 16, 3, 3, 4], taps: [2, 2, 2], y: [2, 16, 2, 2, 3], stays: true },
];

function graphOf({ op = 'Conv', attributes = {}, x, taps, y, bias }: Case): OnnxGraph {
  const channels = x[1]!;
  const inputs = [
    filled(x, 1),
    filled([channels, 1, ...taps], 2),
    ...(bias === undefined ? [] : [filled([channels], 3)]),
  ];
  const all = { kernel_shape: taps, group: channels, ...attributes };
  return nodeGraph({ op, attributes: all, inputs }, [{ dtype: 'float32', shape: y }]);
}

for (const each of CASES) {
  const { op = 'Conv', does, stays = false } = each;
  test(`${op} with a kernel for each channel, ${does}, ${stays ? 'stays' : 'is over blocks'}`, (t) => {
    const { nodes } = useDepthwiseBlocks(graphOf(each), 16);
    t.is(nodes.filter(({ opType, domain }) => opType === op && domain === '').length, stays ? 1 : 0);
  });
  test(`${op} with a kernel for each channel, ${does}, gives what the reference does`, async (t) => {
    const graph = graphOf(each);
    const values = Object.fromEntries(
      graph.inputs.map(({ name, shape }, i) => [name, filled(shape.map(Number), i + 1).data]),
    );
    const engines = [createOnnxRuntimeEngine({ threads: 1 }), createReferenceEngine()];
    const [ours, theirs] = await Promise.all(engines.map((engine) => runGraph(engine, graph, values)));
    const scale = Math.sqrt(elementCount(each.taps));
    theirs!['y0']!.forEach((value, i) => t.true(Math.abs(Number(value) - Number(ours!['y0']![i])) < 1e-6 * scale));
    for (const engine of engines) engine.close();
  });
}

test('without blocks, all stay', (t) => {
  for (const each of CASES) t.deepEqual(useDepthwiseBlocks(graphOf(each), undefined), graphOf(each));
});

test('groups of two channels each, and kernels that make two of one, stay', (t) => {
  for (const [x, weight, group] of [
    [[2, 32, 5, 5], [32, 2, 3, 3], 16],
    [[2, 16, 5, 5], [32, 1, 3, 3], 16],
  ] as const) {
    const inputs = [filled(x, 1), filled(weight, 2)];
    const graph = nodeGraph({ op: 'Conv', attributes: { group }, inputs }, [
      { dtype: 'float32', shape: [2, 32, 3, 3] },
    ]);
    t.deepEqual(useDepthwiseBlocks(graph, 16).nodes, graph.nodes);
  }
});

test('a value that two convolutions read as the same images is put into blocks once', (t) => {
  const graph = graphOf(CASES[0]!);
  const again = { ...graph.nodes[0]!, name: 'again', outputs: ['y1'] };
  const outputs = ['y0', 'y1'].map((name) => ({ ...graph.outputs[0]!, name }));
  const { nodes } = useDepthwiseBlocks({ ...graph, outputs, nodes: [...graph.nodes, again] }, 16);
  t.is(nodes.filter(({ opType, inputs }) => opType === 'ReorderInput' && inputs[0] === 'x0').length, 1);
});
