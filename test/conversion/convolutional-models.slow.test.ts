import { readFileSync } from 'node:fs';
import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { exportOnnx } from '../../soap/conversion/export.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { importOnnx } from '../../soap/conversion/import.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import type { OnnxValue } from '../../soap/onnx/model.ts';
import { singleDevice } from '../../soap/baselines/index.ts';
import { filled, runGraph } from '../support/kernel-graphs.ts';
import { distance } from '../support/op-checks.ts';
import { devices, goldenCase, relativeError, trainInMemory } from '../support/train-in-memory.ts';

/** Golden losses are of float64, kernels of float32. */
const LOSS_TOLERANCE = 1e-6;

const read = (path: string): Buffer => readFileSync(new URL(path, import.meta.url));

/** Ops by kind, and parameters. */
function counts({ ops, tensors }: Graph): Record<string, number> {
  const parameters = tensors.filter(({ role }) => role === 'parameter').length;
  const kinds = Map.groupBy(ops, ({ kind }) => kind);
  return { ...Object.fromEntries([...kinds].map(([kind, { length }]) => [kind, length])), parameters };
}

const golden = await goldenCase('resnet');

test('golden resnet has every op, and a parameter for each that PyTorch trains', (t) => {
  const { graph } = golden.loaded.training;
  const reference: { gradientNormsStep0Float64: object } = JSON.parse(
    read('../golden/resnet/reference.json').toString(),
  );
  t.deepEqual(counts(graph), {
    conv2d: 12,
    batchNorm: 12,
    relu: 9,
    maxPool2d: 1,
    add: 4,
    globalAveragePool: 1,
    flatten: 1,
    linear: 1,
    crossEntropy: 1,
    parameters: Object.keys(reference.gradientNormsStep0Float64).length,
  });
});

for (const [engine, steps] of [
  [createReferenceEngine(), 1],
  [createOnnxRuntimeEngine({ threads: 1 }), 2],
] as const) {
  test(`golden resnet whole in ${engine.name} has the first losses of PyTorch`, async (t) => {
    const strategy = singleDevice(golden.loaded.training.graph);
    const losses = await trainInMemory(golden, devices(1), strategy, engine, steps);
    engine.close();
    t.true(relativeError(losses, golden.losses.slice(0, steps)) <= LOSS_TOLERANCE, String(losses));
  });
}

const LIGHT: readonly [name: string, counts: Record<string, number>][] = [
  ['bvlc_alexnet', { conv2d: 5, relu: 7, lrn: 2, maxPool2d: 3, flatten: 1, linear: 3, softmax: 1, parameters: 16 }],
  [
    'resnet50',
    { conv2d: 53, batchNorm: 53, relu: 49, sum: 16, maxPool2d: 1, avgPool2d: 1, flatten: 1, linear: 1, softmax: 1 },
  ],
  [
    'inception_v2',
    { conv2d: 69, batchNorm: 69, mul: 69, add: 69, relu: 69, maxPool2d: 5, avgPool2d: 8, concat: 10, flatten: 1 },
  ],
];

for (const [name, expected] of LIGHT) {
  test(`${name} has every op, and the output of its file, where equal weights make all classes alike`, async (t) => {
    const model = importOnnx(decodeOnnx(read(`../onnx-models/light_${name}.onnx`)), { batch: 1 });
    t.like(counts(model.graph), expected);
    const bytes = read(`../onnx-models/light_${name}_output_0.pb`);
    // The last field of the file: the elements of a float32 tensor [1, 1000].
    const output = new Float32Array(new Uint8Array(bytes.subarray(-4000)).buffer);
    const exported = exportOnnx(model);
    const ofOne = (value: OnnxValue): OnnxValue => ({ ...value, shape: [1, ...value.shape.slice(1)] });
    const [input, result] = [exported.inputs[0]!, exported.outputs[0]!].map(ofOne);
    const engine = createOnnxRuntimeEngine({ threads: 1 });
    const x = filled(input!.shape.map(Number)).data;
    const fixed = { ...exported, inputs: [input!], outputs: [result!] };
    const { [result!.name]: y } = await runGraph(engine, fixed, { [input!.name]: x });
    engine.close();
    t.true(distance(Float32Array.from(y!, Number), output) <= 1e-5);
  });
}
