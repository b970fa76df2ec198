import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { openDataset } from '../../runtime/data/open-dataset.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { InMemoryRun } from '../../runtime/program/in-memory.ts';
import { importOnnx } from '../../soap/conversion/import.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';
import { runGraph } from '../support/kernel-graphs.ts';
import { LLAMA, llamaFile } from '../support/llama-file.ts';
import { distance } from '../support/op-checks.ts';
import { soapstone } from '../support/soapstone.ts';
import { devices, relativeError } from '../support/train-in-memory.ts';
import { usualStrategies } from '../support/usual-strategies.ts';
import { runWholeGraph } from '../support/whole-graph.ts';

const [BATCH, STEPS] = [4, 6];
const bytes = encodeOnnx(llamaFile());
const engine = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => engine.close());

test('a Llama of operator set 23 gives what ONNX Runtime makes of its file', async (t) => {
  const onnx = decodeOnnx(bytes);
  const model = importOnnx(onnx, { batch: BATCH });
  const tokens = Array.from({ length: BATCH * LLAMA.steps }, (_, i) => (i * 7 + (i % 3)) % LLAMA.vocabulary);
  const { tensors } = await runWholeGraph(model, { tokens }, engine);
  const [input, output] = [onnx.inputs[0]!, onnx.outputs[0]!];
  const fixed = {
    ...onnx,
    inputs: [{ ...input, shape: input.shape.with(0, BATCH) }],
    outputs: [{ ...output, shape: output.shape.with(0, BATCH) }],
  };
  const expected = await runGraph(engine, fixed, { tokens });
  const error = distance(Array.from(tensors[model.graph.outputs[0]!]!, Number), Array.from(expected['y']!, Number));
  t.true(error <= 1e-6, String(error));
  t.false(
    [...model.weights.keys()].some((name) => name.endsWith('_cached')),
    'angles are not trained',
  );
  t.is(model.weights.size, 3 + LLAMA.layers * 9);
});

test('soapstone check finds its splits right', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'llama-'));
  const path = join(directory, 'llama.onnx');
  await writeFile(path, bytes);
  const { code, stdout, stderr } = await soapstone(
    'check',
    path,
    '--devices',
    '2',
    '--strategies',
    '8',
    '--output',
    'json',
  );
  await rm(directory, { recursive: true });
  t.is(code, 0, stderr);
  const { strategies, failures, maxGradientError } = JSON.parse(stdout);
  t.deepEqual({ strategies, failures }, { strategies: 8, failures: [] });
  t.true(maxGradientError < 1e-3, String(maxGradientError));
});

test('it trains on two devices as on one', async (t) => {
  const model = importOnnx(decodeOnnx(bytes), { batch: BATCH });
  const training = attachLoss(model.graph, 'crossEntropy');
  const dataset = await openDataset({ synthetic: { samples: BATCH }, shuffle: false }, '.', training.graph);
  const optimizer = {
    name: 'adamw',
    learningRate: 0.01,
    weightDecay: 0.01,
    betas: [0.9, 0.999],
    epsilon: 1e-8,
    schedule: { name: 'constant', warmupSteps: 0 },
  } as const;
  const rows = Array.from({ length: BATCH }, (_, row) => row);
  const losses = new Map<string, number[]>();
  for (const [name, strategy] of usualStrategies(training.graph, devices(2), 2)) {
    const run = new InMemoryRun({
      training,
      weights: model.weights,
      strategy,
      cluster: devices(2),
      engine,
      optimizer,
      dataset,
    });
    const found: number[] = [];
    for (let step = 0; step < STEPS; step++) {
      const { lossSum, lossCount } = await run.train({ step, learningRate: optimizer.learningRate }, rows);
      found.push(lossSum / lossCount);
    }
    run.release();
    losses.set(name, found);
  }
  await dataset.close();
  const alone = losses.get('one')!;
  t.true(alone.at(-1)! < 0.9 * alone[0]!, alone.join());
  for (const [name, found] of losses) t.true(relativeError(found, alone) <= 1e-4, `${name}: ${found.join()}`);
});
