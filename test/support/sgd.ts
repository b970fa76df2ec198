import type { SgdSettings } from '../../soap/job/training-job.ts';

/** Settings of stochastic gradient descent: plain, at a rate of 0.1, but for what a test changes. */
export function sgd(changes: Partial<SgdSettings> = {}): SgdSettings {
  return {
    name: 'sgd',
    learningRate: 0.1,
    momentum: 0,
    nesterov: false,
    weightDecay: 0,
    schedule: { name: 'constant', warmupSteps: 0 },
    ...changes,
  };
}
