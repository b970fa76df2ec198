import type { ModelParameters } from '../../soap/models/index.ts';
import { loadModel } from '../../runtime/model/load-model.ts';
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
  lstm: 'test/golden/lstm',
  resnet: 'test/golden/resnet',
  dlrm: 'test/golden/dlrm',
};

/** Cases that take part only where they are asked for: all together would take more than half an hour. */
const ONLY_ASKED: ReadonlySet<string> = new Set(['resnet', 'dlrm']);

/** Random strategies at most, of cases that the whole bench has little time for. */
const MOST_RANDOM: Readonly<Record<string, number>> = { lstm: 4, resnet: 4, dlrm: 4 };

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

/** All cases: golden ones, LeNet on MNIST, and built-in models whose kernels take most of the time. */
const ALL_CASES: readonly string[] = [...Object.keys(JOBS), ...Object.keys(BUILTINS)];

/** Those of the whole bench. */
export const CASE_NAMES: readonly string[] = ALL_CASES.filter((name) => !ONLY_ASKED.has(name));

/** Random strategies of a case, where so many are asked for. */
export function randomStrategies(name: string, asked: number): number {
  return Math.min(asked, MOST_RANDOM[name] ?? asked);
}

/** Reads a case: a job that trains so many steps, without checkpoints and evaluation. */
export function readCase(name: string, steps: number): Promise<ProfileTarget> {
  const builtin = BUILTINS[name];
  if (builtin !== undefined) return builtinTarget(builtin, steps);
  const folder = JOBS[name];
  if (folder === undefined) throw new Error(`there is no case '${name}'; expected one of ${ALL_CASES.join(', ')}`);
  return jobTarget(new URL(`../../${folder}/job.yaml`, import.meta.url).pathname, steps);
}

async function builtinTarget({ name, batchSize, parameters }: BuiltinCase, steps: number): Promise<ProfileTarget> {
  const model = { builtin: { name, ...parameters } };
  const job = syntheticJob(name, { model, batchSize, steps, loss: { name: 'crossEntropy' } });
  const directory = process.cwd();
  const { training } = await loadModel(job, directory);
  return { job, directory, training, planned: training };
}
