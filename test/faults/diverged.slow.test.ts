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

test('a run that takes up the last checkpoint of one that diverged, and has nothing left to train, has diverged too', async (t) => {
  const options = await twoDevices(t, { directory: 'checkpoints', everySteps: 100, keep: 1 });
  const { job } = options;
  const { training } = job.spec;
  const optimizer = { ...training.optimizer, learningRate: 1e6 };
  const changed = { ...job, spec: { ...job.spec, training: { ...training, optimizer } } };
  const run = { ...options, job: changed, devices: [0, 1] };
  await runWorker(run);
  const losses: number[] = [];
  const end = await runWorker({
    ...run,
    resume: true,
    onEvent: (_, event) => {
      if (event.type === 'step' && event.loss !== undefined) losses.push(event.loss);
    },
  });
  t.deepEqual([losses, end], [[], { kind: 'done', isDiverged: true }]);
});
