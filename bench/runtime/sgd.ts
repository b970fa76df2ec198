import type { SgdSettings } from '../../soap/job/training-job.ts';

/** What both train with: plain stochastic gradient descent. */
export const SGD: SgdSettings = {
  name: 'sgd',
  learningRate: 0.001,
  momentum: 0,
  nesterov: false,
  weightDecay: 0,
  schedule: { name: 'constant', warmupSteps: 0 },
};
