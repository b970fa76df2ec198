import test from 'ava';
import { exportOnnx } from '../../soap/conversion/export.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { importOnnx } from '../../soap/conversion/import.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import type { ModelParameters } from '../../soap/models/index.ts';
import { BUILTIN_MODELS, builtinGraph, builtinModel, findBuiltin } from '../../soap/models/index.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';
import { opDimensions } from '../../soap/ops/index.ts';
import { SMALL_MODELS, titleOf } from './small.ts';

const BATCH = 64;

interface FullSize {
  readonly name: string;
  readonly parameters?: ModelParameters;
  /** Where published, as the comment says; else by hand. */
  readonly trained: number;
  readonly ops: number;
  readonly outputs: readonly (readonly number[])[];
}

const images = [[BATCH, 1000]];
const pieces = (vocabulary: number): number[][] => Array.from({ length: 5 }, () => [BATCH, 8, vocabulary]);
/** Numbers of an LSTM layer, with both biases of torch.nn.LSTM. */
const lstm = (input: number, hidden: number): number => 4 * hidden * (input + hidden + 2);
/** Numbers of linear layers one after another, from the first width to the last. */
const linears = (...widths: number[]): number =>
  widths.slice(1).reduce((sum, width, i) => sum + width * (widths[i]! + 1), 0);

const FULL_SIZE: readonly FullSize[] = [
  // torchvision's documentation gives num_params of its models.
  { name: 'alexnet', trained: 61_100_840, ops: 19, outputs: images },
  { name: 'resnet50', trained: 25_557_032, ops: 175, outputs: images },
  { name: 'resnet101', trained: 44_549_160, ops: 345, outputs: images },
  { name: 'resnext50', trained: 25_028_904, ops: 175, outputs: images },
  { name: 'vit', trained: 86_567_656, ops: 154, outputs: images },
  // A position and the class token less.
  { name: 'vit', parameters: { classToken: false }, trained: 86_567_656 - 2 * 768, ops: 151, outputs: images },
  // torchvision's 27,161,264 without the 3,326,696 of the auxiliary classifier.
  { name: 'inceptionv3', trained: 27_161_264 - 3_326_696, ops: 313, outputs: images },
  // The paper's layers: 101 convolutions and linear layers, and those of four shortcuts, with biases.
  { name: 'resnet101', parameters: { batchNorm: false }, trained: 44_549_160 - 52_672, ops: 241, outputs: images },
  { name: 'lenet', trained: 61_706, ops: 12, outputs: [[BATCH, 10]] },
  // GPT-2's 124,439,808, and an output layer of its own.
  { name: 'gpt', trained: 124_439_808 + 50_257 * 768, ops: 148, outputs: [[BATCH, 1024, 50_257]] },
  // 109,482,240 of bert-base-uncased in transformers, and a classifier.
  { name: 'bert', trained: 109_482_240 + 768 * 2 + 2, ops: 154, outputs: [[BATCH, 2]] },
  // The same as gpt where each block has eight experts in place of its feed-forward layer, and a gate.
  {
    name: 'moe',
    trained: 124_439_808 + 50_257 * 768 + 12 * (7 * (2 * 768 * 3072 + 3072 + 768) + 8 * 768 + 8),
    ops: 148,
    outputs: [[BATCH, 1024, 50_257]],
  },
  // About 540 million says the DLRM paper of these sizes.
  {
    name: 'dlrm',
    trained: 33_762_577 * 16 + linears(13, 512, 256, 64, 16) + linears(16 + (27 * 26) / 2, 512, 256, 1),
    ops: 46,
    outputs: [[BATCH, 1]],
  },
  {
    name: 'rnntc',
    trained: 20_000 * 1024 + 4 * lstm(1024, 1024) + 2 * 1025,
    ops: 5 * 5 + 1,
    outputs: [[BATCH, 2]],
  },
  {
    name: 'rnnlm',
    trained: 10_000 * 2048 + 2 * lstm(2048, 2048) + 10_000 * 2049,
    ops: 5 * 4,
    outputs: pieces(10_000),
  },
  {
    name: 'nmt',
    trained: 2 * 32_000 * 1024 + 4 * lstm(1024, 1024) + 2 * 1024 * 1024 + 32_000 * 1025,
    ops: 5 * 11 + 1,
    outputs: pieces(32_000),
  },
  {
    name: 'nmt',
    parameters: { group: 1 },
    trained: 2 * 32_000 * 1024 + 4 * lstm(1024, 1024) + 2 * 1024 * 1024 + 32_000 * 1025,
    ops: 40 * 11 + 1,
    outputs: Array.from({ length: 40 }, () => [BATCH, 1, 32_000]),
  },
];

/** Numbers that are trained; shared parameters count once. */
function trainedIn({ tensors }: Graph): number {
  return tensors
    .filter(({ role }) => role === 'parameter')
    .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

/** What is wrong with the dimensions that the ops of a graph can be split along. */
function dimensionProblems(graph: Graph): string[] {
  return graph.ops.flatMap((op) => {
    const dimensions = opDimensions(graph, op);
    const shape = graph.tensors[op.outputs[0]!]!.shape;
    const names = dimensions.map(({ name }) => name);
    const axes = dimensions.flatMap(({ axis }) => (axis === undefined ? [] : [axis]));
    return [
      ...(names.includes('sample') ? [] : [`${op.name} has no samples`]),
      ...(new Set(names).size === names.length ? [] : [`${op.name} has dimensions ${names.join()}`]),
      ...(new Set(axes).size === axes.length ? [] : [`${op.name} has two dimensions of an axis`]),
      ...dimensions
        .filter(({ size, axis }) => !(size >= 1 && (axis === undefined || shape[axis]! % size === 0)))
        .map(({ name, size }) => `${op.name} has ${size} of ${name} in [${shape}]`),
    ];
  });
}

for (const { name, parameters = {}, trained, ops, outputs } of FULL_SIZE) {
  const settings = Object.entries(parameters).map(([key, value]) => ` ${key}=${String(value)}`);
  test(`${name}${settings.join('')} at full size: trained numbers, ops and results as published, dimensions that fit`, (t) => {
    const start = performance.now();
    const graph = builtinGraph(name, BATCH, parameters);
    t.true(performance.now() - start < 2000);
    t.is(trainedIn(graph), trained);
    t.is(graph.ops.length, ops);
    t.deepEqual(
      graph.outputs.map((id) => graph.tensors[id]!.shape),
      outputs,
    );
    t.deepEqual(dimensionProblems(graph), []);
    t.notThrows(() => attachLoss(graph, findBuiltin(name).loss));
  });
}

test('every model is in the tables of these tests', (t) => {
  const names = BUILTIN_MODELS.map(({ name }) => name).toSorted();
  t.deepEqual([...new Set(FULL_SIZE.map(({ name }) => name))].toSorted(), names);
  t.deepEqual([...new Set(SMALL_MODELS.map(({ name }) => name))].toSorted(), names);
});

for (const small of SMALL_MODELS) {
  test(`${titleOf(small)}: builds, names are unique, every tensor is read`, (t) => {
    const graph = builtinGraph(small.name, 4, small.parameters);
    t.true(trainedIn(graph) < 100_000);
    t.deepEqual(dimensionProblems(graph), []);
    const names = graph.tensors.map(({ name }) => name);
    t.is(new Set(names).size, names.length);
    const used = new Set([...graph.ops.flatMap(({ inputs }) => inputs), ...graph.outputs]);
    const producers = new Map(graph.ops.flatMap(({ outputs, kind }) => outputs.map((id) => [id, kind])));
    // The states after the last step of a sequence go nowhere.
    const unread = graph.tensors.filter(({ id }) => !used.has(id) && producers.get(id) !== 'lstm');
    t.deepEqual(unread, []);
  });
}

for (const small of SMALL_MODELS) {
  test(`${titleOf(small)}: written to an ONNX file and read again, it has the same weights and results`, (t) => {
    const model = builtinModel(small.name, 4, 1, small.parameters);
    const again = importOnnx(decodeOnnx(encodeOnnx(exportOnnx(model))), { batch: 4 });
    t.is(trainedIn(again.graph), trainedIn(model.graph));
    const shapesOf = ({ tensors, outputs }: Graph): unknown => outputs.map((id) => tensors[id]!.shape);
    t.deepEqual(shapesOf(again.graph), shapesOf(model.graph));
  });
}
