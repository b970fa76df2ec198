import type { OptimizerSettings } from '../../soap/job/training-job.ts';

/**
 * The learning rate of a step, counted from 0, of a run of so many steps. First it rises linearly, in `warmupSteps` steps
 * from 1 / warmupSteps of the whole on; the schedule counts from there.
 *
 * Source: torch.optim.lr_scheduler: LinearLR (start_factor 1 / w, total_iters w - 1), StepLR, CosineAnnealingLR.
 */
export function learningRateAt({ learningRate, schedule }: OptimizerSettings, step: number, steps: number): number {
  const { warmupSteps } = schedule;
  if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
  const since = step - warmupSteps;
  switch (schedule.name) {
    case 'constant':
      return learningRate;
    case 'step':
      return learningRate * schedule.factor ** Math.floor(since / schedule.everySteps);
    case 'cosine': {
      const { minimum } = schedule;
      const period = Math.max(1, steps - warmupSteps);
      return minimum + ((learningRate - minimum) * (1 + Math.cos((Math.PI * since) / period))) / 2;
    }
  }
}
