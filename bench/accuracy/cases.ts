import type { ProfileTarget } from '../../cli/profile/target.ts';
import { jobTarget } from '../../cli/profile/target.ts';

/** The golden cases, and LeNet on MNIST. */
export const CASE_NAMES: readonly string[] = ['mlp', 'cnn', 'gpt', 'dlrm', 'lstm', 'mnist', 'resnet'];

/** Reads a case: a job that trains so many steps, without checkpoints and evaluation. */
export function readCase(name: string, steps: number): Promise<ProfileTarget> {
  const folder = name === 'mnist' ? '../../examples/mnist' : `../../test/golden/${name}`;
  return jobTarget(new URL(`${folder}/job.yaml`, import.meta.url).pathname, steps);
}
