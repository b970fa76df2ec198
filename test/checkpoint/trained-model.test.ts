import { join } from 'node:path';
import test from 'ava';
import { exportCheckpoint, exportObstacle } from '../../runtime/checkpoint/export-model.ts';
import { saveTrainedModel } from '../../runtime/device/trained-model.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import { builtinGraph, builtinModel } from '../../soap/models/index.ts';
import { singleDevice } from '../../soap/baselines/index.ts';
import { folder, testRun } from './support.ts';

const engine = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => engine.close());

/** Samples of a step of a test's run. */
const BATCH = 8;

/** A table of so many embeddings of 16 numbers each, and little else. */
const dlrm = (rows: number): ReturnType<typeof builtinGraph> =>
  builtinGraph('dlrm', 2, { rows: String(rows), width: 16 });

test('a model that no ONNX file holds is not written: a notice says so, and where its weights are', async (t) => {
  const graph = dlrm(2 ** 25);
  const why =
    /as an ONNX file the model would take 2\.1 GB, and such a file holds at most 2\.1 GB; read the weights from/;
  const [event, ...others] = await saveTrainedModel('/nowhere/step-00000001', graph);
  t.deepEqual(others, []);
  t.is(event?.type, 'notice');
  t.regex(event?.type === 'notice' ? event.message : '', why);
  t.regex(event?.type === 'notice' ? event.message : '', /^trained\.onnx is not written: .*\/nowhere\/step-00000001/);
  await t.throwsAsync(exportCheckpoint('/nowhere', graph, '/nowhere/out.onnx'), { message: why });
});

test.serial('of a model that is made for one batch, a notice says so beside where the file is', async (t) => {
  const directory = await folder(t);
  const run = await testRun({ directory, engine, count: 1, strategy: singleDevice });
  const checkpoint = await run.save(1);
  await run.close();
  const { graph } = builtinModel('lenet', BATCH, 1);
  t.deepEqual(await saveTrainedModel(checkpoint!, graph), [{ type: 'model', path: join(directory, 'trained.onnx') }]);

  const builder = GraphBuilder.from(graph);
  const values = Array.from({ length: BATCH }, (_, i) => i);
  const numbers = builder.op('constant', 'numbers', [], { dtype: 'float32', shape: [BATCH, 1], values });
  const numbered = builder.build('numbered', [builder.op('add', 'numbered', [graph.outputs[0]!, numbers])]);
  const [model, notice, ...others] = await saveTrainedModel(checkpoint!, numbered);
  t.deepEqual([model?.type, others], ['model', []]);
  t.regex(notice?.type === 'notice' ? notice.message : '', /^trained\.onnx takes batches of 8 samples and no others/);
});

test('one that is just small enough is', (t) => {
  t.is(exportObstacle(dlrm(2 ** 25 - 50_000)), undefined);
});
