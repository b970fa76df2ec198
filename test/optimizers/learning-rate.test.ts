import test from 'ava';
import { learningRateAt } from '../../runtime/optimizers/learning-rate.ts';
import type { ScheduleSettings } from '../../soap/job/training-job.ts';

const CASES: [string, ScheduleSettings, number[]][] = [
  ['constant', { name: 'constant', warmupSteps: 0 }, [8, 8, 8, 8, 8, 8, 8, 8]],
  ['a linear rise', { name: 'constant', warmupSteps: 4 }, [2, 4, 6, 8, 8, 8, 8, 8]],
  ['steps', { name: 'step', warmupSteps: 0, everySteps: 3, factor: 0.5 }, [8, 8, 8, 4, 4, 4, 2, 2]],
  ['steps after a rise', { name: 'step', warmupSteps: 2, everySteps: 2, factor: 0.5 }, [4, 8, 8, 8, 4, 4, 2, 2]],
  [
    'half a cosine',
    { name: 'cosine', warmupSteps: 0, minimum: 2 },
    Array.from({ length: 8 }, (_, s) => 5 + 3 * Math.cos((Math.PI * s) / 8)),
  ],
  [
    'half a cosine after a rise',
    { name: 'cosine', warmupSteps: 4, minimum: 0 },
    [2, 4, 6, 8, 8, 4 + 4 * Math.SQRT1_2, 4, 4 - 4 * Math.SQRT1_2],
  ],
  ['a rise longer than the run', { name: 'cosine', warmupSteps: 16, minimum: 0 }, [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]],
];

for (const [title, schedule, expected] of CASES) {
  test(`the learning rate follows ${title}`, (t) => {
    const settings = { name: 'sgd', learningRate: 8, momentum: 0, nesterov: false, weightDecay: 0, schedule } as const;
    expected.forEach((rate, step) => {
      t.true(Math.abs(learningRateAt(settings, step, expected.length) - rate) < 1e-12, `step ${step}`);
    });
  });
}
