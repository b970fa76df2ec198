import { runGraph } from '../support/kernel-graphs.ts';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { checkpointModel } from '../../cli/model/checkpoint-model.ts';
import { exportCheckpoint, findCheckpoint } from '../../runtime/checkpoint/export-model.ts';
import { createIndex, readIndex } from '../../runtime/checkpoint/index-file.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { exportOnnx } from '../../soap/conversion/export.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { dataParallel } from '../../soap/baselines/index.ts';
import { folder, testRun } from '../checkpoint/support.ts';

const engine = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => engine.close());

const [BATCH, CLASSES] = [8, 10];

test.serial('ONNX Runtime finds, with an exported checkpoint of two devices, the loss of the next step', async (t) => {
  const directory = await folder(t);
  const run = await testRun({ directory, engine, count: 2, strategy: dataParallel });
  for (let step = 0; step < 3; step++) await run.train(step);
  await run.save(3);
  const { folder: found } = await findCheckpoint(directory);
  const { graph } = await checkpointModel(found, await readIndex(found), undefined);
  const out = join(directory, 'out.onnx');
  await exportCheckpoint(found, graph, out);

  const file = await readFile(out);
  const onnx = decodeOnnx(file);
  const weights = new Map([...onnx.initializers].map(([name, { data }]) => [name, Float32Array.from(data, Number)]));
  t.is(Buffer.compare(file, encodeOnnx(exportOnnx({ graph, weights }))), 0, 'written in parts as it is in one');
  const fixed = ({ shape, ...value }: (typeof onnx.inputs)[number]): (typeof onnx.inputs)[number] => {
    return { ...value, shape: [BATCH, ...shape.slice(1)] };
  };
  const fixedGraph = { ...onnx, inputs: onnx.inputs.map(fixed), outputs: onnx.outputs.map(fixed) };
  const { images, targets } = await run.batch(3);
  const { [onnx.outputs[0]!.name]: result } = await runGraph(engine, fixedGraph, { [onnx.inputs[0]!.name]: images });
  const logits = Float32Array.from(result!, Number);
  const loss = crossEntropy(logits, targets);
  const expected = await run.train(3);
  t.true(Math.abs(loss / expected - 1) <= 1e-5, `${loss} and ${expected}`);

  await t.throwsAsync(exportCheckpoint(found, builtinGraph('rnnlm', 2), out), {
    message: /has no parameter '.*'; the model expects \[.*\]: pass the model that was trained with --model/,
  });
  await run.close();
});

/** The mean of -log softmax(logits)[target]. */
function crossEntropy(logits: Float32Array, targets: BigInt64Array): number {
  const losses = Array.from(targets, (target, row) => {
    const lane = logits.subarray(row * CLASSES, (row + 1) * CLASSES);
    return Math.log(lane.reduce((sum, x) => sum + Math.exp(x), 0)) - lane[Number(target)]!;
  });
  return losses.reduce((a, b) => a + b, 0) / BATCH;
}

test('the model of a checkpoint is unrolled as its job had it, found or given', async (t) => {
  const directory = await folder(t);
  const model = join(directory, 'model.onnx');
  await copyFile(new URL('../golden/lstm/model.onnx', import.meta.url), model);
  const run = { model: '', optimizer: 'sgd', seed: 1, samples: BATCH, shuffle: false, batchSize: BATCH };
  // Two layers of 20 steps.
  for (const [unrollSteps, groups] of [
    [3, 14],
    [undefined, 6],
  ] as const) {
    const source = { onnx: 'model.onnx', ...(unrollSteps === undefined ? {} : { unrollSteps }) };
    const index = createIndex({ step: 1, run, source, total_size: 0 }, { files: {}, weight_map: {}, boxes: {} });
    for (const given of [undefined, model]) {
      const { graph } = await checkpointModel(join(directory, 'checkpoints', 'step-1'), index, given);
      t.is(graph.ops.filter(({ kind }) => kind === 'lstm').length, groups);
    }
  }
});

test('a folder without checkpoints is a sentence', async (t) => {
  await t.throwsAsync(findCheckpoint(await folder(t)), {
    message: /holds no whole checkpoint: .*; expected the checkpoint\.directory/,
  });
});
