import { readJob } from '../../cli/read-job.ts';
import { loadModel } from '../../runtime/worker/load-job.ts';
import type { TrainingGraph } from '../../soap/graph/loss.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';

/** A job whose iterations are predicted and measured. */
export interface AccuracyCase {
  readonly name: string;
  readonly job: TrainingJob;
  readonly directory: string;
  readonly training: TrainingGraph;
}

/** The golden cases, and LeNet on MNIST. */
export const CASE_NAMES: readonly string[] = ['mlp', 'cnn', 'gpt', 'dlrm', 'lstm', 'mnist', 'resnet'];

/** Reads a case; it trains so many steps, without checkpoints and evaluation. */
export async function readCase(name: string, steps: number): Promise<AccuracyCase> {
  const folder = name === 'mnist' ? '../../examples/mnist' : `../../test/golden/${name}`;
  const { job, directory } = await readJob(new URL(`${folder}/job.yaml`, import.meta.url).pathname);
  const { checkpoint: _, evaluation: __, ...spec } = job.spec;
  const { epochs: ___, ...training } = spec.training;
  const shortened = { ...job, spec: { ...spec, training: { ...training, steps } } };
  return { name, job: shortened, directory, training: (await loadModel(shortened, directory)).training };
}
