import type { KernelProvider } from '../../soap/job/kernel-providers.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';

/** Jobs as options of a command line change them. */

/** @param steps in place of the job's steps or epochs */
export function withSteps(job: TrainingJob, steps: number): TrainingJob {
  const { epochs: _, ...training } = job.spec.training;
  return { ...job, spec: { ...job.spec, training: { ...training, steps } } };
}

/** @param kernels what computes, in place of what the job says */
export function withKernels(job: TrainingJob, kernels: KernelProvider): TrainingJob {
  return { ...job, spec: { ...job.spec, training: { ...job.spec.training, kernels } } };
}
