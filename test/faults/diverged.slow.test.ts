import test from 'ava';
import { runWorker } from '../../runtime/worker/worker.ts';
import { twoDevices } from '../support/two-pods.ts';

test('the pod of the first device, which hears the losses, tells that the last one is no number', async (t) => {
  const options = await twoDevices(t);
  const { job } = options;
  const { training } = job.spec;
  const optimizer = { ...training.optimizer, learningRate: 1e6 };
  const changed = { ...job, spec: { ...job.spec, training: { ...training, optimizer } } };
  const pods = [0, 1].map((device) => runWorker({ ...options, job: changed, devices: [device] }));
  t.deepEqual(await Promise.all(pods), [
    { kind: 'done', isDiverged: true },
    { kind: 'done', isDiverged: false },
  ]);
});
