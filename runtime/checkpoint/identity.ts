import type { TrainingGraph } from '../../soap/training/loss.ts';
import { lossOf } from '../../soap/training/loss.ts';
import { frozenNames } from '../../soap/graph/freeze.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { graphFingerprint } from '../../soap/graph/fingerprint.ts';
import type { CheckpointIndex, RunIdentity } from './index-file.ts';

/** What users may do about a checkpoint that is not of their run. */
export const CURE = 'train on as the run that wrote it, or choose another checkpoint.directory';

/** What a run is, so that another can go on with it. @param samples in its data set */
export function runIdentity(
  { dataset, training: { optimizer, seed, batchSize, gradientAccumulationSteps } }: TrainingJob['spec'],
  training: TrainingGraph,
  samples: number,
): RunIdentity {
  return {
    model: graphFingerprint(training.graph),
    loss: JSON.stringify(lossOf(training)),
    optimizer: optimizer.name,
    seed,
    samples,
    shuffle: dataset.shuffle,
    batchSize,
    gradientAccumulationSteps,
    ...frozenIdentity(training),
  };
}

/** Names of the frozen parameters, where there are any. */
export function frozenIdentity({ graph }: TrainingGraph): Pick<RunIdentity, 'frozen'> {
  const names = frozenNames(graph);
  return names.length === 0 ? {} : { frozen: names.join(', ') };
}

/**
 * @param folder of the checkpoint
 * @throws {Error} a sentence with all differences where a checkpoint is of another run, so that going on from it would not give its curve
 */
export function checkIdentity(folder: string, { metadata }: CheckpointIndex, expected: RunIdentity): void {
  const { run } = metadata;
  const differences = [
    ['batch size', run.batchSize, expected.batchSize],
    ['gradientAccumulationSteps', run.gradientAccumulationSteps ?? 1, expected.gradientAccumulationSteps ?? 1],
    ['loss', run.loss ?? expected.loss, expected.loss],
    ['optimizer', run.optimizer, expected.optimizer],
    ['seed', run.seed, expected.seed],
    ['frozen parameters', run.frozen ?? 'none', expected.frozen ?? 'none'],
    ['number of samples', run.samples, expected.samples],
    ['shuffle', run.shuffle, expected.shuffle],
  ].filter(([, got, wanted]) => got !== wanted);
  // The graph has the batch and the loss in it, too: what differs by them says nothing of the model.
  const isSameGraph = run.model === expected.model || differences.some(([what]) => IN_GRAPH.includes(String(what)));
  const all = isSameGraph ? differences : [['a model of fingerprint', run.model, expected.model], ...differences];
  if (all.length === 0) return;
  const clauses = all.map(([what, got, wanted]) => `${what} ${got}; expected ${wanted} of this job`);
  throw new Error(`checkpoint ${folder} was written with ${clauses.join('; and with ')}: ${CURE}`);
}

const IN_GRAPH = ['batch size', 'gradientAccumulationSteps', 'loss', 'frozen parameters'];
