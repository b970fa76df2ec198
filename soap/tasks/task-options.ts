import type { WireType } from '../job/training-job.ts';
import type { CollectiveAlgorithm } from './task-graph.ts';

/** How tasks are done, beside what a strategy says. */
export interface TaskOptions {
  /** How gradients may be summed; every way where left out. */
  readonly collectives?: readonly CollectiveAlgorithm[];
  /** How activations and gradients travel; float32 where left out. */
  readonly wire?: WireType;
  /** Whether the norm of all gradients together is limited; it is not where left out. */
  readonly clipsGradients?: boolean;
}

/** The options among other fields, where they are not the usual ones. */
export function taskOptions({ collectives, wire = 'float32', clipsGradients = false }: TaskOptions): TaskOptions {
  return {
    ...(collectives && { collectives }),
    ...(wire === 'float32' ? {} : { wire }),
    ...(clipsGradients ? { clipsGradients } : {}),
  };
}
