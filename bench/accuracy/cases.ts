import type { ModelParameters } from '../../soap/models/index.ts';
import { loadModel } from '../../runtime/worker/load-job.ts';
import type { ProfileTarget } from '../../cli/profile/target.ts';
import { jobTarget, syntheticJob } from '../../cli/profile/target.ts';

/** A built-in model in a size that two cores train in a tenth of a second. */
interface BuiltinCase {
  readonly name: string;
  readonly batchSize: number;
  readonly parameters: ModelParameters;
}

/** Jobs of the repository. */
const JOBS: Readonly<Record<string, string>> = {
  mlp: 'test/golden/mlp',
  cnn: 'test/golden/cnn',
  gpt: 'test/golden/gpt',
  lenet: 'examples/mnist',
};

const BUILTINS: Readonly<Record<string, BuiltinCase>> = {
  'gpt-256': {
    name: 'gpt',
    batchSize: 8,
    parameters: { layers: 1, width: 256, heads: 4, sequence: 64, vocabulary: 1000 },
  },
  'rnnlm-256': {
    name: 'rnnlm',
    batchSize: 32,
    parameters: { layers: 1, hidden: 256, embedding: 256, vocabulary: 2000, steps: 10, group: 5 },
  },
};

/** Golden cases, LeNet on MNIST, and built-in models whose kernels take most of the time. */
export const CASE_NAMES: readonly string[] = [...Object.keys(JOBS), ...Object.keys(BUILTINS)];

/** Reads a case: a job that trains so many steps, without checkpoints and evaluation. */
export function readCase(name: string, steps: number): Promise<ProfileTarget> {
  const builtin = BUILTINS[name];
  if (builtin !== undefined) return builtinTarget(builtin, steps);
  const folder = JOBS[name];
  if (folder === undefined) throw new Error(`there is no case '${name}'; expected one of ${CASE_NAMES.join(', ')}`);
  return jobTarget(new URL(`../../${folder}/job.yaml`, import.meta.url).pathname, steps);
}

async function builtinTarget({ name, batchSize, parameters }: BuiltinCase, steps: number): Promise<ProfileTarget> {
  const model = { builtin: { name, ...parameters } };
  const job = syntheticJob(name, { model, batchSize, steps, loss: { name: 'crossEntropy' } });
  const directory = process.cwd();
  const { training } = await loadModel(job, directory);
  return { job, directory, training, planned: training };
}
