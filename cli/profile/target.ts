import process from 'node:process';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import { lossOf } from '../../soap/training/loss.ts';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { batchSizeOf, microBatchSizeOf } from '../../soap/training/batch-size.ts';
import { FileError } from '../../soap/schema/check.ts';
import { loadModel } from '../../runtime/model/load-model.ts';
import type { Arguments } from '../command-line/arguments.ts';
import { givenModel } from '../model/given-model.ts';
import { givenSubject } from '../model/model-subject.ts';
import { readJob } from '../files/read-job.ts';

/** What is profiled: a model, and a job that trains it for as many steps as are asked for. */
export interface ProfileTarget {
  /** A micro-batch, where a step has several: what is trained. */
  readonly training: TrainingGraph;
  /** The whole step, as it is planned: whose kernels are measured. */
  readonly planned: TrainingGraph;
  readonly job: TrainingJob;
  /** What the job's paths are relative to. */
  readonly directory: string;
}

/** The model of a command line, with its own job, or one on made-up samples. */
export async function profileTarget(args: Arguments, steps: number): Promise<ProfileTarget> {
  const { training, source } = await givenSubject(args, 'profile');
  const { job: path } = givenModel(args, 'profile');
  if (path !== undefined) return { ...(await jobTarget(path, steps, batchSizeOf(training))), planned: training };
  const batchSize = microBatchSizeOf(training.graph);
  const { sha256: _, ...model } = source!;
  const job = syntheticJob('profile', { model, batchSize, steps, loss: lossOf(training) });
  return { training: { ...training, accumulationSteps: 1 }, planned: training, job, directory: process.cwd() };
}

/** What is trained on made-up samples, as a job has it. */
interface SyntheticTraining extends Pick<TrainingJob['spec']['training'], 'batchSize' | 'loss'> {
  readonly model: object;
  readonly steps: number;
}

/** A job on made-up samples, with SGD, for so many steps. @throws {FileError} where there cannot be such a job */
export function syntheticJob(name: string, { model, batchSize, loss, steps }: SyntheticTraining): TrainingJob {
  const parsed = parseTrainingJob({
    apiVersion: 'soapstone.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name },
    spec: {
      model,
      dataset: { synthetic: { samples: 4 * batchSize } },
      training: { batchSize, steps, loss, optimizer: { name: 'sgd', learningRate: 1e-3, momentum: 0.9 } },
    },
  });
  if ('problems' in parsed) throw new FileError(`the job ${name}`, parsed.problems);
  return parsed.job;
}

/** The model of a job file, a micro-batch at a time, and the job shortened to so many steps, leaving no traces. @param batch in place of the job's */
export async function jobTarget(path: string, steps: number, batch?: number): Promise<ProfileTarget> {
  const { job, directory } = await readJob(path);
  const { checkpoint: _, evaluation: __, ...kept } = job.spec;
  const { epochs: ___, ...training } = kept.training;
  // What is measured is an iteration: that of a micro-batch, where a step has several.
  const batchSize = (batch ?? training.batchSize) / training.gradientAccumulationSteps;
  const whole = { ...training, batchSize, gradientAccumulationSteps: 1, steps };
  const shortened = { ...job, spec: { ...kept, training: whole } };
  const { training: trained } = await loadModel(shortened, directory);
  return { job: shortened, directory, training: trained, planned: trained };
}
