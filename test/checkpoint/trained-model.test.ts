import test from 'ava';
import { exportCheckpoint, exportObstacle } from '../../runtime/checkpoint/export-model.ts';
import { saveTrainedModel } from '../../runtime/worker/trained-model.ts';
import { builtinGraph } from '../../soap/models/index.ts';

/** A table of so many embeddings of 16 numbers each, and little else. */
const dlrm = (rows: number): ReturnType<typeof builtinGraph> =>
  builtinGraph('dlrm', 2, { rows: String(rows), width: 16 });

test('a model that no ONNX file holds is not written: a notice says so, and where its weights are', async (t) => {
  const graph = dlrm(2 ** 25);
  const why =
    /as an ONNX file the model would take 2\.1 GB, and such a file holds at most 2\.1 GB; read the weights from/;
  const event = await saveTrainedModel('/nowhere/step-00000001', graph);
  t.is(event.type, 'notice');
  t.regex(event.type === 'notice' ? event.message : '', why);
  t.regex(event.type === 'notice' ? event.message : '', /^trained\.onnx is not written: .*\/nowhere\/step-00000001/);
  await t.throwsAsync(exportCheckpoint('/nowhere', graph, '/nowhere/out.onnx'), { message: why });
});

test('one that is just small enough is', (t) => {
  t.is(exportObstacle(dlrm(2 ** 25 - 50_000)), undefined);
});
