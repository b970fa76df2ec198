import test from 'ava';
import { stepCount } from '../../runtime/device/step-count.ts';

for (const [title, settings, samples, steps] of [
  ['steps that are given, however many samples there are', { steps: 7, batchSize: 64 }, 1000, 7],
  ['one step for each batch of an epoch', { epochs: 1, batchSize: 50 }, 1000, 20],
  ['one epoch where neither is given', { batchSize: 50 }, 1000, 20],
  ['one more step for samples that fill no batch', { epochs: 1, batchSize: 64 }, 1000, 16],
  ['batches that go on from one epoch into the next', { epochs: 3, batchSize: 64 }, 1000, 47],
  ['one step where all samples fill no batch', { epochs: 1, batchSize: 64 }, 3, 1],
] as const) {
  test(`a job trains ${title}`, (t) => {
    t.is(stepCount(settings, samples), steps);
  });
}
