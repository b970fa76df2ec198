import type { OptimizerName } from './training-job.ts';

/**
 * What an optimizer keeps of each parameter from step to step, by the names that checkpoints use; each is as large as the
 * parameter. Source: torch.optim, whose names are momentum_buffer, exp_avg and exp_avg_sq.
 */
export const OPTIMIZER_STATES: Readonly<Record<OptimizerName, readonly string[]>> = {
  sgd: ['momentum'],
  adam: ['average', 'squareAverage'],
  adamw: ['average', 'squareAverage'],
};
