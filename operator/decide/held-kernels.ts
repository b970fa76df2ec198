import type { TrainingJob } from '../../soap/job/training-job.ts';
import { CORE_RESOURCE } from '../discovery/cores.ts';

/**
 * A job as its pods are to run it: one that holds processor cores computes on them, though its image may find a GPU of the node that
 * nobody gave to it (`kernels: auto`).
 */
export function withHeldKernels(job: TrainingJob): TrainingJob {
  const { devices, training } = job.spec;
  if (devices.resource !== CORE_RESOURCE || training.kernels !== 'auto') return job;
  return { ...job, spec: { ...job.spec, training: { ...training, kernels: 'cpu' } } };
}
